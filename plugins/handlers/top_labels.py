"""Handler `top-labels`: scores of classes to their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.params import InputPath, PositiveInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def top_labels(
    place: Place,
    *,
    scores: str = "probabilities",
    count: PositiveInt = 1,
    labels: InputPath | None = None,
    label: str = "label",
    score: str = "score",
) -> Handler:
    """Names the classes with the highest scores; the scores themselves go on.

    Args:
        place: where it stands.
        scores: what the scores are called
        count: how many classes are named
        labels: a file with the name of a class in each line; without it, the data set's class names
        label: what clients call the names
        score: what clients call their scores
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.top_labels(place, scores=scores, count=count, labels=labels, label=label, score=score)


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("top-labels", top_labels, package=_PACKAGE, tools=("numpy",), deterministic=True)
