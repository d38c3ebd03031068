"""Scores of symbols over time to a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from modelyard.serving.handlers import Handler, Place, Tensors


def ctc_greedy(place: Place, *, alphabet: str, blank: int, scores: str, text: str) -> Handler:
    """Return what reads the likeliest symbol of each step: repeated ones count once, and the blank is nothing.

    Args:
        place: where it stands.
        alphabet: a file with a symbol in each line, in the order of the scores; the blank's is not looked at.
        blank: the number of the blank.
        scores: what the tensor that it takes is called, shape `(N, steps, symbols)`.
        text: what the text is called that it gives.

    Source: Graves et al. 2006, Connectionist Temporal Classification, section 3.2, best path decoding.
    """
    symbols = Path(alphabet).read_text(encoding="utf-8").split("\n")
    symbols = symbols[:-1] if symbols[-1] == "" else symbols

    def read(steps: Any) -> str:
        changes = np.flatnonzero(np.diff(steps, prepend=-1))
        return "".join(symbols[step] for step in steps[changes] if step != blank)

    def run(tensors: Tensors) -> dict[str, Any]:
        found = tensors[scores]
        if found.shape[-1] != len(symbols):
            msg = f"the alphabet has {len(symbols)} symbols, and there are {found.shape[-1]} scores"
            raise RuntimeError(msg)
        return {text: [read(steps) for steps in found.argmax(axis=-1)]}

    return place.handler(run, [place.tensor(scores, shape=("steps", "symbols"))], [place.tensor(text, "bytes")])
