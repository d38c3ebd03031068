from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from msgspec import Meta

from modelyard.component import (
    Parameter,
    check_values,
    parameters_of,
)
from modelyard.errors import ConfigError, PluginError
from modelyard.params import Fraction, NonNegativeInt, OpenFraction, Port, PositiveFloat, PositiveInt
from tests.component.sample import component, prune

if TYPE_CHECKING:
    pass


PARAMETERS = {
    name: Parameter(name, annotation, default)
    for name, annotation, default in (
        ("fraction", Fraction, 0.5),
        ("open", OpenFraction, 0.5),
        ("count", PositiveInt, 1),
        ("zero", NonNegativeInt, 0),
        ("rate", PositiveFloat, 0.1),
        ("port", Port, 8080),
        ("plain", float, 0.0),
        ("whole", int, 0),
        ("flag", bool, False),
        ("text", str, ""),
        ("choice", Literal["a", "b"], "a"),
        ("numbers", list[float], []),
    )
}


@pytest.mark.parametrize(
    ("key", "value", "result"),
    [
        ("fraction", 1, 1.0),
        ("open", 0.99, 0.99),
        ("count", 1, 1),
        ("zero", 0, 0),
        ("rate", 1e-9, 1e-9),
        ("port", 65535, 65535),
        ("plain", -3, -3.0),
        ("choice", "b", "b"),
        ("numbers", [1, 2.5], [1.0, 2.5]),
    ],
)
def test_a_value_in_range_is_taken(key: str, value: object, result: object) -> None:
    values = check_values(PARAMETERS, {key: value}, "here")
    assert values[key] == result
    assert type(values[key]) is type(result)
    assert values == {name: p.default for name, p in PARAMETERS.items()} | {key: result}


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("fraction", 1.1, "a fraction from 0 to 1"),
        ("fraction", -0.1, "a fraction from 0 to 1"),
        ("fraction", float("nan"), ""),
        ("open", 1, "a fraction from 0 up to, not including, 1"),
        ("count", 0, "a whole number from 1"),
        ("count", 1.5, "a whole number from 1"),
        ("count", True, "a whole number from 1"),
        ("zero", -1, "a whole number from 0"),
        ("rate", 0, "a number above 0"),
        ("rate", float("inf"), ""),
        ("port", 65536, "a TCP port, 1 to 65535"),
        ("plain", "3", "float"),
        ("plain", float("-inf"), ""),
        ("whole", "3", "int"),
        ("flag", 1, "bool"),
        ("text", 3, "str"),
        ("choice", "c", "one of 'a', 'b'"),
        ("numbers", [1, "2"], "a list of float"),
        ("numbers", [1, float("nan")], ""),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(key: str, value: object, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_values(PARAMETERS, {key: value}, "file [table]")
    message = str(caught.value)
    assert message.startswith(f"file [table]: key {key!r}: {value!r} is not allowed")
    assert allowed in message


def test_an_unknown_key_is_named_with_the_nearest_and_all_that_are_allowed() -> None:
    with pytest.raises(ConfigError) as caught:
        check_values(component(prune).parameters, {"epochs": 1, "sparsty": 0.5}, "file [table]")
    expected = (
        "file [table]: unknown key 'sparsty', did you mean 'sparsity'?\n  allowed: epochs, mask, schedule, sparsity"
    )
    assert str(caught.value) == expected


def test_a_required_key_that_is_missing_is_named_with_its_type() -> None:
    with pytest.raises(
        ConfigError, match=r"key 'epochs' is missing\n  it is a whole number from 1; add `epochs = ...`"
    ):
        check_values(component(prune).parameters, {}, "file [table]")


def test_the_keys_of_a_table_have_no_order() -> None:
    """What a component makes of a table must not hang on an order that no action key knows."""
    tables = {"tables": Parameter("tables", dict[str, list[dict[str, int]]], None)}
    found = [
        check_values(tables, {"tables": given}, "file [table]")["tables"]
        for given in ({"b": [{"y": 1, "x": 2}], "a": []}, {"a": [], "b": [{"x": 2, "y": 1}]})
    ]
    assert [repr(one) for one in found] == ["{'a': [], 'b': [{'x': 2, 'y': 1}]}"] * 2


def test_a_type_that_no_configuration_can_hold_is_the_plugins_mistake() -> None:
    odd = {"odd": Parameter("odd", list[int] | list[str], None)}
    with pytest.raises(
        PluginError, match=r"file \[table\]: the parameter 'odd' has a type that no configuration can hold"
    ):
        check_values(odd, {"odd": [1]}, "file [table]")


Mode = Annotated[Literal["a", "b"], Meta(extra={"refused": {"c": ("c is lost", "take b")}})]


def test_a_text_that_is_refused_for_a_reason_says_it_and_what_to_take_instead() -> None:
    def own(*, mode: Mode = "a") -> None:
        """Do nothing."""

    parameters = parameters_of(own, "here")
    with pytest.raises(ConfigError) as found:
        check_values(parameters, {"mode": "c"}, "here")
    assert str(found.value) == "here: key 'mode': 'c' is not allowed: c is lost\n  allowed: one of 'a', 'b'; take b"
    for other in ("d", 3, ["c"]):
        with pytest.raises(ConfigError, match="not allowed") as found:
            check_values(parameters, {"mode": other}, "here")
        assert str(found.value).endswith("\n  allowed: one of 'a', 'b'")
