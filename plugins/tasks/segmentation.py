"""The task `segmentation`: a class for each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task
from modelyard_plugins.support.positions import PerPosition, confusion, mean, rate

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterTask

MEAN_IOU = Quantity(
    name="mean_iou", better="higher", unit="fraction", title="mean IoU", worse="less exact", group="class", detail=0
)
PIXEL_ACCURACY = Quantity(
    name="pixel_accuracy", better="higher", unit="fraction", worse="less accurate", group="class", sampled=True
)


class Segmentation(PerPosition):
    """A class for each pixel: labels are masks, shape `(samples, height, width)`."""

    says = "masks"
    position = "pixel"

    def measure(self, answers: Answers) -> Scores:
        """Measure the mean intersection over union, and how many pixels are right; of each class, too.

        Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (2015), section 4.3.
        """
        from modelyard.metrics.sampled import mean_of

        names = answers.output.labels
        found, right = confusion(answers, names)
        hits, there, said = found.diagonal(), found.sum(axis=1), found.sum(axis=0)
        ious = rate(hits, there + said - hits)
        iou = MEAN_IOU.of(mean(ious), None, dict(zip(names, ious, strict=True)))
        accuracy = mean_of(PIXEL_ACCURACY, right, dict(zip(names, rate(hits, there), strict=True)))
        details = {"class_names": list(names), "confusion": found.tolist()}
        return Scores([Score(iou), Score(accuracy, right)], details)


def segmentation(*, ignore: int | None = None) -> Task:
    """A class for each pixel: mean intersection over union, and how many pixels are right, in all and of each class.

    Args:
        ignore: the label of pixels that do not count, for instance 255; by default all count.
    """
    return Segmentation(ignore)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "segmentation",
        segmentation,
        metrics=(MEAN_IOU, PIXEL_ACCURACY),
        loss="cross-entropy",
        tools=("numpy",),
        deterministic=True,
    )
