"""Programs that were changed by hand: none may run code, and each must be refused in words."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DataError

pytestmark = pytest.mark.torch

PROGRAM, SAMPLES = "model/models/model.json", "model/data/sample_inputs/model.pt"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with weights and a constant, as a trainer saves it."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    import torch

    from modelyard_plugins.support.torch.program import export_program, save_program

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(4, 3)
            self.scale = torch.ones(3)

        def forward(self, x: Any) -> Any:
            return self.dense(x) * self.scale

    path = tmp_path_factory.mktemp("torch") / "model.pt2"
    save_program(export_program(Net().eval(), torch.zeros(2, 4), "net", print), path)
    return path


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there once code has run."""
    return tmp_path / "code-ran"


class Runs:
    """Unpickling this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def changed(
    saved: Path, target: Path, change: Callable[..., Any] = lambda name, data: data, more: Sequence[Any] = ()
) -> Path:
    """Write a copy in which `change(name, data)` says what each entry holds, and `more` entries follow."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, change(name, source.read(name)))
        for name, data in more:
            copy.writestr(name, data)
    return target


def replacing(entry: str, old: str, new: str) -> Callable[..., Any]:
    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(entry):
            return data
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return change


def refused(path: Path, mark: Path) -> str:
    from modelyard_plugins.support.torch.program import load_program

    with pytest.raises(DataError) as caught:
        load_program(path)
    assert not mark.exists(), "code of the file has run"
    assert str(path) in str(caught.value)
    assert "\n  " in str(caught.value), "it says what to do"
    return str(caught.value)


def torch_pickle(mark: Path) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(Runs(mark), buffer)
    return buffer.getvalue()


def test_what_was_saved_is_read(saved: Path) -> None:
    import torch

    from modelyard_plugins.support.torch.program import load_program

    assert load_program(saved).module()(torch.zeros(7, 4)).shape == (7, 3)


def test_the_legacy_format_is_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    program = zipfile.ZipFile(saved).read(PROGRAM)
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", program)
        for part in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{part}.pt", torch_pickle(mark))
    refused(tmp_path / "model.pt2", mark)


def test_pickled_sample_inputs_are_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    data = torch_pickle(mark)
    path = changed(saved, tmp_path / "model.pt2", lambda name, old: data if name == SAMPLES else old)
    assert "sample inputs would have to be unpickled" in refused(path, mark)


@pytest.mark.parametrize(
    "entry", ["data/weights/model.pt", "data/constants/model.pt", "data/aotinductor/model/a.so", "extra/note"]
)
def test_an_entry_that_no_program_of_plain_tensors_has_is_refused(
    saved: Path, tmp_path: Path, mark: Path, entry: str
) -> None:
    path = changed(saved, tmp_path / "model.pt2", more=[(f"model/{entry}", torch_pickle(mark))])
    assert f"holds {entry!r}" in refused(path, mark)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    path = changed(saved, tmp_path / "model.pt2", more=[(SAMPLES, torch_pickle(mark))])
    assert "twice" in refused(path, mark)


@pytest.mark.parametrize("kind", ["opaque_obj_0", "custom_obj_0"])
def test_a_constant_that_is_an_object_is_refused(saved: Path, tmp_path: Path, mark: Path, kind: str) -> None:
    change = replacing("model_constants_config.json", "tensor_0", kind)
    path = changed(saved, tmp_path / "model.pt2", change, [(f"model/data/constants/{kind}", pickle.dumps(Runs(mark)))])
    refused(path, mark)
    path = changed(saved, tmp_path / "model.pt2", change)
    assert "scale would have to be unpickled" in refused(path, mark)


def test_a_size_that_is_code_is_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    symbol = zipfile.ZipFile(saved).read(PROGRAM).decode().partition('"expr_str": "')[2].partition('"')[0]
    change = replacing(PROGRAM, symbol, f"__import__('os').mkdir('{mark}')")
    assert "would have to be evaluated" in refused(changed(saved, tmp_path / "model.pt2", change), mark)


def test_a_guard_that_is_code_is_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    change = replacing(PROGRAM, '"guards_code": []', f"\"guards_code\": [\"__import__('os').mkdir('{mark}')\"]")
    assert "the guard" in refused(changed(saved, tmp_path / "model.pt2", change), mark)


def test_a_structure_that_names_a_type_to_import_is_refused(saved: Path, tmp_path: Path, mark: Path) -> None:
    leaf = r"{\"type\": null, \"context\": null, \"children_spec\": []}]"
    named = r"{\"type\": \"collections.defaultdict\", \"context\": \"{}\", \"children_spec\": []}]"
    change = replacing(PROGRAM, f'"out_spec": "[1, {leaf}', f'"out_spec": "[1, {named}')
    assert "structure of its outputs names a type" in refused(changed(saved, tmp_path / "model.pt2", change), mark)


@pytest.mark.parametrize("operator", ["torch.os.system", "torch.ops.aten.from_file.default", "torch.hub.load"])
def test_an_operator_that_is_none_of_torch_or_reads_files_is_refused(
    saved: Path, tmp_path: Path, mark: Path, operator: str
) -> None:
    change = replacing(PROGRAM, "torch.ops.aten.mul.Tensor", operator)
    assert f"operator {operator!r}" in refused(changed(saved, tmp_path / "model.pt2", change), mark)


def test_sizes_are_bounded_before_memory_is_asked_for(saved: Path, tmp_path: Path, mark: Path) -> None:
    huge = replacing("weights_config.json", '"as_int": 3}', '"as_int": 4000000000000}')
    empty = changed(
        saved, tmp_path / "model.pt2", lambda name, data: b"" if "weight_" in name and "conf" not in name else data
    )
    refused(empty, mark)
    assert "16,000,000,000,000 numbers, but holds 48 bytes" in refused(
        changed(saved, tmp_path / "model.pt2", huge), mark
    )
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(tmp_path / "model.pt2", "w", zipfile.ZIP_DEFLATED) as copy:
        for name in source.namelist():
            copy.writestr(name, bytes(1 << 26) if name.endswith("weight_0") else source.read(name))
    assert "says that it unpacks to" in refused(tmp_path / "model.pt2", mark)
