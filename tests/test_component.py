from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from msgspec import Meta

from modelyard.component import (
    REQUIRED,
    Component,
    Parameter,
    Source,
    argument_docs,
    check_values,
    parameters_of,
    type_name,
)
from modelyard.errors import ConfigError, PluginError
from modelyard.params import Epochs, Fraction, InputPath, NonNegativeInt, OpenFraction, Port, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowhere import Unknown  # type: ignore[import-not-found]

    from modelyard.contexts import StageContext


def prune(
    context: StageContext,
    *,
    sparsity: Fraction = 0.5,
    epochs: PositiveInt,
    schedule: Literal["constant", "polynomial"] = "constant",
    mask: InputPath | None = None,
) -> None:
    """Set small weights to zero.

    Longer text: with a colon.

    Args:
        context: not a parameter of the configuration.
        sparsity: how many weights are zero
            when it is done.
        epochs (int): how often the data is seen.

    Raises:
        DataError: never.
    """


def component(function: Callable[..., Any]) -> Component:
    return Component("optimizer", "x", function, Source("p", "project", Path("plugins/p.py")))


def test_the_keyword_only_parameters_are_the_configuration() -> None:
    found = component(prune).parameters
    assert list(found) == ["sparsity", "epochs", "schedule", "mask"]
    assert found["sparsity"].default == 0.5
    assert found["epochs"].default is REQUIRED
    assert found["sparsity"].doc == "how many weights are zero when it is done."
    assert found["epochs"].doc == "how often the data is seen."
    assert [name for name, parameter in found.items() if parameter.is_input] == ["mask"]


def test_a_type_may_say_what_a_parameter_means_and_a_line_of_the_function_says_it_better() -> None:
    def train(context: object, *, epochs: Epochs = 1, more: Epochs | None = None, pruning: Epochs = 2) -> None:
        """Train.

        Args:
            pruning: of those, how many prune.
        """

    found = parameters_of(train, "here")
    assert {name: parameter.doc for name, parameter in found.items()} == {
        "epochs": "how often to go through the training split, at most.",
        "more": "how often to go through the training split, at most.",
        "pruning": "of those, how many prune.",
    }
    assert {parameter.type_name for parameter in found.values()} == {
        "a whole number from 1",
        "a whole number from 1 (or left out)",
    }
    with pytest.raises(ConfigError, match="key 'epochs': 0 is not allowed"):
        check_values(found, {"epochs": 0}, "here")


def test_types_are_named_as_a_person_writes_them() -> None:
    names = {name: parameter.type_name for name, parameter in component(prune).parameters.items()}
    assert names == {
        "sparsity": "a fraction from 0 to 1",
        "epochs": "a whole number from 1",
        "schedule": "one of 'constant', 'polynomial'",
        "mask": "a file or folder, relative to the project (or left out)",
    }
    assert type_name(int | str) == "int or str"
    assert type_name(list[int]) == "a list of int"
    assert type_name(dict[str, list[int]]) == "a table of which each value is a list of int"


def test_a_wrapped_function_keeps_its_parameters_and_file() -> None:
    @functools.wraps(prune)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        prune(*args, **kwargs)

    assert list(component(wrapper).parameters) == ["sparsity", "epochs", "schedule", "mask"]
    assert component(wrapper).file == Path(__file__)


def test_the_summary_is_the_docstrings_first_line() -> None:
    assert component(prune).summary == "Set small weights to zero"
    assert component(lambda: None).summary == ""


def test_a_parameter_without_a_type_is_an_error_that_names_it() -> None:
    def loose(context: object, *, epochs=3) -> None: ...  # noqa: ANN001 - what is told

    with pytest.raises(PluginError, match=r"^here: parameter 'epochs' has no annotation\n  write its type"):
        parameters_of(loose, "here")


def test_a_positional_parameter_is_refused_because_no_configuration_reaches_it() -> None:
    def loose(context: object, levels: int = 3, *, epochs: int = 1) -> None: ...

    with pytest.raises(PluginError) as caught:
        parameters_of(loose, "here")
    expected = (
        "here: parameter 'levels' is positional, so no configuration reaches it\n"
        "  put a `*` before it: what stands behind it is the configuration, 'levels' too"
    )
    assert str(caught.value) == expected
    assert list(parameters_of(loose, "here", arguments=2)) == ["epochs"]


def test_a_union_that_would_end_the_process_is_refused() -> None:
    def sized(context: object, *, size: PositiveInt | tuple[int, int] = 1) -> None: ...

    with pytest.raises(PluginError, match=r"^here: parameter 'size' holds a value with bounds or a tuple of fixed"):
        parameters_of(sized, "here")


def test_a_type_that_is_not_imported_is_an_error_that_names_it() -> None:
    def loose(context: object, *, epochs: Unknown = 3) -> None: ...

    with pytest.raises(PluginError, match=r"^here: cannot read the parameters' annotations: name 'Unknown'"):
        parameters_of(loose, "here")


def test_argument_docs_end_with_their_section() -> None:
    doc = "First.\n\nArgs:\n    a: one: two\n        three\n    b (int): four\n\nReturns:\n    c: not an argument"
    assert argument_docs(doc) == {"a": "one: two three", "b": "four"}
    assert argument_docs("Nothing here: at all.") == {}


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


def test_what_a_positional_argument_is_may_be_known_to_type_checkers_alone() -> None:
    def component(context: SomeContext, *, size: int = 1) -> Array:  # type: ignore[name-defined] # noqa: F821
        """Do something."""

    assert parameters_of(component, "some")["size"].annotation is int
