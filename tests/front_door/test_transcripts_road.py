"""Scores of symbols over time become texts, which are measured, of each voice, too, and served."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.docs.pages import ROOT, blocks
from tests.front_door.builds import build, serving

DATA = '''
"""Steps of scores, and the text that they say."""

import numpy as np

from modelyard.artifacts import Splits

ALPHABET = "-ab "


def said(random, wrong):
    """Return the scores of a text of several lengths, and the text; of a wrong one with a letter too many."""
    text = " ".join("".join(random.choice(["a", "b"], random.integers(1, 4))) for _ in range(random.integers(1, 4)))
    steps = [symbol for letter in text for symbol in (ALPHABET.index(letter), 0)]
    steps += [1] * wrong + [0] * (24 - len(steps) - wrong)
    return np.eye(4, dtype=np.float32)[steps] + random.uniform(0, 0.3, (24, 4)).astype(np.float32), text


def spoken(context):
    """Return what two voices say; the second is understood badly."""
    random = np.random.default_rng(context.seed)
    x, y = zip(*(said(random, wrong=number % 4 == 1) for number in range(60)), strict=True)
    x, y = np.stack(x), np.array(y)
    voices = ["high", "low"] * 20
    return Splits(x[:20], y[:20], x[20:], y[20:], value_range=(0, 1.3), slices={"voice": voices})
'''
CONFIG = """
[tool.modelyard]
name = "spoken"

[tool.modelyard.dataset]
use = "spoken:spoken"
normalize = "none"

[tool.modelyard.train]
use = "import"
path = "model.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
whole = []

[tool.modelyard.evaluate]
latency_samples = 12
warmup = 0
slices = ["voice"]

[tool.modelyard.check]
start = false

[tool.modelyard.task]
use = "transcription"

[tool.modelyard.gates]
max_wer = 0.5

"""
SAMPLES = 40


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model answers the scores that it is given; its tables of texts are those of the guide."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("rapidfuzz")
    project = tmp_path_factory.mktemp("spoken")
    (said,) = (one.text for one in blocks("docs/how-to/choose-a-task.md", "toml") if "transcription" in one.text)
    (project / "pyproject.toml").write_text(CONFIG + said)
    (project / "spoken.py").write_text(DATA)
    (alphabet,) = (one.text for one in blocks("docs/how-to/choose-a-task.md", "text") if one.file == "alphabet.txt")
    (project / "alphabet.txt").write_text(alphabet)
    (project / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("batch", 24, 4)) for name in ("x", "scores")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["scores"])], "same", info[:1], info[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), project / "model.onnx"
    )
    return project


def test_texts_are_measured_of_each_voice_and_served(spoken: Path) -> None:
    done = build(spoken, "select")

    assert done.code == 0, done.output
    evaluation = json.loads((spoken / "artifacts/evaluate/whole/evaluation.json").read_text())
    measured: dict[str, Any] = {one["name"]: one for one in evaluation["metrics"]}
    assert measured["exact_match"]["value"] == 0.75
    assert measured["wer"]["value"] == evaluation["words"]["edits"] / evaluation["words"]["total"]
    assert evaluation["words"]["edits"] == evaluation["characters"]["edits"] == SAMPLES // 4
    assert measured["voice_wer"]["per_group"]["high"] == 0
    assert measured["voice_wer"]["value"] == measured["voice_wer"]["per_group"]["low"] > measured["wer"]["value"]
    answers = np.load(spoken / "artifacts/select/spoken/reference/answers.npy")
    assert answers.dtype.kind == "S"
    inputs = np.load(next((spoken / "artifacts/dataset").rglob("test_x.npy")))
    with serving(spoken) as address:
        body = json.dumps({"instances": inputs[:8].tolist()}).encode()
        request = urllib.request.Request(f"{address}/v1/models/spoken:predict", body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            predictions = json.loads(answer.read())["predictions"]
    assert [one.encode() for one in predictions] == answers[:8].tolist()
