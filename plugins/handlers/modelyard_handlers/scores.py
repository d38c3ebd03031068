"""Scores of classes to probabilities, and to names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from modelyard.serving.handlers import Handler, Place, Tensors


def softmax(place: Place, *, logits: str, probabilities: str) -> Handler:
    """Return what makes probabilities of scores, over the last axis.

    Args:
        place: where it stands.
        logits: what the tensor that it takes is called.
        probabilities: what the one is called that it gives.
    """

    def run(tensors: Tensors) -> dict[str, Any]:
        scores = tensors[logits]
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return {probabilities: powers / powers.sum(axis=-1, keepdims=True)}

    return place.handler(
        run, [place.tensor(logits, shape=("classes",))], [place.tensor(probabilities, shape=("classes",))]
    )


def argmax(place: Place, *, scores: str, classes: str) -> Handler:
    """Return what gives the number of the class with the highest score, the last axis' first of several.

    Args:
        place: where it stands.
        scores: what the tensor that it takes is called, the classes along its last axis.
        classes: what the one is called that it gives, int32, with one axis less.
    """

    def run(tensors: Tensors) -> dict[str, Any]:
        return {classes: tensors[scores].argmax(axis=-1).astype(np.int32)}

    anything = ("...",)
    return place.handler(run, [place.tensor(scores, shape=anything)], [place.tensor(classes, "int32", anything)])


def top_labels(place: Place, *, scores: str, count: int, labels: str | None, label: str, score: str) -> Handler:
    """Return what names the classes with the highest scores; the scores themselves go on.

    Args:
        place: where it stands.
        scores: what the tensor that it takes is called, and gives again.
        count: how many classes it names.
        labels: a file with the name of a class in each line; None: the model has them.
        label: what the names are called that it gives, the highest score's first.
        score: what their scores are called.
    """
    names = place.labels.get(scores, ()) if labels is None else Path(labels).read_text(encoding="utf-8").splitlines()
    shape = () if count == 1 else (count,)

    def run(tensors: Tensors) -> dict[str, Any]:
        found = tensors[scores]
        if len(names) != found.shape[1] or count > len(names):
            msg = f"there are {len(names)} names for {found.shape[1]} scores; {count} are to be named"
            raise RuntimeError(msg)
        best = np.argsort(-found, axis=1, kind="stable")[:, :count]
        held = np.empty(len(names), object)
        held[:] = [name.encode() for name in names]
        rows = len(found)
        return {
            label: held[best].reshape(rows, *shape),
            score: np.take_along_axis(found, best, axis=1).reshape(rows, *shape),
            scores: found,
        }

    given = place.tensor(scores, shape=("classes",))
    return place.handler(run, [given], [place.tensor(label, "bytes", shape), place.tensor(score, shape=shape), given])
