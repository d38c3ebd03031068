"""The tables of several outputs: what each may say, and what is told of a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.component import Component, Source, Use
from modelyard.config.outputs import are_several, output_tasks
from modelyard.errors import ConfigError
from modelyard.metrics import Quantity
from modelyard.toml.places import ConfigSource

WHERE = ConfigSource().where("task")


def take(given: Any, where: Any) -> Use:
    quantity = Quantity(name=given["measures"], better="higher", unit="fraction", group="class")
    source = Source("tests", "project", Path(__file__))
    return Use(Component("task", "any", take, source, metrics=(quantity,)), {})


def test_each_output_has_the_task_that_its_table_says() -> None:
    tables: dict[str, Any] = {"kind": {"measures": "accuracy"}, "place": {"measures": "r2"}}
    tables["place"]["weight"] = 2
    assert {name: one.weight for name, one in output_tasks({"outputs": tables}, WHERE, take).items()} == {
        "kind": 1.0,
        "place": 2.0,
    }


def test_a_task_that_is_named_may_have_a_parameter_of_that_name() -> None:
    assert are_several({"outputs": {}})
    assert not are_several({"use": "mine", "outputs": 3})
    assert not are_several({})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"outputs": {}}, r"\{\} is not allowed\n  write a table for each output"),
        ({"outputs": ["kind"]}, r"\['kind'\] is not allowed"),
        ({"outputs": {"kind": "classification"}}, r"'classification' is not a table\n  write \[tool\.modelyard\.task\.outputs\.kind\] use"),
        ({"outputs": {"Kind": {}}}, r"'Kind' is not allowed as the name of an output"),
        ({"outputs": {"kind": {"measures": "a"}}, "ignore": 3}, r"key 'ignore': 'outputs' stands alone"),
        ({"outputs": {"kind": {"measures": "accuracy", "weight": -1}}}, r"key 'weight': -1 is not allowed: .*\n  allowed: a number from 0"),
        ({"outputs": {"gzip": {"measures": "size"}}}, r"'gzip' makes names that there are already: gzip_size"),
        ({"outputs": {"a": {"measures": "b_c"}, "a_b": {"measures": "c"}}}, r"'a_b' makes names that there are already: a_b_c"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(table: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        output_tasks(table, WHERE, take)
