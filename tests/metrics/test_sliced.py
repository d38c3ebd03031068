"""A metric by the values of a column: its own value is the worst, and gates are on the groups."""

from __future__ import annotations

import pytest

from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.sliced import over_folds, sliced, worst
from modelyard.metrics.standard import SIZE

ACCURACY = Quantity(name="accuracy", better="higher", unit="fraction", group="class", sampled=True, detail=0)
MAE = Quantity(name="mae", better="lower", title="MAE", sampled=True)


def test_each_column_has_one_of_each_quantity() -> None:
    found = sliced([ACCURACY, MAE], ["light", "site"])
    assert [one.name for one in found] == ["light_accuracy", "light_mae", "site_accuracy", "site_mae"]
    assert [one.head for one in found[:2]] == ["accuracy by light", "MAE by light"]
    assert {(one.group, one.objective, one.is_worst) for one in found[:2]} == {("light", False, True)}
    assert sliced([ACCURACY], []) == ()


def test_a_column_of_a_further_test_set_is_called_after_both() -> None:
    (found,) = sliced([ACCURACY], ["night.camera"])
    assert (found.name, found.head, found.group) == ("night_camera_accuracy", "accuracy by camera on night", "camera")
    assert list(gates_of([found])) == ["min_night_camera_accuracy", "max_night_camera_accuracy_drop"]


def test_means_over_folds_are_of_what_says_how_good_answers_are() -> None:
    (accuracy, mae) = over_folds([ACCURACY, MAE, SIZE])
    assert (accuracy.name, accuracy.head, accuracy.group) == ("folds_accuracy", "accuracy over folds", "")
    assert (mae.name, mae.objective) == ("folds_mae", False)
    assert list(gates_of([accuracy])) == ["min_folds_accuracy", "max_folds_accuracy_drop"]


def test_gates_are_called_after_the_column_and_look_at_each_value() -> None:
    gates = gates_of(sliced([ACCURACY, MAE], ["light"]))
    assert list(gates) == ["min_light_accuracy", "max_light_accuracy_drop", "max_light_mae", "max_light_mae_ratio"]
    assert [one.by_group for one in gates.values()] == [True, True, False, False]


@pytest.mark.parametrize(("quantity", "least"), [(ACCURACY, 0.5), (MAE, 0.75)])
def test_the_worst_is_the_lowest_where_higher_is_better_and_else_the_highest(quantity: Quantity, least: float) -> None:
    (by_light,) = sliced([quantity], ["light"])
    found = worst(by_light, {"day": quantity.of(0.75, (0.7, 0.8)), "night": quantity.of(0.5)})
    assert (found.value, found.per_group, found.interval) == (least, {"day": 0.75, "night": 0.5}, None)


def test_a_value_of_which_nothing_counts_is_not_the_worst() -> None:
    (by_light,) = sliced([ACCURACY], ["light"])
    nothing = ACCURACY.of(0.0, None, {"a": None, "b": None})
    some = ACCURACY.of(0.75, None, {"a": 0.75, "b": None})
    found = worst(by_light, {"day": some, "dusk": nothing})
    assert (found.value, found.per_group) == (0.75, {"day": 0.75, "dusk": None})
