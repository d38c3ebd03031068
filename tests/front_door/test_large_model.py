"""A large model goes from its import to the image and the store, and no stage holds it in memory."""

from __future__ import annotations

import json
import runpy
import shutil
import tarfile
from pathlib import Path

import pytest

from modelyard.testing import run_doit

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="this host has no apt"),
]

LARGE_BYTES, SMALL_BYTES, FILES = 300_000_000, 1_000_000, 3
WRITE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/large.py"))["write"]


def memory(project: Path) -> dict[str, int]:
    """Build the image, and return the memory that each stage took of its own, in bytes."""
    done = run_doit(project, "image.layer_max=150 MB", "image")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [json.loads(file.read_text()) for file in (project / "artifacts").rglob("stage.json")]
    return {one["stage"]: one["peak_memory_bytes"] for one in told}


def test_no_stage_holds_the_model_in_memory(tmp_path: Path) -> None:
    project = tmp_path / "large"
    WRITE(project, SMALL_BYTES, FILES)
    base = memory(project)
    shutil.rmtree(project / "net.onnx")
    WRITE(project, LARGE_BYTES, FILES)
    assert sum(file.stat().st_size for file in (project / "net.onnx").iterdir()) > 0.99 * LARGE_BYTES

    large = memory(project)

    assert set(large) == {"dataset:arrays", "train:large", "evaluate:as-it-is", "select:large", "image:large"}
    more = {stage: taken - base[stage] for stage, taken in large.items()}
    assert max(more.values()) < 50_000_000, more
    evaluation = json.loads((project / "artifacts/evaluate/as-it-is/evaluation.json").read_text())
    image = json.loads((project / "artifacts/image/large/image.json").read_text())
    layers = {one["name"]: one["size_bytes"] for one in image["layers"]}
    assert [name for name in layers if name.startswith("model")] == ["model", "model-2", "model-3"]
    assert sum(layers[name] for name in layers if name.startswith("model")) == pytest.approx(
        evaluation["layer_bytes"], abs=50_000
    )
    assert evaluation["gzip_bytes"] < 0.02 * LARGE_BYTES, "it is mostly zeros"
    with tarfile.open(project / "artifacts/image/large/image.tar") as archive:
        blobs = {member.name.rpartition("/")[2]: member.size for member in archive}
    assert all(blobs[one["digest"].partition(":")[2]] == one["size_bytes"] for one in image["layers"])
