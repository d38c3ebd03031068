from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataError

pytestmark = pytest.mark.torch


@pytest.fixture
def program(torch: None, tmp_path: Path) -> tuple[Any, Any]:
    """A program with dropout and batch normalization, and where it is saved."""
    from torch import nn, zeros

    from modelyard_plugins.support.torch.program import export_program, save_program

    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)).eval()
    made = export_program(module, zeros(2, 4), "net", print)
    save_program(made, tmp_path / "model.pt2")
    return made, tmp_path / "model.pt2"


def test_a_program_in_training_drops_out_and_measures(program: tuple[Any, Any]) -> None:
    import torch

    from modelyard_plugins.support.torch.program import load_program, trainable

    loaded = load_program(program[1])
    x = torch.randn(64, 4) * 3 + 5
    quiet = loaded.module()
    assert torch.equal(quiet(x), quiet(x))
    module = trainable(loaded)
    assert not torch.equal(module(x), module(x))
    assert loaded.state_dict["0.running_mean"].abs().max() > 0.1, "the program shares what the module measures"
    assert torch.equal(loaded.module()(x), loaded.module()(x)), "the program itself stays as in evaluation"


def test_what_is_trained_is_what_is_saved(program: tuple[Any, Any], tmp_path: Path) -> None:
    import torch

    from modelyard_plugins.support.torch.program import load_program, save_program, trainable

    loaded = load_program(program[1])
    weight = trainable(loaded).get_parameter("2.weight")
    with torch.no_grad():
        weight.fill_(0.25)
    save_program(loaded, tmp_path / "again.pt2")
    assert (load_program(tmp_path / "again.pt2").state_dict["2.weight"] == 0.25).all()


def test_saving_twice_gives_the_same_bytes(program: tuple[Any, Any], tmp_path: Path) -> None:
    from modelyard_plugins.support.torch.program import load_program, save_program

    (tmp_path / "b").mkdir()
    save_program(load_program(program[1]), tmp_path / "b" / "model.pt2")
    assert (tmp_path / "b" / "model.pt2").read_bytes() == program[1].read_bytes()


def rewritten(path: Path, change: Any) -> Path:
    """A copy of the archive in which `change(name, data)` says what each file holds."""
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return copy


def test_a_file_that_would_be_unpickled_is_refused(program: tuple[Any, Any]) -> None:
    from modelyard_plugins.support.torch.program import load_program

    def pickled(name: str, data: bytes) -> bytes:
        if not name.endswith("model_weights_config.json"):
            return data
        config = json.loads(data)
        config["config"]["2.bias"]["use_pickle"] = True
        return json.dumps(config).encode()

    with pytest.raises(DataError, match=r"2\.bias would have to be unpickled, which can run any code\n  keep to plain"):
        load_program(rewritten(program[1], pickled))


@pytest.mark.parametrize("damage", ["cut", "empty graph", "no archive"])
def test_a_damaged_file_is_an_error_in_words(program: tuple[Any, Any], damage: str) -> None:
    from modelyard_plugins.support.torch.program import load_program

    path = program[1]
    if damage == "empty graph":
        path = rewritten(path, lambda name, data: b"{}" if name.endswith("models/model.json") else data)
    else:
        path.write_bytes(b"hello" if damage == "no archive" else path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cannot be read as a program of torch\.export(.|\n)*build the stage"):
        load_program(path)


def test_layers_are_found_by_what_works_on_them(torch: None) -> None:
    from torch import nn, zeros

    from modelyard_plugins.support.torch.layers import Layer, layers_of
    from modelyard_plugins.support.torch.layout import taking_samples
    from modelyard_plugins.support.torch.program import export_program

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same = nn.Conv2d(3, 4, 3, padding="same")
            self.up = nn.ConvTranspose2d(4, 2, 2)
            self.heads = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
            self.own = nn.Parameter(torch_zeros())
            self.unused = nn.Linear(9, 9)

        def forward(self, x: Any) -> Any:
            x = self.up(self.same(x)).mean((2, 3))
            for head in (*self.heads, *self.heads):
                x = head(x)
            return nn.functional.linear(x, self.own)

    def torch_zeros() -> Any:
        import torch as t

        return t.zeros(3, 2)

    program = export_program(taking_samples(Net(), (5, 5, 3), "channels-first").eval(), zeros(2, 5, 5, 3), "Net", print)
    assert layers_of(program) == [
        Layer("same", "model.same.weight", 0),
        Layer("up", "model.up.weight", 1),
        Layer("heads.0", "model.heads.0.weight", 0),
        Layer("heads.1", "model.heads.1.weight", 0),
        Layer("own", "model.own", 0),
    ]


def test_keep_best_stops_where_keras_does(torch: None) -> None:
    """Patience counts the epochs since the lowest loss; an equal loss is no better."""
    import torch as t

    from modelyard_plugins.support.torch.fitting import KeepBest

    def stopped(losses: list[float], patience: int) -> tuple[int, int, float]:
        module, keeper = t.nn.Linear(1, 1), KeepBest(patience)
        for epoch, loss in enumerate(losses):
            with t.no_grad():
                module.weight.fill_(epoch)
            if keeper.is_over(epoch, loss, module):
                break
        return epoch, keeper.epoch, float(keeper.weights["weight"])

    assert stopped([3, 2, 2, 2, 1], patience=2) == (3, 1, 1.0)
    assert stopped([3, 2, 2.5, 1, 4, 4, 4], patience=2) == (5, 3, 3.0)
    assert stopped([3, 2, 1], patience=1) == (2, 2, 2.0)
    assert np.isfinite(stopped([5, 6], patience=1)[2])
