"""The types of parameters: what each lets through, at its bounds, and what a page says of it."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard import params
from modelyard.component import Parameter, check_values
from modelyard.errors import ConfigError

OWN = (params.OwnLoss, params.OwnStep, params.OwnCallbacks, params.OwnBuilder)
OF_TRAINERS = {
    name: found
    for name, found in vars(params).items()
    if not name.startswith("_") and any("doc" in (one.extra or {}) for one in getattr(found, "__metadata__", ()))
}


def checked(annotation: Any, value: Any) -> Any:
    """Return what a component gets for a value of its table."""
    return check_values({"key": Parameter("key", annotation, 0)}, {"key": value}, "[table]")["key"]


@pytest.mark.parametrize(
    ("annotation", "least", "most"),
    [
        (params.Fraction, 0.0, 1.0),
        (params.OpenFraction, 0.0, 0.999),
        (params.PositiveInt, 1, 10**9),
        (params.NonNegativeInt, 0, 10**9),
        (params.PositiveFloat, 1e-9, 1e9),
        (params.Port, 1, 65535),
        (params.Epochs, 1, 10**6),
        (params.BatchSize, 1, 10**6),
        (params.LearningRate, 1e-9, 10.0),
        (params.EarlyStopping, 0, 10**6),
        (params.ValidationFraction, 0.0, 0.999),
        (params.Shift, 0, 10**6),
        (params.ShuffleBlock, 0, 10**6),
        (params.Buckets, 0, 10**6),
    ],
)
def test_the_ends_of_a_range_are_in_it(annotation: Any, least: float, most: float) -> None:
    assert checked(annotation, least) == least
    assert checked(annotation, most) == most


@pytest.mark.parametrize(
    ("annotation", "value", "allowed"),
    [
        (params.Fraction, -0.001, "a fraction from 0 to 1"),
        (params.Fraction, 1.001, "a fraction from 0 to 1"),
        (params.OpenFraction, 1, "a fraction from 0 up to, not including, 1"),
        (params.PositiveInt, 0, "a whole number from 1"),
        (params.PositiveInt, 1.5, "a whole number from 1"),
        (params.NonNegativeInt, -1, "a whole number from 0"),
        (params.PositiveFloat, 0, "a number above 0"),
        (params.Port, 0, "a TCP port, 1 to 65535"),
        (params.Port, 65536, "a TCP port, 1 to 65535"),
        (params.Epochs, 0, "a whole number from 1"),
        (params.ValidationFraction, 1.0, "a fraction from 0 up to, not including, 1"),
        (params.InputPath, "", "a file or folder, relative to the project"),
        (params.ClassWeights, "balance", "one of 'none', 'balanced'"),
        (params.Precision, "float16", "one of 'float32', 'bfloat16'"),
        (params.Schedule, "linear", "one of 'constant', 'cosine'"),
    ],
)
def test_what_is_outside_is_refused_with_what_is_allowed(annotation: Any, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(annotation, value)
    assert str(caught.value).startswith(f"[table]: key 'key': {value!r} is not allowed")
    assert allowed in str(caught.value)


@pytest.mark.parametrize("value", ["training:loss", "a.b_c.d2:_own", ""])
def test_a_function_of_the_project_is_a_module_and_a_name_in_it(value: str) -> None:
    assert [checked(annotation, value) for annotation in OWN] == [value] * len(OWN)


@pytest.mark.parametrize(
    "value", ["loss", "training.py:loss()", ":loss", "training:", "a..b:c", "a:b.c", "a:b\n", "2a:b", "a/b:c"]
)
def test_what_names_no_function_is_refused(value: str) -> None:
    for annotation in OWN:
        with pytest.raises(ConfigError, match="'module:function' of the project's own code"):
            checked(annotation, value)


def test_a_function_is_looked_for_with_as_many_arguments_as_it_is_called_with() -> None:
    assert [Parameter("key", annotation, "").names_function for annotation in OWN] == [2, 4, 1, 0]
    assert Parameter("key", params.Epochs, 1).names_function is None


def test_the_content_of_a_file_counts_and_not_its_name() -> None:
    assert Parameter("table", params.InputPath, None).is_input
    assert Parameter("table", params.InputPath | None, None).is_input
    assert not Parameter("text", params.OwnLoss, "").is_input


def test_what_nearly_every_trainer_takes_says_what_it_means() -> None:
    assert {"Epochs", "LearningRate", "OwnLoss", "Schedule", "Flip", "Buckets"} <= set(OF_TRAINERS)
    for name, annotation in OF_TRAINERS.items():
        doc = Parameter("key", annotation, 0).doc
        assert doc.endswith("."), name
        assert doc[0] in "`0" or doc[0].islower(), f"{name}: it goes on behind the parameter's name"
