"""The task `segmentation`: a class for each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Score, Scores, Task
from modelyard_plugins.support.positions import Confusion, PerPosition, mean, rate

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

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

    def accumulator(self, output: OutputFacts) -> _Masks:
        """Return what measures it."""
        return _Masks(output.labels)


class _Masks(Confusion):
    """What is taken for what, and the figures of it, see `modelyard.task.Accumulator`."""

    def result(self) -> Scores:
        """Return the mean intersection over union, and how many pixels are right; of each class, too.

        Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (2015), section 4.3.
        """
        from modelyard.metrics.sampled import mean_of

        names, found, right = self.names, self.found, self.right
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
