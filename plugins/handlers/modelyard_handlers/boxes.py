"""Many boxes to few: those that overlap with a better one are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.serving.handlers import Handler, Place, Tensors


def nms(
    place: Place,
    *,
    boxes: str,
    scores: str,
    overlap: float,
    least_score: float,
    most: int,
    form: str,
    give: str = "parts",
) -> Handler:
    """Return what keeps the best boxes of each class: greedy non-maximum suppression.

    It gives `boxes`, float32, shape `(N, most, 4)`, as corners `x1, y1, x2, y2` in the units that it was given; `scores`,
    float32, and `classes`, int32, both of the shape `(N, most)`, the highest score first; and `count`, int32, shape `(N,)`:
    how many of them are boxes. What is behind these is 0. Or it gives `detections`, float32, shape `(N, most, 6)`: the
    corners, the score and the class of each; in rows that are no box the class is -1 and the rest 0.

    Args:
        place: where it stands.
        boxes: what the tensor with the boxes is called, shape `(N, anchors, 4)`.
        scores: what the one with their scores is called, shape `(N, anchors)`, or `(N, anchors, classes)`.
        overlap: the intersection over the union from which on the lesser box of two is left out.
        least_score: boxes with lower scores are left out.
        most: how many boxes a sample has at most.
        form: `corners`, `x1, y1, x2, y2`, or `centres`, `x, y, width, height`.
        give: `parts` or `detections`.
    """

    def one(found: NDArray[Any], each: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        corners = _corners(found) if form == "centres" else found
        each = each.reshape(len(each), -1)
        kept = [
            (float(each[row, kind]), kind, row)
            for kind in range(each.shape[1])
            for row in _kept(corners, each[:, kind], overlap, least_score, most)
        ]
        kept.sort(key=lambda item: (-item[0], item[1], item[2]))
        return _padded(corners, kept[:most], most)

    def run(tensors: Tensors) -> dict[str, Any]:
        columns = zip(*map(one, tensors[boxes], tensors[scores]), strict=True)
        parts = dict(zip(("boxes", "scores", "classes", "count"), map(np.stack, columns), strict=True))
        return parts if give == "parts" else {"detections": _joined(**parts)}

    taken = [place.tensor(boxes, shape=("anchors", 4)), place.tensor(scores, shape=("...",))]
    if give == "detections":
        return place.handler(run, taken, [place.tensor("detections", shape=(most, 6))])
    given = [place.tensor("boxes", shape=(most, 4)), place.tensor("scores", shape=(most,))]
    given += [place.tensor("classes", "int32", (most,)), place.tensor("count", "int32")]
    return place.handler(run, taken, given)


def _corners(boxes: NDArray[Any]) -> NDArray[Any]:
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _kept(boxes: NDArray[Any], scores: NDArray[Any], overlap: float, least: float, most: int) -> list[int]:
    """Return the rows of the boxes that stay, the highest score first."""
    left = np.argsort(-scores, kind="stable")
    left = left[scores[left] >= least]
    kept: list[int] = []
    while len(left) and len(kept) < most:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        left = left[_overlaps(boxes[best], boxes[left]) < overlap]
    return kept


def _overlaps(box: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return the intersection over the union of a box, shape `(4,)`, with others, shape `(n, 4)`; shape `(n,)`."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=1)
    area, areas = np.maximum(box[2:] - box[:2], 0).prod(), np.maximum(others[:, 2:] - others[:, :2], 0).prod(axis=1)
    found: NDArray[Any] = common / np.maximum(area + areas - common, np.finfo(np.float32).tiny)
    return found


def _padded(boxes: NDArray[Any], kept: list[tuple[float, int, int]], most: int) -> tuple[NDArray[Any], ...]:
    places = np.zeros((most, 4), np.float32)
    scores, classes = np.zeros(most, np.float32), np.zeros(most, np.int32)
    for number, (score, kind, row) in enumerate(kept):
        places[number], scores[number], classes[number] = boxes[row], score, kind
    return places, scores, classes, np.asarray(len(kept), np.int32)


def _joined(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], count: NDArray[Any]) -> NDArray[Any]:
    """Return a row of six numbers for each box, shape `(N, most, 6)`, float32."""
    there = np.arange(boxes.shape[1]) < count[:, None]
    kinds = np.where(there, classes, -1).astype(np.float32)
    joined: NDArray[Any] = np.concatenate([boxes, scores[..., None], kinds[..., None]], axis=-1)
    return joined
