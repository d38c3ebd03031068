"""A model that keeps a state, which nobody here made: its streams are measured and asked, and mistakes are told with their line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.front_door import imported
from tests.front_door.builds import build
from tests.serving.stream_models import cache_model, levels, means, stream_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TABLES = """
[tool.modelyard.signature]
x = { overlap = 1 }
h = { state = "hn", initial = 0.5 }
scale = { constant = 2 }
"""
CONFIG = imported.config("level", dataset="inputs = { x = [7, 3] }\nsamples = 20", tables=TABLES)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return imported.write(tmp_path, stream_model(), CONFIG)


def test_streams_go_through_step_by_step_and_what_is_said_of_it_counts(project: Path) -> None:
    done = build(project, "evaluate:whole")
    assert done.code == 0, done.output
    sent = np.load(project / "artifacts/dataset/generated/test_x.npy")
    answers = np.load(project / "artifacts/evaluate/whole/answers.npy")
    np.testing.assert_allclose(answers, levels(sent), rtol=1e-4)

    again = build(project, "signature.h.initial=0", "evaluate:whole")
    assert again.built == {"train:level", "evaluate:whole"}, "the samples are the same"
    answers = np.load(project / "artifacts/evaluate/whole/answers.npy")
    np.testing.assert_allclose(answers, levels(sent, initial=0.0), rtol=1e-4)
    facts = json.loads((project / "artifacts/train/level/model.json").read_text())
    assert (facts["inputs"][0]["shape"], facts["outputs"][0]["shape"]) == (["time", 3], ["time", 3])


def test_a_cache_grows_and_one_that_does_not_is_told(project: Path) -> None:
    states = '{ past = { state = "present" }, "pairs.before" = { state = "pairs.after" } }'
    told = ["dataset.inputs={ x = [5, 3] }", f"signature={states}", "train.output=y", "evaluate:whole"]
    onnx.save(cache_model(), project / "model.onnx")
    done = build(project, *told)
    assert done.code == 0, done.output
    sent = np.load(project / "artifacts/dataset/generated/test_x.npy")
    answers = np.load(project / "artifacts/evaluate/whole/answers.npy")
    np.testing.assert_allclose(answers, means(sent), rtol=1e-4, atol=1e-6)

    onnx.save(cache_model(later="past"), project / "model.onnx")
    assert "of no certain size, and its output is no longer" in build(project, *told).output


def test_what_is_wrong_is_told_in_words(project: Path) -> None:
    line = CONFIG.splitlines().index('h = { state = "hn", initial = 0.5 }') + 1
    (project / "pyproject.toml").write_text(CONFIG.replace('"hn"', '"hnn"'))
    refused = build(project, "train")
    assert (
        f"pyproject.toml:{line}: [tool.modelyard.signature.h]: key 'state': there is no output 'hnn', did you mean 'hn'?"
        in refused.output
    )
    (project / "pyproject.toml").write_text(CONFIG)
    forgotten = build(project, "signature={ x = { overlap = 1 }, h = { state = 'hn' } }", "train")
    assert "key 'x': the input 'x' is there, but nobody sends it" in forgotten.output
    assert "name = 'input'; and what each input is that nobody sends: a state, a constant" in forgotten.output
    quantized = build(project, "variants={ int8 = ['onnx-static'] }", "optimize")
    assert "the ranges of activations are measured on single samples" in quantized.output
    unknown = build(project, "dataset.inputs={ xx = [7, 3] }", "dataset")
    assert "the model has no input 'xx', did you mean 'x'?" in unknown.output
    assert "Traceback" not in refused.output + forgotten.output + quantized.output + unknown.output
