from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from modelyard.report.classes import (
    Classes,
    answers_classes,
    classes_of,
    confusion_matrix,
    confusions,
    names_of,
    parts_of,
)
from modelyard.report.facts import Confusion
from modelyard.report.material import Material
from modelyard.variants.evaluation import Latency, Measured
from tests.tasks import evaluation

DETAILS: dict[str, Any] = {"class_names": ["cat", "dog"], "confusion": [[7, 1], [0, 9]], "accuracy": 0.9, "more": 1}


def test_details_of_classes_are_read_and_what_stands_beside_is_left() -> None:
    assert classes_of(DETAILS) == Classes(class_names=("cat", "dog"), confusion=((7, 1), (0, 9)), accuracy=0.9)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"class_names": ["cat", "dog"]},
        {**DETAILS, "confusion": [[7, 1]]},
        {**DETAILS, "confusion": [[7, 1], [0]]},
        {**DETAILS, "class_names": ["cat"]},
        {**DETAILS, "confusion": "great"},
        {**DETAILS, "confusion": [[0.5, 0.5], [0.0, 1.0]]},
        {**DETAILS, "accuracy": "high"},
    ],
)
def test_details_that_mean_something_else_by_these_names_are_none(other: dict[str, Any]) -> None:
    assert classes_of(other) is None


def test_outputs_and_test_sets_are_parts_and_what_is_no_mapping_is_none() -> None:
    details = {
        **DETAILS,
        "outputs": {"kind": DETAILS, "place": {"spread": 2}, "note": "text"},
        "test_sets": {"night": DETAILS, "fog": {"outputs": {"kind": DETAILS}}, "rain": 3},
    }
    parts = parts_of(details)
    assert [(one.output, one.test_set, one.told) for one in parts] == [
        ("kind", "", "kind"),
        ("", "night", "the test set night"),
        ("kind", "fog", "kind on fog"),
    ]
    assert {one.classes for one in parts} == {classes_of(DETAILS)}
    assert parts_of(DETAILS) == []
    assert parts_of({"test_sets": ["night"], "outputs": 3}) == []


@pytest.mark.parametrize(
    ("details", "names"),
    [(DETAILS, ("cat", "dog")), ({}, ()), ({"class_names": [1, 2]}, ()), ({"class_names": "cat"}, ())],
)
def test_names_are_those_that_are_texts(details: dict[str, Any], names: tuple[str, ...]) -> None:
    assert names_of(details) == names


def matrices(most: int = 5) -> st.SearchStrategy[Classes]:
    def of_size(size: int) -> st.SearchStrategy[Classes]:
        row = st.lists(st.integers(0, 9), min_size=size, max_size=size).map(tuple)
        names = tuple(f"c{number}" for number in range(size))
        rows = st.lists(row, min_size=size, max_size=size).map(tuple)
        return rows.map(lambda found: Classes(class_names=names, confusion=found))

    return st.integers(1, most).flatmap(of_size)


@given(matrices())
def test_the_cells_make_the_matrix_and_none_of_them_is_0(classes: Classes) -> None:
    cells = confusion_matrix(classes)
    dense = np.zeros((len(classes.class_names),) * 2, int)
    np.add.at(dense, (list(cells.label), list(cells.answer)), list(cells.count))
    assert dense.tolist() == [list(row) for row in classes.confusion]
    assert 0 not in cells.count
    assert list(zip(cells.label, cells.answer, strict=True)) == sorted(zip(cells.label, cells.answer, strict=True))


@given(matrices(7))
def test_mistakes_are_the_twenty_most_frequent_that_are_some(classes: Classes) -> None:
    found = confusions(classes)
    off = [n for i, row in enumerate(classes.confusion) for j, n in enumerate(row) if i != j and n]
    assert [one.count for one in found] == sorted(off, reverse=True)[:20]
    assert all(one.label != one.answer for one in found)


def test_a_mistake_names_what_it_is_and_what_it_is_taken_for() -> None:
    (only,) = confusions(Classes(class_names=("cat", "dog"), confusion=((7, 1), (0, 9))))
    assert only == Confusion(label="cat", answer="dog", count=1)


@pytest.mark.parametrize(("shape", "expected"), [((5, 2), True), ((5, 3), False), ((5, 2, 2), False), ((5,), False)])
def test_answers_are_of_classes_if_each_is_a_number_for_each(shape: tuple[int, ...], expected: bool) -> None:
    latency = Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=9, warmup=1)
    told, silent = (replace(evaluation(accuracy=1, size=1, gzip=1), details=d) for d in (DETAILS, {}))
    material = Material(
        dataset=None,
        data="",
        measured={"told": Measured(told, latency), "silent": Measured(silent, latency)},
        measured_on={},
        answers=dict.fromkeys(("told", "silent"), np.zeros(shape)),
    )
    assert answers_classes(material, "told") is expected
    assert not answers_classes(material, "silent")
