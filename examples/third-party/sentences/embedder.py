"""all-MiniLM-L6-v2: the mean of what BERT says of each token, of length 1."""

import torch
from transformers import BertConfig, BertModel


class Embedder(BertModel):
    """BERT, whose tensors have the names that the file gives them."""

    def forward(self, input_ids, attention_mask):
        found = super().forward(input_ids, attention_mask).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(found.dtype)
        return torch.nn.functional.normalize((found * kept).sum(1) / kept.sum(1).clamp(min=1e-9))


def build():
    """Return it without weights."""
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    return Embedder(BertConfig(**sizes, attn_implementation="eager"), add_pooling_layer=False)
