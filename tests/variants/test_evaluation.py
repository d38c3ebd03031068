from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks import QUANTITIES, evaluation

from modelyard.errors import DataError
from modelyard.files.json import write_json
from modelyard.metrics import Metric
from modelyard.variants.evaluation import (
    ANSWERS,
    EVALUATION,
    Evaluation,
    Latency,
    Measured,
    Ratio,
    read_evaluation,
    read_measured,
    save_per_sample,
    write_evaluation,
)

LATENCY = Latency(p50_ms=1.0, p50_low_ms=0.9, p99_ms=2.0, mean_ms=1.1, samples=9, warmup=1)
OWN = Metric(name="own", better="higher", value=0.5)


def test_the_sizes_are_rows_behind_what_the_task_measures() -> None:
    sizes = {"size_bytes": 3, "gzip_bytes": 2, "layer_bytes": 1}
    found = Evaluation.of(samples=7, scores=(OWN,), details={"note": 1}, **sizes)
    assert [(one.name, one.value, one.unit) for one in found.metrics] == [
        ("own", 0.5, ""),
        ("size", 3, "bytes"),
        ("gzip_size", 2, "bytes"),
        ("layer_size", 1, "bytes"),
    ]
    assert found.metric("gzip_size").value == found.gzip_bytes == 2


LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | st.text(max_size=9)
NAMES = st.text(max_size=9).filter(lambda name: name not in Evaluation.__struct_fields__)


@settings(max_examples=30)
@given(st.dictionaries(NAMES, LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(NAMES, LEAVES), max_size=3))
def test_an_evaluation_is_read_back_with_whatever_the_task_says_beside(
    tmp_path_factory: pytest.TempPathFactory, details: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = msgspec.structs.replace(evaluation(accuracy=0.75, size=3, gzip=2, warnings=("slow",)), details=details)
    write_evaluation(folder, made)
    assert read_evaluation(folder) == made


def test_what_the_task_says_stands_among_the_other_keys_and_hides_none(tmp_path: Path) -> None:
    made = evaluation(accuracy=0.75, size=3, gzip=2)
    write_evaluation(tmp_path, msgspec.structs.replace(made, details={"confusion": [[1]], "samples": -1}))
    known = json.loads((tmp_path / EVALUATION).read_text())
    assert (known["confusion"], known["samples"]) == ([[1]], 100)
    assert "details" not in known
    assert read_evaluation(tmp_path).details == {"confusion": [[1]]}


@pytest.mark.parametrize("text", [None, "{", "{}", '{"samples": "many"}', "[]"])
def test_an_evaluation_that_is_missing_or_damaged_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / EVALUATION).write_text(text)
    with pytest.raises(DataError, match=r"evaluation\.json: cannot be read as Evaluation: "):
        read_evaluation(tmp_path)


def test_a_latency_is_told_as_rows_with_its_intervals_the_baselines_as_its_own() -> None:
    assert [(one.name, one.value, one.interval) for one in LATENCY.metrics] == [
        ("latency_p50", 1.0, (0.9, None)),
        ("latency_p99", 2.0, (None, None)),
        ("latency_ratio", 1.0, (1.0, 1.0)),
    ]
    ratio = Ratio(p50=0.5, low=0.4, high=None, rounds=20, baseline_p50_ms=2.0)
    compared = msgspec.structs.replace(LATENCY, ratio=ratio, metrics=())
    assert (compared.metrics[2].value, compared.metrics[2].interval) == (0.5, (0.4, None))


def test_rows_that_are_there_stay_and_an_older_file_without_has_them() -> None:
    more = msgspec.structs.replace(LATENCY, metrics=(*LATENCY.metrics, OWN))
    assert msgspec.json.decode(msgspec.json.encode(more), type=Latency) == more
    older = {name: value for name, value in msgspec.to_builtins(LATENCY).items() if name != "metrics"}
    assert msgspec.convert(older, Latency) == LATENCY


def test_the_metrics_of_a_variant_stand_in_the_order_of_the_tables() -> None:
    found = Measured(evaluation(accuracy=0.75, size=3, gzip=2), LATENCY).metrics
    assert list(found) == [one.name for one in QUANTITIES]
    assert found["accuracy"].value == 0.75


def test_what_is_measured_is_read_with_answers_and_values_of_single_samples(tmp_path: Path) -> None:
    write_evaluation(tmp_path, evaluation(accuracy=0.75, size=3, gzip=2))
    write_json(tmp_path / "latency.json", LATENCY)
    answers = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / ANSWERS, answers)
    save_per_sample(tmp_path, "accuracy", np.array([True, False, True]))
    save_per_sample(tmp_path, "mae", np.array([1.5, 2.5, 0.0]))
    found = read_measured(tmp_path)
    assert (found.evaluation.metric("accuracy").value, found.latency) == (0.75, LATENCY)
    assert isinstance(found.answers, np.memmap)
    assert np.array_equal(found.answers, answers)
    assert found.per_sample("accuracy").tolist() == [True, False, True]
    assert found.per_sample("mae").tolist() == [1.5, 2.5, 0.0]
    assert found.per_sample("rmse") is None
    assert Measured(found.evaluation, found.latency).per_sample("accuracy") is None


def test_values_of_samples_are_numbers_and_no_python_objects(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_per_sample(tmp_path, "accuracy", np.array([{}], dtype=object))


def test_a_latency_or_answers_that_are_damaged_are_named_with_what_to_do(tmp_path: Path) -> None:
    write_evaluation(tmp_path, evaluation(accuracy=0.75, size=3, gzip=2))
    with pytest.raises(DataError, match=r"latency\.json: cannot be read as Latency"):
        read_measured(tmp_path)
    write_json(tmp_path / "latency.json", LATENCY)
    (tmp_path / ANSWERS).write_bytes(b"no array")
    with pytest.raises(DataError, match=r"answers\.npy: .*\n  run `doit evaluate` again"):
        _ = read_measured(tmp_path).answers
