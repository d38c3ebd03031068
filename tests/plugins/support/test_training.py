from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tests.plugins.conftest import Bench

from modelyard.artifacts import Dataset, SplitFacts
from modelyard.errors import DataError, PluginError, StageFailed
from modelyard_plugins.support.training import (
    Teller,
    check_input_dtype,
    check_shape,
    last_figures,
    training_rows,
)


def test_figures_of_an_epoch_are_called_what_they_are() -> None:
    history: dict[str, list[float]] = {"epoch": [1, 2], "loss": [0.5, 0.25], "val_loss": [0.75, 1.0]}
    assert last_figures(history) == {"train_loss": 0.25, "val_loss": 1.0}
    assert last_figures(history, 0) == {"train_loss": 0.5, "val_loss": 0.75}


def test_a_line_an_epoch_and_progress_in_epochs(bench: Bench) -> None:
    teller = Teller(bench.stage(), epochs=2, steps=4)
    teller.begin(0)
    teller.step(1)
    teller.step(2)  # too soon to be told
    teller.end({"loss": 0.5})
    teller.begin(1)
    teller.end({"loss": 0.25})
    assert bench.told == [(0.25, 2), (1, 2), (2, 2)]
    assert [line.rpartition("  ")[0] for line in bench.lines] == ["epoch 1/2  loss 0.5000", "epoch 2/2  loss 0.2500"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_stops_with_advice(bench: Bench, value: float) -> None:
    teller = Teller(bench.stage(), epochs=3, steps=1)
    teller.begin(1)
    with pytest.raises(StageFailed, match=r"epoch 2: a figure is not finite: loss (nan|inf)\n  try a smaller"):
        teller.end({"loss": value})


def test_rows_to_train_on_and_rows_to_set_apart(stripes_dataset: Dataset, bench: Bench) -> None:
    context = bench.train(stripes_dataset, dict)
    kept, apart = training_rows(context, 0.0)
    assert (len(kept), len(apart)) == (192, 0)
    kept, apart = training_rows(context, 0.25)
    assert sorted([*kept, *apart]) == list(range(192))
    assert np.bincount(stripes_dataset.y("train")[apart]).tolist() == [16, 16, 16]


def test_a_class_without_a_sample_cannot_be_learnt(stripes_dataset: Dataset, bench: Bench) -> None:
    facts = stripes_dataset.facts
    splits = {**facts.splits, "train": SplitFacts(192, (192, 0, 0))}
    dataset = msgspec.structs.replace(stripes_dataset, facts=msgspec.structs.replace(facts, splits=splits))
    with pytest.raises(DataError, match=r"train_y: no sample of 'row' \(label 1\), 'square' \(label 2\): it cannot"):
        training_rows(bench.train(dataset, dict), 0.0)


def test_shapes_that_do_not_fit_the_data_set_are_named() -> None:
    check_shape("net", "takes", (None, 8, 8, 1), (None, 8, 8, 1))
    with pytest.raises(PluginError, match=r"'net' takes the shape \(None, 4\), but the data set has \(None, 8, 8, 1\)"):
        check_shape("net", "takes", (None, 4), (None, 8, 8, 1))
    with pytest.raises(PluginError, match=r"'net' answers the shape \(None, 2\)(.|\n)*input_shape and classes"):
        check_shape("net", "answers", (None, 2), (None, 3))


@pytest.mark.parametrize(
    ("takes", "dtype", "highest", "message"),
    [
        (
            "int32",
            "uint8",
            255,
            r"'net' takes int32, but the data set's samples are uint8, which reach it as float32\n  give",
        ),
        ("int64", "float32", 1, r"'net' takes int64, but the data set's samples are float32"),
        (
            "float32",
            "int64",
            2**25,
            r"'net' takes float32, which cannot hold each .* up to 3\.35544e\+07\n  let its input be int64",
        ),
        ("float32", "int32", 2**24, ""),
        ("int32", "int64", 90_000, ""),
        ("float32", "uint8", 255, ""),
        ("string", "bytes", 1, ""),
        ("float32", "bytes", 1, r"takes float32, but the data set's 'input' is texts\n  name a handler"),
        ("string", "float32", 1, r"takes string, but the data set's 'input' is float32\n  let the data set give texts"),
    ],
)
def test_a_model_must_take_what_the_samples_are(
    stripes_dataset: Dataset, takes: str, dtype: str, highest: int, message: str
) -> None:
    taken = msgspec.structs.replace(stripes_dataset.facts.input, dtype=dtype, value_range=(0, highest))
    if not message:
        check_input_dtype("net", takes, taken)
        return
    with pytest.raises(PluginError, match=message):
        check_input_dtype("net", takes, taken)
