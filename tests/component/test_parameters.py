from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.component import REQUIRED, check_values, parameters_of
from modelyard.errors import ConfigError, PluginError
from modelyard.params import Epochs, PositiveInt
from tests.component.sample import component, prune

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


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


def test_a_parameter_without_a_type_is_an_error_that_names_it() -> None:
    def loose(context: object, *, epochs=3) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 - what is told

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


def test_what_a_positional_argument_is_may_be_known_to_type_checkers_alone() -> None:
    def component(context: SomeContext, *, size: int = 1) -> Array:  # type: ignore[name-defined] # noqa: F821
        """Do something."""

    assert parameters_of(component, "some")["size"].annotation is int
