"""The task `detection`: where in a sample things are, in boxes, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.params import PositiveInt
from modelyard.task import Agreement, Answers, Score, Scores, Task
from modelyard_plugins.support.average_precision import CLASS, Boxes
from modelyard_plugins.support.positions import mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

MAP = Quantity(name="map", better="higher", unit="fraction", title="mAP", worse="less precise", group="class", detail=0)
MAP_50 = Quantity(name="map_50", better="higher", unit="fraction", title="mAP 50", worse="less precise", group="class")
MAP_75 = Quantity(name="map_75", better="higher", unit="fraction", title="mAP 75", worse="less precise", group="class")
RECALL = Quantity(
    name="mean_recall", better="higher", unit="fraction", title="mean recall", worse="finds fewer", group="class"
)


class Detection(Task):
    """Boxes of classes. Labels have the shape `(samples, boxes, 5)`: x1, y1, x2, y2, class; where the class is -1 there is none.

    A model, or a handler behind it, answers `(samples, detections, 6)`: x1, y1, x2, y2, score, class; likewise.
    """

    says = "sets of boxes"
    number = "a corner or a score"
    block = 128

    def __init__(self, most: int) -> None:
        self.most = most

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a row of six numbers for each detection."""
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_each_class, check_names

        boxes = {name: _boxes(name, getattr(splits, name)) for name in ("train_y", "test_y")}
        given = splits.names or tuple(map(str, range(_highest(boxes["train_y"]) + 1)))
        names = check_names("class_names", given, "class")
        for name, labels in boxes.items():
            _check_rows(name, labels, len(names))
        wanted = OutputFacts(name="detections", shape=("detections", 6), labels=names)
        if not splits.names:  # the highest number says how many there are
            check_each_class(self.counts(boxes["train_y"], wanted), names)
        return wanted

    def stored(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels as float32; of rows that are no box only the class says something."""
        import numpy as np

        return labels.astype(np.float32)

    def counts(self, labels: NDArray[Any], output: OutputFacts) -> tuple[int, ...]:
        """Return in how many samples each class is."""
        return tuple(int((labels[..., CLASS] == one).any(axis=1).sum()) for one in range(len(output.labels)))

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that each row holds numbers, the last of them a class or -1."""
        import numpy as np

        from modelyard.errors import PluginError

        super().check_answers(answers, first)
        if answers.ndim != 3 or answers.shape[-1] != 6:
            msg = (
                f"the runtime answers the shape {answers.shape}\n"
                "  detections are (samples, detections, 6): x1, y1, x2, y2, score, class"
            )
            raise PluginError(msg)
        kinds = answers[..., CLASS]
        good = ((kinds >= -1) & (kinds == np.floor(kinds))).all(axis=1)
        if not good.all():
            row = int(good.argmin())
            wrong = next(one for one in kinds[row].tolist() if one < -1 or one % 1)
            msg = (
                f"the runtime's answer to test sample {first + row} has a detection of the class {wrong:g}\n"
                "  the last of its six numbers is the number of a class, or -1 in a row that is none"
            )
            raise PluginError(msg)

    def accumulator(self, output: OutputFacts) -> _Found:
        """Return what measures mean average precision as COCO does."""
        return _Found(Boxes(len(output.labels), self.most), output.labels)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return in how many samples there are other numbers of boxes of a class, and the largest difference of a number.

        Each box is compared with the nearest of its class: two that score the same may stand in another order.
        """
        import numpy as np

        worst = [_apart(*pair) for pair in zip(own.astype(np.float64), other.astype(np.float64), strict=True)]
        same = [one for one in worst if one is not None]
        return Agreement(len(worst) - len(same), max(same, default=0.0))


class _Found:
    """The figures of the samples so far, see `modelyard.task.Accumulator`."""

    def __init__(self, boxes: Boxes, names: tuple[str, ...]) -> None:
        self._boxes, self._names = boxes, names

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        assert block.labels is not None
        unknown = block.own[..., CLASS].max(initial=-1) >= len(self._names)
        if unknown:
            from modelyard.errors import PluginError

            msg = (
                f"the runtime answers class {block.own[..., CLASS].max():g}, but there are {len(self._names)} class names\n"
                f"  classes count from 0 to {len(self._names) - 1}, in the order of the data set's names"
            )
            raise PluginError(msg)
        self._boxes.update(block.own, block.labels)

    def merge(self, later: _Found) -> None:
        """Take what another found of later samples."""
        self._boxes.merge(later._boxes)

    def result(self) -> Scores:
        """Return precision and recall, the means over the classes and of each."""
        found = self._boxes.result()
        each = (found.average, found.at_half, found.at_three_quarters, found.recall)
        scores = [
            Score(quantity.of(mean(values), None, dict(zip(self._names, values, strict=True))))
            for quantity, values in zip((MAP, MAP_50, MAP_75, RECALL), each, strict=True)
        ]
        return Scores(scores, {"class_names": list(self._names)})


def _apart(own: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return the largest difference between two samples' boxes, each paired with the nearest of its class; None: they do not pair."""
    import numpy as np

    if not (np.isfinite(own).all() and np.isfinite(other).all()):
        return None
    own, other = own[own[:, CLASS] >= 0], other[other[:, CLASS] >= 0]
    if sorted(own[:, CLASS]) != sorted(other[:, CLASS]):
        return None
    apart = np.abs(own[:, None] - other[None]) / np.maximum(1, np.abs(other[None]))
    costs = np.where(own[:, None, CLASS] == other[None, :, CLASS], apart[..., :CLASS].max(axis=-1), np.inf)
    worst = 0.0
    for _ in range(len(own)):
        mine, theirs = np.unravel_index(costs.argmin(), costs.shape)
        worst = max(worst, float(costs[mine, theirs]))
        costs[mine], costs[:, theirs] = np.inf, np.inf
    return worst


def _boxes(name: str, labels: NDArray[Any] | None) -> NDArray[Any]:
    """Return labels that have the shape of boxes.

    Raises:
        DataError: they do not.
    """
    from modelyard.errors import DataError

    if labels is None or labels.ndim != 3 or labels.shape[-1] != 5 or labels.dtype.kind not in "iuf":
        given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
        msg = (
            f"{name}: {given}\n"
            "  boxes are needed: numbers, shape (samples, boxes, 5): x1, y1, x2, y2, class; "
            "give each sample as many rows as the fullest has, those that are no box with the class -1"
        )
        raise DataError(msg)
    return labels


def _highest(labels: NDArray[Any]) -> int:
    import numpy as np

    kinds = labels[..., CLASS]
    return int(kinds.max(initial=-1)) if np.isfinite(kinds).all() else -1


def _check_rows(name: str, labels: NDArray[Any], classes: int) -> None:
    import numpy as np

    from modelyard.errors import DataError

    kinds = labels[..., CLASS]
    there = kinds != -1
    sound = np.isfinite(labels).all(axis=-1)
    known = (kinds >= 0) & (kinds < classes) & (kinds == np.floor(kinds))
    in_order = (labels[..., 2] >= labels[..., 0]) & (labels[..., 3] >= labels[..., 1])
    for wrong, why, advice in (
        (~sound, "is not finite", "give finite numbers, in rows that are no box, too"),
        (there & ~known, f"is of no class: there are {classes} class names", f"classes count from 0 to {classes - 1}; -1 says that there is no box"),
        (there & ~in_order, "has its second corner before its first", "a box is x1, y1, x2, y2, class: of a middle and a size make two corners"),
    ):  # fmt: skip
        if wrong.any():
            row, box = (int(one[0]) for one in np.nonzero(wrong))
            msg = f"{name}: box {box} of sample {row}, {labels[row, box].tolist()}, {why}\n  {advice}"
            raise DataError(msg)


def detection(*, most: PositiveInt = 100) -> Task:
    """Boxes, and what is in them: mean average precision as COCO defines it, and recall; in all and of each class.

    Args:
        most: how many detections of a class count in a sample, those with the highest scores.
    """
    return Detection(most)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "detection",
        detection,
        metrics=(MAP, MAP_50, MAP_75, RECALL),
        tools=("numpy", "pycocotools"),
        deterministic=True,
    )
