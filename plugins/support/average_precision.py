"""Average precision of boxes as COCO defines it, by pycocotools, over blocks of samples."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASS = -1
"""The column of the class, last both in a detection and in a label; -1 there: the row is no box."""


@dataclass(frozen=True)
class Precision:
    """How well boxes were found, of each class; None of one that no sample has.

    Attributes:
        average: average precision, the mean over ten overlaps from 0.5 to 0.95.
        at_half: the same at an overlap of 0.5 alone.
        at_three_quarters: the same at 0.75.
        recall: the part of the boxes that is found, the mean over the same ten overlaps.
    """

    average: list[float | None]
    at_half: list[float | None]
    at_three_quarters: list[float | None]
    recall: list[float | None]


class Boxes:
    """An accumulator: takes a block of samples at a time, and merges with others of later samples without any loss.

    It keeps of each detection its score and at which overlaps it is right, not the boxes.

    Attributes:
        classes: how many classes there are.
        most: how many detections of a class count in a sample, those with the highest scores.
    """

    def __init__(self, classes: int, most: int) -> None:
        self.classes, self.most = classes, most
        self.samples = 0
        self._found: list[list[dict[str, Any] | None]] = [[] for _ in range(classes)]

    def update(self, detections: NDArray[Any], labels: NDArray[Any]) -> None:
        """Take further samples.

        Args:
            detections: shape `(samples, detections, 6)`: x1, y1, x2, y2, score, class.
            labels: shape `(samples, boxes, 5)`: x1, y1, x2, y2, class.
        """
        samples = len(detections)
        found = self._evaluator(samples)
        with contextlib.redirect_stdout(io.StringIO()):
            found.cocoGt, found.cocoDt = _annotated(labels, samples), _annotated(detections, samples, scored=True)
            found.evaluate()
        for kind, known in enumerate(self._found):
            known.extend(map(_without_boxes, found.evalImgs[kind * samples : (kind + 1) * samples]))
        self.samples += samples

    def merge(self, later: Boxes) -> None:
        """Take what another found of the samples that follow this one's."""
        for known, further in zip(self._found, later._found, strict=True):
            known.extend(further)
        self.samples += later.samples

    def result(self) -> Precision:
        """Return how well boxes were found in all samples so far."""
        whole = self._evaluator(self.samples)
        whole.evalImgs, whole._paramsEval = [one for kept in self._found for one in kept], whole.params  # noqa: SLF001
        with contextlib.redirect_stdout(io.StringIO()):
            whole.accumulate()
        precision, recall = whole.eval["precision"][..., 0, 0], whole.eval["recall"][..., 0, 0]
        return Precision(
            average=_means(precision),
            at_half=_means(precision[:1]),
            at_three_quarters=_means(precision[5:6]),
            recall=_means(recall),
        )

    def _evaluator(self, samples: int) -> Any:
        from pycocotools.cocoeval import COCOeval

        evaluator = COCOeval(iouType="bbox")
        evaluator.params.imgIds = list(range(samples))
        evaluator.params.catIds = list(range(self.classes))
        evaluator.params.maxDets = [self.most]
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, float("inf")]], ["all"]
        return evaluator


def _annotated(rows: NDArray[Any], samples: int, *, scored: bool = False) -> Any:
    """Return boxes as pycocotools takes them, their ids from 1: it takes 0 for no match."""
    import numpy as np
    from pycocotools.coco import COCO

    sample, place = np.nonzero(rows[..., CLASS] >= 0)
    kept = rows[sample, place].astype(np.float64)
    sizes = np.maximum(kept[:, 2:4] - kept[:, :2], 0)
    known = COCO()
    known.dataset = {
        "images": [{"id": one} for one in range(samples)],
        "annotations": [
            {"id": number, "image_id": int(image), "category_id": int(row[CLASS]), "iscrowd": 0, "area": float(size.prod())}
            | {"bbox": [*row[:2].tolist(), *size.tolist()]}
            | ({"score": float(row[4])} if scored else {})
            for number, (image, row, size) in enumerate(zip(sample, kept, sizes, strict=True), 1)
        ],
    }  # fmt: skip
    known.createIndex()
    return known


def _without_boxes(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what accumulation looks at, the matches as truth values."""
    if found is None:
        return None
    kept = {name: found[name] for name in ("dtScores", "gtIgnore", "dtIgnore")}
    return kept | {"dtMatches": found["dtMatches"].astype(bool)}


def _means(values: NDArray[np.float64]) -> list[float | None]:
    """Return the mean of each class, which is along the last axis; -1 stands for one that no sample has."""
    return [None if (each < 0).all() else float(each.mean()) for each in values.reshape(-1, values.shape[-1]).T]
