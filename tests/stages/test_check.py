from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plans import SOURCE, job_of
from tests.plugins.conftest import model_facts

from modelyard.artifacts import Dataset
from modelyard.component import Component, Use
from modelyard.errors import StageFailed
from modelyard.files.json import write_json
from modelyard.stage import Stage
from modelyard.stages.check import _ask_runtime, _compare
from modelyard.stages.handlers import Around
from modelyard_plugins.tasks.classification import Classification


@pytest.mark.parametrize(("said", "calls"), [({"batch": 1}, [1, 1, 1]), ({"batch": 2}, [2, 1]), ({}, [3])])
def test_without_a_server_the_model_is_run_in_batches_as_it_was_measured(
    dataset: Dataset, tmp_path: Path, said: dict[str, Any], calls: list[int]
) -> None:
    (tmp_path / "model.tflite").write_bytes(b"weights")
    write_json(tmp_path / "model.json", msgspec.structs.replace(model_facts(dataset, "tflite"), **said))
    asked: list[np.ndarray] = []

    def predict(raw: np.ndarray) -> np.ndarray:
        asked.append(raw)
        return raw.reshape(len(raw), -1)[:, :3].astype(np.float32)

    runtime = Component("runtime", "runner", lambda _: SimpleNamespace(predict=predict), SOURCE)
    job = job_of(Stage("check", "shop", uses={"runtime": Use(runtime, {})}), {"model": tmp_path}, tmp_path)
    samples = np.asarray(dataset.x("test")[:3])
    answers = _ask_runtime(job, {"input": samples}, Around({}, dataset.facts))

    assert [len(one) for one in asked] == calls
    assert np.array_equal(answers["the model, without its server"], samples.reshape(3, -1)[:, :3])


def test_what_is_no_number_is_no_agreement() -> None:
    expected = np.array([[0.9, 0.1]], np.float32)
    assert _compare(Classification(), expected, expected, "v2", 1e-4) == 0
    with pytest.raises(StageFailed, match="0 of 1 labels differ, the largest difference of a probability is nan"):
        _compare(Classification(), np.array([[np.nan, 0.1]], np.float32), expected, "v2", 1e-4)
