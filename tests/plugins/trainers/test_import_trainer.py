"""A model that was trained elsewhere goes the same road as one that is trained here."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.conftest import Doit
from tests.plugins.conftest import Bench

from modelyard.artifacts import Dataset
from modelyard.testing import write_small_project
from modelyard_plugins.trainers.import_ import import_model

if TYPE_CHECKING:
    from modelyard_plugins.support.torch.layout import Layout

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PYPROJECT = """\
[project]
name = "brought"
version = "1.0"

[tool.modelyard.dataset]
use = "arrays"
path = "pictures.npz"
normalize = "none"

[tool.modelyard.train]
use = "import"
path = "net.onnx"
licence = "MIT"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
as-it-is = []
"""
WEIGHTS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def net(shape: tuple[Any, ...] = ("batch", 4, 3, 2), ends: tuple[str, ...] = ("Softmax",), classes: int = 3) -> Any:
    """Return a model: whatever is in a sample times `WEIGHTS`."""
    helper, kinds = onnx.helper, onnx.TensorProto
    names = ["pixels", "flat", "sums", *ends]
    kinds_of = [("Flatten", []), ("MatMul", ["weights"]), *((end, []) for end in ends)]
    nodes = [
        helper.make_node(kind, [taken, *more], [made])
        for (kind, more), taken, made in zip(kinds_of, names, names[1:], strict=False)
    ]
    weights = onnx.numpy_helper.from_array(WEIGHTS[:, :classes], "weights")
    taken = helper.make_tensor_value_info("pixels", kinds.FLOAT, shape)
    given = helper.make_tensor_value_info(names[-1], kinds.FLOAT, ("batch", classes))
    graph = helper.make_graph(nodes, "net", [taken], [given], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def pictures() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(size=(30, 4, 3, 2)).astype(np.float32)


def answers(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the probabilities of samples with their axes in the model's order."""
    sums = samples.reshape(len(samples), -1) @ WEIGHTS
    raised = np.exp(sums - sums.max(1, keepdims=True))
    probabilities: np.ndarray[Any, Any] = raised / raised.sum(1, keepdims=True)
    return probabilities


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, doit: Doit) -> Path:
    """A project whose data set is built."""
    project = write_small_project(tmp_path_factory.mktemp("brought") / "brought", {"pyproject.toml": PYPROJECT})
    x, y = pictures(), np.arange(30) % 3
    np.savez(project / "pictures.npz", train_x=x, train_y=y, test_x=x, test_y=y)
    onnx.save(net(), project / "net.onnx")
    assert doit(project, "dataset").returncode == 0
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "brought", symlinks=True))


def facts(project: Path) -> Any:
    return json.loads((project / "artifacts/train/brought/model.json").read_text())


def served(project: Path) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.load(project / "artifacts/select/brought/reference/answers.npy")
    return found


def test_the_file_is_measured_as_it_is_and_another_one_is_stale(project: Path, doit: Doit) -> None:
    done = doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "artifacts/train/brought/model.onnx").read_bytes() == (project / "net.onnx").read_bytes()
    assert facts(project)["format"] == "onnx"
    assert facts(project)["licence"] == "MIT"
    assert facts(project)["outputs"][0]["inside"]
    assert facts(project)["signature"]["inputs"] == [
        {"name": "pixels", "dtype": "float32", "shape": ["batch", 4, 3, 2]}
    ]
    np.testing.assert_allclose(served(project), answers(pictures()), atol=1e-5)
    record = json.loads((project / "artifacts/train/brought/stage.json").read_text())
    assert record["metrics"] == {"size_bytes": (project / "net.onnx").stat().st_size, "licence": "MIT"}

    assert "built 0," in doit(project, "select").stdout
    (project / "net.onnx").rename(project / "renamed.onnx")
    done = doit(project, "train.path=renamed.onnx", "select")
    assert "built 0," in done.stdout, "the content counts, not the name"
    onnx.save(net(ends=()), project / "renamed.onnx")
    done = doit(project, "train.path=renamed.onnx", "select")
    assert ".  train:brought: built" in done.stdout
    assert not facts(project)["outputs"][0].get("inside")
    np.testing.assert_allclose(served(project), answers(pictures()), atol=1e-5)


@pytest.fixture
def shards(project: Path) -> Path:
    """Give the project with its model in the folder `net`: the graph, its weights in `weights.bin`, and what is not needed."""
    (project / "net").mkdir()
    onnx.save(net(), project / "net/any.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (project / "net/README.md").write_text("not needed")
    text = (project / "pyproject.toml").read_text()
    text = text.replace('path = "net.onnx"', 'path = "net"\nmodel_format = "onnx"')
    text = text.replace("as-it-is = []", 'as-it-is = []\nint8 = ["onnx-dynamic"]')
    (project / "pyproject.toml").write_text(text)
    return project


def test_weights_in_other_files_are_brought_measured_and_quantized(shards: Path, doit: Doit) -> None:
    done = doit(shards, "select.rule=best-accuracy", "select")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = shards / "artifacts/train/brought/model.onnx"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "model.onnx": (shards / "net/any.onnx").read_bytes(),
        "weights.bin": (shards / "net/weights.bin").read_bytes(),
    }
    evaluation = json.loads((shards / "artifacts/evaluate/as-it-is/evaluation.json").read_text())
    assert evaluation["size_bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    assert list((shards / "artifacts").glob("optimize/**/model.onnx/model.onnx"))
    assert (shards / "artifacts/select/brought/model/model.onnx/model.onnx").is_file()
    found = np.load(shards / "artifacts/evaluate/as-it-is/answers.npy")
    np.testing.assert_allclose(found, answers(pictures()), atol=1e-5)
    assert "built 0," in doit(shards, "select.rule=best-accuracy", "select").stdout
    weights = shards / "net/weights.bin"
    weights.write_bytes((-WEIGHTS).tobytes())
    done = doit(shards, "train")
    assert ".  train:brought: built" in done.stdout
    assert (folder / "weights.bin").read_bytes() == weights.read_bytes()


def test_weights_in_other_files_are_turned_with_the_graph(shards: Path, doit: Doit) -> None:
    onnx.save(
        net(shape=("batch", 2, 4, 3)),
        shards / "net/any.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    done = doit(shards, "train.layout=channels-first", "variants={as-it-is = []}", "select")
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_allclose(served(shards), answers(pictures().transpose(0, 3, 1, 2)), atol=1e-5)


def test_weights_outside_of_the_folder_are_refused(shards: Path, doit: Doit) -> None:
    model = onnx.load(shards / "net/any.onnx", load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../secret.bin"
    (shards / "net/weights.bin").rename(shards / "secret.bin")
    onnx.save(model, shards / "net/any.onnx")
    done = doit(shards, "train")
    assert "net: the weight 'weights' is in another file, '../secret.bin', which leads out of the folder" in done.stdout
    (shards / "net/link.bin").symlink_to(shards / "secret.bin")
    model.graph.initializer[0].external_data[0].value = "link.bin"
    onnx.save(model, shards / "net/any.onnx")
    done = doit(shards, "train")
    assert "'link.bin', a link that leads out of the folder\n  copy the file there instead" in done.stdout
    assert not (shards / "artifacts/train/brought/model.onnx").exists()
    done = doit(shards, "train.path=net/any.onnx", "train")
    assert "any.onnx: the weight 'weights' is in another file, 'link.bin'\n  name the folder" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_is_an_onnx_model_only(shards: Path, doit: Doit) -> None:
    done = doit(shards, "train.model_format=tflite", "variants={as-it-is = []}", 'runtime={use = "litert"}', "train")
    assert "net: is a folder, and a model of the format 'tflite' is a file\n  name the file in it" in done.stdout


def test_channels_that_come_first_are_turned(project: Path, doit: Doit) -> None:
    onnx.save(net(shape=("batch", 2, 4, 3)), project / "net.onnx")
    done = doit(project, "train")
    assert done.returncode != 0
    assert (
        "gave a model that takes 'pixels', float32 (batch, 2, 4, 3), but the data set's samples are (any, 4, 3, 2)"
        in done.stdout
    )
    assert "its channels come first" in done.stdout
    done = doit(project, "train.layout=channels-first", "select")
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_allclose(served(project), answers(pictures().transpose(0, 3, 1, 2)), atol=1e-5)


def test_answers_with_their_batch_behind_another_axis_are_turned(project: Path, doit: Doit) -> None:
    model = net()
    model.graph.node.append(onnx.helper.make_node("Transpose", [model.graph.output[0].name], ["turned"], perm=[1, 0]))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, (3, "batch")))
    onnx.save(model, project / "net.onnx")
    done = doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_allclose(served(project), answers(pictures()), atol=1e-5)
    assert "puts the axis of the batch first: the outputs turned" in (
        project / ".modelyard/logs/train/brought.log"
    ).read_text(encoding="utf-8")


def test_a_batch_that_is_fixed_is_filled_up(project: Path, doit: Doit) -> None:
    onnx.save(net(shape=(7, 4, 3, 2)), project / "net.onnx")
    done = doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_allclose(served(project), answers(pictures()), atol=1e-5)


def test_what_the_file_does_not_show_can_be_said_and_must_be_true(project: Path, doit: Doit) -> None:
    done = doit(project, "train.answers=logits", "train")
    assert done.returncode != 0
    assert (
        "says that the model answers logits, but the file 'model.onnx' shows that it answers probabilities"
        in done.stdout
    )


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("cut.onnx", net().SerializeToString()[:200], "cut.onnx: cannot be read as an ONNX model: "),
        ("text.onnx", b"not a model", "is it a whole file of the format 'onnx'? export the model again"),
        (
            "five.onnx",
            net(classes=2).SerializeToString(),
            "answers 'Softmax', float32 (batch, 2), but the data set has 3 classes",
        ),
        (
            "net.bin",
            b"",
            " is not allowed: its suffix is none of .keras, .onnx, .pt2, .safetensors, .tflite\n  set model_format",
        ),
    ],
)
def test_what_is_no_such_model_is_told_with_its_name(
    project: Path, name: str, content: bytes, told: str, doit: Doit
) -> None:
    (project / name).write_bytes(content)
    done = doit(project, f"train.path={name}", "train")
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nearest", "its suffix is none of .keras, .onnx, .pt2, .safetensors, .tflite\n  set model_format = 'saved_model'"),
        ("nearest/saved_model.pb", "it is one file of a SavedModel\n  name its folder, and set model_format = 'saved_model'"),
        ("large", "its suffix is none of .keras, .onnx, .pt2, .safetensors, .tflite\n  set model_format = 'onnx'"),
    ],
)  # fmt: skip
def test_a_folder_is_told_by_what_it_holds(project: Path, path: str, told: str, doit: Doit) -> None:
    (project / "nearest").mkdir()
    (project / "nearest/saved_model.pb").write_bytes(b"")
    (project / "large").mkdir()
    (project / "large/net.onnx").write_bytes(b"")
    assert told in doit(project, f"train.path={path}", "list").stderr


def test_only_a_model_of_onnx_or_pytorch_is_turned(project: Path, doit: Doit) -> None:
    (project / "net.tflite").write_bytes(b"")
    done = doit(project, "train.path=net.tflite", "train.layout=channels-first", "train")
    assert "only a model of ONNX or PyTorch can be turned\n  export the model with its channels last" in done.stderr


def test_a_model_beside_it_is_refused(project: Path, doit: Doit) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.modelyard.model]\nuse = "net:build"\n')
    done = doit(project, "list")
    assert "the trainer 'import' brings the model, and trains none of the project's\n  remove the table" in done.stderr


def program(shape: tuple[int, ...]) -> Any:
    """Return `WEIGHTS` as an exported program of PyTorch, for samples of a shape."""
    torch = pytest.importorskip("torch")
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 3, bias=False)).eval()
    flat.load_state_dict({"1.weight": torch.from_numpy(WEIGHTS.T.copy())})
    exported = torch.export.export(flat, (torch.zeros(2, *shape),), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    exported.example_inputs = None
    return exported


@pytest.mark.torch
def test_a_program_of_torch_export_is_brought_turned_and_converted(project: Path, doit: Doit) -> None:
    torch = pytest.importorskip("torch")
    torch.export.save(program((2, 4, 3)), project / "net.pt2")
    words = ("train.path=net.pt2", "train.layout=channels-first", 'variants={onnx = ["torch-onnx"]}')
    done = doit(project, *words, "evaluate")
    assert done.returncode == 0, done.stdout + done.stderr
    found = np.load(project / "artifacts/evaluate/onnx/answers.npy")
    np.testing.assert_allclose(found, answers(pictures().transpose(0, 3, 1, 2)), atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("file", ["net.pt2", "net.safetensors"])
@pytest.mark.parametrize("layout", ["channels-last", "channels-first"])
def test_programs_and_weights_of_pytorch_are_brought_as_they_are_or_turned(
    file: str, layout: Layout, template: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    turned = layout == "channels-first"
    if file == "net.pt2":
        torch.export.save(program((2, 4, 3) if turned else (4, 3, 2)), bench.folder / file)
    else:
        said = {"1.weight": {"dtype": "F32", "shape": [3, 24], "data_offsets": [0, WEIGHTS.nbytes]}}
        head = json.dumps(said).encode()
        data = len(head).to_bytes(8, "little") + head + WEIGHTS.T.tobytes()
        (bench.folder / file).write_bytes(data)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 3, bias=False))
    monkeypatch.setitem(sys.modules, "net", SimpleNamespace(build=lambda: layers))
    dataset = Dataset.open(template / "artifacts/dataset/arrays")
    context = bench.train(dataset, list)
    import_model(context, path=str(bench.folder / file), layout=layout, builder="net:build")
    module = torch.export.load(context.out / "model.pt2").module()
    with torch.no_grad():
        found = module(torch.from_numpy(pictures())).softmax(1).numpy()
    expected = answers(pictures().transpose(0, 3, 1, 2) if turned else pictures())
    np.testing.assert_allclose(found, expected, atol=1e-5)
