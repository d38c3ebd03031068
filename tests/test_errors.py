from __future__ import annotations

import inspect

import pytest

from modelyard import errors
from modelyard.errors import ModelyardError, did_you_mean, listing


@pytest.mark.parametrize(
    ("name", "text"), [("int88", ", did you mean 'int8'?"), ("Prune", ", did you mean 'prune'?"), ("xyzzy", "")]
)
def test_did_you_mean_names_the_nearest_or_nothing(name: str, text: str) -> None:
    assert did_you_mean(name, ["int8", "float16", "prune"]) == text


def test_did_you_mean_of_nothing_is_nothing() -> None:
    assert did_you_mean("a", []) == ""


def test_listing_is_sorted_and_says_so_when_empty() -> None:
    assert listing(name for name in ("b", "a")) == "a, b"
    assert listing([]) == "(none)"


def test_every_error_is_a_modelyard_error_with_a_docstring() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    assert len(classes) > 5
    for kind in classes:
        assert issubclass(kind, ModelyardError)
        assert kind.__doc__
