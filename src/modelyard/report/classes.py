"""What a task tells of classes in an evaluation's details; a task without classes tells nothing of the kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from modelyard.report.facts import Confusion, ConfusionMatrix

if TYPE_CHECKING:
    from modelyard.report.material import Material

_CONFUSIONS = 20
"""The most frequent mistakes of a variant that are told."""


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The details of a task with classes.

    Attributes:
        class_names: one name a class, in the order of the labels.
        confusion: a row a class, a column an answer: how many are of the one and were taken for the other.
        accuracy: fraction of the samples that are labelled rightly; None if the task does not tell it.
        per_class: the accuracy on each class, None without a sample; none if the task does not tell it.
    """

    class_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: float | None = None
    per_class: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a matrix that is not one row and one column a class."""
        if {len(self.confusion), *map(len, self.confusion)} != {len(self.class_names)}:
            msg = "the confusion matrix has not as many rows and columns as there are classes"
            raise ValueError(msg)


def classes_of(details: Mapping[str, Any]) -> Classes | None:
    """Return what the details of an evaluation say of classes; None if they say nothing of the kind.

    Details are what a task likes to tell, not a contract: one that means something else by these names is no mistake.
    """
    try:
        return msgspec.convert(details, Classes)
    except msgspec.ValidationError:
        return None


class Part(NamedTuple):
    """Classes of one of several outputs, of the test split or of a further test set; an empty name stands for neither."""

    output: str
    test_set: str
    classes: Classes

    @property
    def told(self) -> str:
        """Of what it is, in words."""
        return (
            " on ".join(filter(None, (self.output, self.test_set))) if self.output else f"the test set {self.test_set}"
        )


def parts_of(details: Mapping[str, Any]) -> list[Part]:
    """Return what the details of an evaluation say of classes beside those of the only output on the test split."""
    sets = details.get("test_sets")
    every = [("", details), *(sets.items() if isinstance(sets, Mapping) else ())]
    found = [Part(output, name, one) for name, own in every for output, one in _by_output(own)]
    return [one for one in found if one.output or one.test_set]


def _by_output(details: Any) -> Iterator[tuple[str, Classes]]:
    """Yield what details say of classes, by output; that of an only one has no name."""
    outputs = details.get("outputs") if isinstance(details, Mapping) else None
    for name, own in outputs.items() if isinstance(outputs, Mapping) else [("", details)]:
        if isinstance(own, Mapping) and (classes := classes_of(own)) is not None:
            yield name, classes


def names_of(details: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names in the details of an evaluation; none if it has none."""
    try:
        return msgspec.convert(details.get("class_names", ()), tuple[str, ...])
    except msgspec.ValidationError:
        return ()


def answers_classes(material: Material, variant: str) -> bool:
    """Tell whether an answer of a variant is a number for each class, of which the largest is what it says."""
    classes = classes_of(material.measured[variant].evaluation.details)
    return classes is not None and material.answers[variant].shape[1:] == (len(classes.class_names),)


def confusion_matrix(classes: Classes) -> ConfusionMatrix:
    """Return the cells of the matrix that are not 0."""
    cells = [(i, j, count) for i, row in enumerate(classes.confusion) for j, count in enumerate(row) if count]
    label, answer, count = zip(*cells, strict=True) if cells else ((), (), ())
    return ConfusionMatrix(label=label, answer=answer, count=count)


def confusions(classes: Classes) -> tuple[Confusion, ...]:
    """Return the most frequent mistakes, the most frequent first."""
    names, matrix = classes.class_names, classes.confusion
    cells = [(-count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count]
    return tuple(
        Confusion(label=names[i], answer=names[j], count=-count) for count, i, j in sorted(cells)[:_CONFUSIONS]
    )
