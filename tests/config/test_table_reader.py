from __future__ import annotations

import pytest
from tests.configs import Load


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Ünder_score.X", "nder-score-x"), ("a" * 51 + "-b", "a" * 51), ("---", "project"), ("x", "x")],
)
def test_the_name_is_made_from_that_of_the_distribution(name: str, expected: str, load: Load) -> None:
    assert load({"project": f'name = "{name}"'}).name == expected


def test_the_name_is_the_folders_without_a_distribution(load: Load) -> None:
    assert load({"project": None}).name == "some-project"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('metrics = ["macro-f1"]', "['macro-f1'] is not a table\n  write [tool.modelyard.metrics.macro-f1]"),
        ('task = "regression"', "'regression' is not a table\n  write [tool.modelyard.task] use = \"regression\""),
        ("gates = 3", "3 is not a table\n  write [tool.modelyard.gates]"),
    ],
)
def test_what_should_be_a_table_is_written_as_one(text: str, told: str, load: Load) -> None:
    assert load.refused({"tool.modelyard": text}).endswith(told)
