"""Handler `nms`: many boxes to few."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelyard import hookimpl
from modelyard.params import Fraction, PositiveInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def nms(
    place: Place,
    *,
    boxes: str = "boxes",
    scores: str = "scores",
    overlap: Fraction = 0.5,
    least_score: float = 0.5,
    most: PositiveInt = 100,
    form: Literal["corners", "centres"] = "corners",
    give: Literal["parts", "detections"] = "parts",
) -> Handler:
    """Keeps the best boxes of each class: those that overlap with a better one are left out.

    Args:
        place: where it stands.
        boxes: what the boxes are called, four numbers each
        scores: what their scores are called, one for each box, or one for each box and class
        overlap: the intersection over the union from which on the lesser box of two is left out
        least_score: boxes with lower scores are left out
        most: how many boxes a sample has at most
        form: what the four numbers are: corners, x1, y1, x2, y2; or centres, x, y, width, height
        give: what it gives: parts, the tensors boxes, scores, classes and count; or one tensor, detections, of six numbers a box: x1, y1, x2, y2, score, class
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.nms(
        place, boxes=boxes, scores=scores, overlap=overlap, least_score=least_score, most=most, form=form, give=give
    )


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("nms", nms, package=_PACKAGE, tools=("numpy",), deterministic=True)
