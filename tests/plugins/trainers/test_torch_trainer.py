from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.plugins.conftest import Bench, Trained
from tests.stages.conftest import Told
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits
from modelyard.errors import PluginError, StageFailed
from modelyard.stages import dataset as stage
from modelyard_plugins.tasks import agreement

pytestmark = pytest.mark.torch


def sha256(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def history_of(context: Any) -> dict[str, list[float]]:
    return msgspec.json.decode((context.out / "history.json").read_bytes())


def answers(path: Any, inputs: np.ndarray) -> np.ndarray:
    """What the program in `path` answers to preprocessed samples, channels last."""
    import torch

    from modelyard_plugins.support.torch.program import load_program

    with torch.no_grad():
        return load_program(path).module()(torch.from_numpy(inputs)).numpy()


def linear(input_shape: tuple[int, ...], classes: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), classes))


def test_training_learns_and_leaves_a_history(torch_trained: Trained) -> None:
    history = history_of(torch_trained.context)
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["accuracy"][-1] > 0.9
    assert torch_trained.context.metrics["train_loss"] == history["loss"][-1]
    assert torch_trained.context.metrics["epochs"] == 4


def test_progress_and_a_line_an_epoch_are_reported(torch_trained: Trained) -> None:
    epochs = [line for line in torch_trained.lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("loss" in line and "accuracy" in line for line in epochs)
    assert torch_trained.told[-1] == (4.0, 4.0)
    assert [done for done, _ in torch_trained.told] == sorted(done for done, _ in torch_trained.told)


def test_the_saved_model_takes_what_the_server_sends_and_answers_logits(torch_trained: Trained) -> None:
    found = answers(torch_trained.model.path, torch_trained.dataset.inputs("test"))
    assert found.shape == (48, 3)
    assert (found.argmax(axis=1) == torch_trained.dataset.y("test")).mean() > 0.9
    assert answers(torch_trained.model.path, torch_trained.dataset.inputs("test", slice(1))).shape == (1, 3)


def test_the_saved_model_holds_no_pickle_no_path_and_no_time(torch_trained: Trained) -> None:
    with zipfile.ZipFile(torch_trained.model.path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
    assert not any(data.startswith((b"\x80", b"PK")) for name, data in held.items() if "/weight_" not in name)
    assert not any(word in b"".join(held.values()) for word in (b".py", b"site-packages", b"/tmp"))


_SCRIPT = """
import sys
from pathlib import Path
from tests.plugins.conftest import context
from modelyard_plugins.models.digits_cnn_torch import digits_cnn_torch
from tests.plugins.calling import trainer
train = trainer("torch")
out, data = Path(sys.argv[1]), Path(sys.argv[2])
train(context(out, data, digits_cnn_torch), epochs=4, batch_size=16, learning_rate=0.003)
"""


@pytest.mark.thorough
def test_another_process_gives_the_same_bytes(torch_trained: Trained, tmp_path: Path) -> None:
    from modelyard_plugins.support.torch.start import TORCH

    env = {**os.environ, **TORCH["environment"], "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path), str(torch_trained.dataset.folder)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("model.pt2", "history.json"):
        assert sha256(tmp_path / name) == sha256(torch_trained.context.out / name)


def test_the_seed_changes_the_weights(torch: None, stripes_dataset: Dataset, bench: Bench) -> None:
    train = trainer("torch")

    hashes = set()
    for seed in (0, 0, 1):
        context = bench.train(stripes_dataset, linear, seed)
        train(context, epochs=1)
        hashes.add(sha256(context.out / "model.pt2"))
    assert len(hashes) == 2


def test_early_stopping_keeps_the_best_epoch(torch: None, stripes_dataset: Dataset, bench: Bench) -> None:
    import torch as t

    train = trainer("torch")

    context = bench.train(stripes_dataset, linear)
    train(context, epochs=40, learning_rate=1.0, early_stopping=2, validation_fraction=0.25)
    history = history_of(context)
    best = int(np.argmin(history["val_loss"]))
    assert context.metrics["best_epoch"] == best + 1
    assert context.metrics["epochs"] == min(best + 3, 40)
    assert context.metrics["val_loss"] == history["val_loss"][best]

    from modelyard_plugins.support.training import training_rows

    _, held_out = training_rows(context, 0.25)
    logits = t.from_numpy(answers(context.out / "model.pt2", stripes_dataset.inputs("train", held_out)))
    loss = t.nn.functional.cross_entropy(logits, t.from_numpy(np.array(stripes_dataset.y("train")[held_out])))
    assert float(loss) == pytest.approx(history["val_loss"][best], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_every_optimizer_trains(torch: None, stripes_dataset: Dataset, bench: Bench, optimizer: str) -> None:
    train = trainer("torch")

    context = bench.train(stripes_dataset, linear)
    train(context, epochs=2, optimizer=optimizer)
    history = history_of(context)
    assert history["loss"][1] < history["loss"][0]


def test_a_loss_that_is_not_finite_stops_with_advice(torch: None, stripes_dataset: Dataset, bench: Bench) -> None:
    from torch import nn

    train = trainer("torch")

    class Explosive(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return self.inner(x) * float("nan")

    with pytest.raises(StageFailed, match=r"epoch 1: a figure is not finite(.|\n)*smaller learning_rate"):
        train(bench.train(stripes_dataset, lambda *a: Explosive(linear(*a))), epochs=3)


def test_batch_normalization_survives_a_last_batch_of_one_sample(
    torch: None, stripes_dataset: Dataset, bench: Bench
) -> None:
    from torch import nn

    train = trainer("torch")

    def normed(input_shape: tuple[int, ...], classes: int) -> Any:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, classes))

    context = bench.train(stripes_dataset, normed)
    train(context, epochs=1, batch_size=191)
    assert history_of(context)["epoch"] == [1]


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Pictures of 4 x 5 in three channels; the label is the brightest channel."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60, 4, 5, 3), dtype=np.uint8)
    y = np.arange(60) % 3
    x[np.arange(60), :, :, y] = 255
    folder = tmp_path_factory.mktemp("colours")
    write_dataset(Splits(x, y, x[:30], y[:30], ("red", "green", "blue")), folder, progress=lambda *a, **k: None)
    return Dataset.open(folder)


@pytest.mark.parametrize(
    ("layout", "shape", "axes"), [("channels-first", (3, 4, 5), (2, 3)), ("channels-last", (4, 5, 3), (1, 2))]
)
def test_the_module_gets_its_channels_where_it_wants_them(
    torch: None, colours: Dataset, bench: Bench, layout: str, shape: tuple[int, int, int], axes: tuple[int, int]
) -> None:
    from torch import nn

    train = trainer("torch")

    class Brightness(nn.Module):
        """Answers the mean of each channel; its weight is too small to matter."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(np_zeros())

        def forward(self, x: Any) -> Any:
            assert x.shape[1:] == shape
            return x.mean(axes) + self.weight

    def np_zeros() -> Any:
        import torch as t

        return t.zeros(3)

    asked = []
    context = bench.train(colours, lambda input_shape, classes: asked.append(input_shape) or Brightness())
    train(context, epochs=1, learning_rate=1e-9, layout=layout)
    assert asked == [shape]
    inputs = colours.inputs("test")
    assert np.allclose(answers(context.out / "model.pt2", inputs), inputs.mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("name", ["colours", "stripes_dataset"])
def test_a_module_may_flatten_with_view(torch: None, bench: Bench, name: str, request: pytest.FixtureRequest) -> None:
    from torch import nn

    train = trainer("torch")

    dataset = request.getfixturevalue(name)

    class Viewing(nn.Module):
        def __init__(self, channels: Any, height: Any, width: Any) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(channels, 4, 1), nn.Linear(4 * height * width, 3)

        def forward(self, x: Any) -> Any:
            return self.fc(self.conv(x).view(x.size(0), -1))

    context = bench.train(dataset, lambda shape, _: Viewing(*shape))
    train(context, epochs=1)
    assert answers(context.out / "model.pt2", dataset.inputs("test", slice(7))).shape == (7, 3)


def softmax(input_shape: tuple[int, ...], classes: int) -> Any:
    from torch import nn

    return nn.Sequential(linear(input_shape, classes), nn.Softmax(dim=1))


def test_a_model_that_ends_in_a_softmax_learns_what_its_logits_would(
    torch: None, stripes_dataset: Dataset, bench: Bench
) -> None:
    train = trainer("torch")

    contexts = [bench.train(stripes_dataset, build) for build in (linear, softmax)]
    for context in contexts:
        train(context, epochs=3, learning_rate=0.01, validation_fraction=0.1)
    logits, probabilities = (context.metrics for context in contexts)
    for name in ("train_loss", "val_loss", "val_accuracy"):
        assert probabilities[name] == pytest.approx(logits[name], rel=1e-2), name


def too_few(input_shape: tuple[int, ...], classes: int) -> Any:
    return linear(input_shape, classes - 1)


def other_input(input_shape: tuple[int, ...], classes: int) -> Any:
    return linear((7,), classes)


def no_module(input_shape: tuple[int, ...], classes: int) -> Any:
    return {"layers": 3}


def of_forward(body: str) -> Any:
    """A function that builds a module whose forward ends with `body`; `y` is what a linear layer answers."""

    def build(input_shape: tuple[int, ...], classes: int) -> Any:
        import torch

        space: dict[str, Any] = {"torch": torch, "inner": linear(input_shape, classes)}
        exec(f"def forward(self, x):\n    y = inner(x)\n    {body}\n", space)
        kind = type("Odd", (torch.nn.Module,), {"forward": space["forward"]})
        module = kind()
        module.inner = space["inner"]
        return module

    return build


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (too_few, r"answers the shape \(None, 2\), but the data set has \(None, 3\)"),
        (other_input, r"cannot take float32 samples of the shape \(None, 1, 8, 8\)(.|\n)*input_shape and classes"),
        (no_module, r"got a builtins\.dict, not a torch\.nn\.Module"),
        (of_forward("return (y, y)"), r"answers 2 tensors, but one output is learnt\n  .*task\.outputs\.NAME"),
        (of_forward("return y.argmax(1)"), r"answers torch\.int64, not one tensor of floats"),
        (of_forward("return y.sum(0)"), r"answers the shape \(3,\), but the data set has \(None, 3\)"),
        (of_forward("return y if x.sum() > 0 else -y"), r"'Odd' cannot be exported(.|\n)*the log has all"),
        (of_forward("return y + torch.arange(x.shape[0] // 2).sum() if len(x) == 2 else -y"), r"cannot be exported"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_training(
    torch: None, stripes_dataset: Dataset, bench: Bench, build: Any, message: str
) -> None:
    train = trainer("torch")

    with pytest.raises(PluginError, match=message) as caught:
        train(bench.train(stripes_dataset, build))
    assert "\n  " in str(caught.value)
    assert not bench.told


def test_several_answers_are_told_where_a_task_leaves_their_shape_open(
    torch: None, bench: Bench, tmp_path: Path
) -> None:
    x = np.zeros((6, 8, 8, 1), np.float32)
    splits = Splits(x, None, x[:2], None, value_range=(0, 1))
    (tmp_path / "unlabelled").mkdir()
    stage.write_dataset(splits, tmp_path / "unlabelled", agreement.agreement(), "agreement", "", progress=Told())
    two = of_forward('return {"mean": y, "spread": y}')
    context = bench.train(Dataset.open(str(tmp_path / "unlabelled")), lambda shape, _: two(shape, 3))
    with pytest.raises(PluginError, match=r"answers the tensors mean, spread, but one output is learnt"):
        trainer("torch")(context, loss=lambda answers, _: answers)
