"""Weights in files of the format safetensors, and modules that a project builds for them."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.conftest import Doit
from tests.plugins.conftest import Bench
from tests.shared import Late

from modelyard.artifacts import Dataset, Model
from modelyard.errors import DataError, PluginError
from modelyard.files.json import read_json
from modelyard.testing import write_small_project
from modelyard_plugins.support.torch.built import write_built
from modelyard_plugins.support.torch.weights import fill, read_weights

if TYPE_CHECKING:
    import torch
else:
    torch = Late("torch")

pytestmark = [pytest.mark.torch, pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")]

NET = '''
"""The network."""

import torch


def build():
    """Return it without weights."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
'''
PYPROJECT = """
[tool.modelyard]
name = "weights"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"
normalize = "none"

[tool.modelyard.task]
use = "agreement"

[tool.modelyard.train]
use = "import"
path = "net.safetensors"
builder = "net:build"
licence = "MIT"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
float32 = ["torch-onnx"]
"""


def write(file: Path, tensors: dict[str, torch.Tensor], **changes: object) -> Path:
    """Write tensors as safetensors do."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    names, data = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}, b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else b""
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    written = json.dumps(header | changes).encode()
    file.write_bytes(len(written).to_bytes(8, "little") + written + data)
    return file


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"1.weight": torch.randn(3, 4), "1.bias": torch.randn(3), "unused": torch.ones(2, dtype=torch.int64)}


def test_tensors_are_read_by_name(tmp_path: Path) -> None:
    half = torch.randn(5).to(torch.bfloat16)
    found = read_weights(write(tmp_path / "a.safetensors", {"odd": half, **weights()}))
    for name, one in {"odd": half, **weights()}.items():
        assert found[name].dtype == one.dtype
        assert torch.equal(found[name], one), name


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", ""),
        (b"PK\x03\x04" + bytes(40), "its header ends at byte"),
        ((2).to_bytes(8, "little") + b"{]", ""),
        ((2).to_bytes(8, "little") + b"[]", ""),
        ((60).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.ljust(60), "ends at byte 8 of 0"),
        ((61).to_bytes(8, "little") + b'{"a":{"dtype":"F8_E4","shape":[2],"data_offsets":[0,8]}}'.ljust(61), "holds F8_E4"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.safetensors: cannot be read as safetensors: .*{why}"):
        read_weights(tmp_path / "a.safetensors")


def test_a_module_that_the_weights_are_not_for_is_told_what_differs(tmp_path: Path) -> None:
    lines: list[str] = []
    file = tmp_path / "net.safetensors"
    fill(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)), weights(), file, lines.append)
    assert lines == ["1 tensors of the file are not used: unused"]
    with pytest.raises(
        PluginError, match=r"has no tensor for 0\.bias, 0\.weight, of 2 that Sequential wants\n  it has 1\."
    ):
        fill(torch.nn.Sequential(torch.nn.Linear(4, 3)), weights(), file, lines.append)
    with pytest.raises(PluginError, match=r"'1\.weight' has the shape \(3, 4\), and in Sequential \(3, 5\)"):
        fill(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(5, 3)), weights(), file, lines.append)


def test_a_project_builds_the_module_for_its_weights(tmp_path: Path, doit: Doit) -> None:
    import numpy as np

    from modelyard_plugins.support.torch.program import load_program

    project = write_small_project(tmp_path / "weights", {"pyproject.toml": PYPROJECT, "net.py": NET})
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    np.savez(project / "data.npz", train_x=x, test_x=x)
    write(project / "net.safetensors", weights())
    done = doit(project, "train")
    assert done.returncode == 0, done.stdout + done.stderr
    model = Model.open(project / "artifacts/train/weights")
    assert model.facts.licence == "MIT"
    known = weights()
    right = torch.from_numpy(x) @ known["1.weight"].T + known["1.bias"]
    torch.testing.assert_close(load_program(model.path).module()(torch.from_numpy(x)), right)
    assert read_json(model.folder / "model.json", dict)["format"] == "torch"

    (project / "net.py").write_text(NET.replace("Linear(4, 3)", "Linear(4, 3, True)"))
    assert "code net.py: build changed" in doit(project, "why", "train:weights").stdout
    (project / "net.py").write_text(NET.replace("def build", "def built"))
    done = doit(project, "train")
    assert "net.py has no function 'build', did you mean 'built'" in done.stdout + done.stderr


def test_a_builder_that_returns_no_module_is_told(
    bench: Bench, stripes_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "net.safetensors", weights())
    monkeypatch.setitem(sys.modules, "own", SimpleNamespace(build=list))
    with pytest.raises(
        PluginError, match=r"own:build returned a builtins\.list, not a torch\.nn\.Module\n  return the"
    ):
        write_built(bench.train(stripes_dataset, list), "own:build", file, tmp_path / "model.pt2", "channels-last")


def test_what_weights_lack_is_told_at_load(tmp_path: Path, doit: Doit) -> None:
    project = write_small_project(tmp_path / "weights", {"pyproject.toml": PYPROJECT, "net.py": NET})
    (project / "data.npz").write_bytes(b"")
    for file in ("net.safetensors", "net.onnx", "net.h5", "net.pth"):
        (project / file).write_bytes(b"")
    for change, why in (
        ("train.builder=", "weights need a function that builds their module"),
        ("train.path=net.onnx", "only a .safetensors file has one"),
        ("train.path=net.h5", "keras.models.load_model('it.h5', compile=False).save('it.keras')"),
        ("train.path=net.pth", "save the weights as .safetensors"),
    ):
        done = doit(project, change, "list")
        assert why in done.stdout + done.stderr, done.stdout + done.stderr
