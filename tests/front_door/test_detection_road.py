"""The detector of the guide: trained by its script, measured, quantized, packed, checked; a client sends a picture and gets boxes."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Dataset
from tests.docs.pages import blocks, commands, write
from tests.docs.shell import run
from tests.front_door.builds import build, serving

PAGE = "docs/how-to/detect-objects.md"
pytestmark = [pytest.mark.thorough, pytest.mark.slow]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's project, built to the check of its image."""
    for needed in ("onnx", "onnxruntime", "pycocotools", "PIL"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("boxes")
    for block in blocks(PAGE):
        if block.file:
            write(folder, block)
        elif block.language == "console" and "curl" not in block.text:
            run(commands(block), folder)
    return folder / "detector"


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_a_detector_is_trained_quantized_measured_and_its_image_answers(detector: Path) -> None:
    artifacts = detector / "artifacts"
    for variant in ("as-it-is", "int8"):
        measured = {one["name"]: one for one in read(artifacts / f"evaluate/{variant}/evaluation.json")["metrics"]}
        assert 0.3 < measured["map"]["value"] < measured["map_50"]["value"] < 1
        assert measured["map"]["per_group"].keys() == {"disc", "square"}
    answers = np.load(artifacts / "select/detector/reference/answers.npy")
    assert answers.shape == (100, 10, 6)
    assert read(artifacts / "check/detector/check.json")["server_started"]


def test_a_client_sends_a_picture_and_gets_boxes(detector: Path) -> None:
    dataset = Dataset.open(detector / "artifacts/dataset/pictures.pictures")
    answers = np.load(detector / "artifacts/select/detector/reference/answers.npy")
    with serving(detector) as address:
        for sample in (0, 57):
            picture = dataset.sent()["image"][sample]
            request = urllib.request.Request(
                f"{address}/v1/models/detector:predict", picture, {"Content-Type": "image/png"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                (found,) = json.loads(answer.read())["predictions"]
            assert np.allclose(found, answers[sample], atol=1e-4)
            labels = dataset.y("test")[sample]
            assert (np.array(found)[:, 5] >= 0).sum() >= (labels[:, 4] >= 0).sum() - 1


def test_an_edit_of_a_handler_measures_anew_and_trains_nothing(detector: Path) -> None:
    config = detector / "pyproject.toml"
    config.write_text(config.read_text().replace("overlap = 0.3", "overlap = 0.35"))

    done = build(detector, "evaluate")

    assert done.code == 0, done.output
    assert done.built == {"evaluate:as-it-is", "evaluate:int8"}
