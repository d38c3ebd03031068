from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataError

onnx = pytest.importorskip("onnx")

from modelyard_plugins.support.onnx.files import bring, graph_file  # noqa: E402 - it needs onnx to be of use
from modelyard_plugins.support.onnx.model import load_graph, load_onnx  # noqa: E402
from modelyard_plugins.support.onnx.skeleton import read_skeleton  # noqa: E402

WEIGHTS = np.arange(600, dtype=np.float32).reshape(20, 30)


def small(weights: np.ndarray[Any, Any] = WEIGHTS) -> Any:
    """Return a model of one operator, with its weights inside."""
    helper, kinds = onnx.helper, onnx.TensorProto
    taken = helper.make_tensor_value_info("x", kinds.FLOAT, ("n", len(weights)))
    given = helper.make_tensor_value_info("y", kinds.FLOAT, ("n", weights.shape[1]))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "small", [taken], [given], [onnx.numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write(folder: Path, name: str = "model.onnx", **entries: object) -> Path:
    """Write the model with its weights in `w.bin`; `entries` say otherwise in the graph."""
    folder.mkdir(parents=True)
    (folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    model = small()
    (tensor,) = model.graph.initializer
    onnx.external_data_helper.set_external_data(tensor, "w.bin", 0, WEIGHTS.nbytes)
    tensor.ClearField("raw_data")
    for entry in tensor.external_data:
        entry.value = str(entries.get(entry.key, entry.value))
    onnx.save(model, folder / name)
    return folder


@pytest.mark.parametrize("read", [load_graph, load_onnx])
def test_weights_in_another_file_stay_there(tmp_path: Path, read: Any) -> None:
    folder = write(tmp_path / "net")
    os.link(folder / "w.bin", tmp_path / "second")  # as the store has it
    model = read(folder)
    assert [one.name for one in model.graph.initializer] == ["w"]
    assert not model.graph.initializer[0].raw_data


@pytest.mark.parametrize("read", [load_graph, load_onnx])
@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"location": "/etc/passwd"}, "'/etc/passwd', which leads out of the folder"),
        ({"location": "../w.bin"}, "'../w.bin', which leads out of the folder"),
        ({"location": "a/../../w.bin"}, "leads out of the folder"),
        ({"location": ""}, "'', which leads out of the folder"),
        ({"location": "link"}, "'link', a link that leads out of the folder\n  copy the file there instead"),
        ({"location": "linked/passwd"}, "a link that leads out of the folder"),
        ({"location": "./model.onnx"}, "which is the model itself"),
        ({"location": "other.bin"}, "is in 'other.bin', which is not there\n  put all files of the model into the folder"),
        ({"offset": 1}, "the weight 'w' is 2,400 bytes from 1 on of 'w.bin', which has 2,400"),
        ({"length": -1}, "is -1 bytes"),
        ({"length": "many"}, "cannot be read as an ONNX model: the weight 'w' has "),
    ],
)  # fmt: skip
def test_a_path_that_leads_out_and_a_file_that_is_not_whole_are_refused(
    tmp_path: Path, read: Any, entries: dict[str, object], told: str
) -> None:
    folder = write(tmp_path / "net", "model.onnx", **entries)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to("/etc")
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(DataError) as caught:
        read(folder)
    assert told in str(caught.value)


def test_a_tensor_in_the_body_of_an_if_is_looked_at_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "net")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    hidden = model.graph.initializer[0]
    body = onnx.helper.make_graph([onnx.helper.make_node("Constant", [], ["c"], value=hidden)], "body", [], [])
    body.node[0].attribute[0].t.external_data[0].value = "../../secret"
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=body, else_branch=body))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(DataError, match=r"'\.\./\.\./secret', which leads out of the folder"):
        load_graph(folder)


def test_the_graph_alone_says_that_the_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is in another file, 'w\.bin'\n  name the folder that holds both"):
        load_graph(write(tmp_path / "net") / "model.onnx")


def test_the_graph_is_the_one_onnx_file_or_the_one_of_that_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "exported.onnx")
    assert graph_file(folder) == folder / "exported.onnx"
    (folder / "fp16.onnx").touch()
    with pytest.raises(DataError, match=r"holds 2 ONNX models, exported\.onnx, fp16\.onnx\n  let it hold one"):
        graph_file(folder)
    (folder / "model.onnx").touch()
    assert graph_file(folder) == folder / "model.onnx"
    with pytest.raises(DataError, match="holds no ONNX model"):
        graph_file(tmp_path)


def test_what_is_brought_is_what_the_graph_names(tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "exported.onnx", location="data/w.bin")
    (folder / "data").mkdir()
    (folder / "w.bin").rename(folder / "data/w.bin")
    (folder / "README.md").touch()
    bring(load_graph(folder), folder, tmp_path / "model.onnx")
    files = sorted(one.relative_to(tmp_path / "model.onnx").as_posix() for one in (tmp_path / "model.onnx").rglob("*"))
    assert files == ["data", "data/w.bin", "model.onnx"]
    assert load_graph(tmp_path / "model.onnx") == load_graph(folder)


def test_of_a_folder_with_all_weights_inside_the_file_is_brought(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    onnx.save(small(), tmp_path / "net/any.onnx")
    bring(load_graph(tmp_path / "net"), tmp_path / "net", tmp_path / "model.onnx")
    assert load_onnx(tmp_path / "model.onnx") == small()


def test_a_skeleton_is_the_model_without_what_is_in_its_weights(tmp_path: Path) -> None:
    model = small()
    ints = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [3], [1, 2, 3])  # not in raw_data
    model.graph.initializer.append(ints)
    model.metadata_props.add(key="labels", value="a,b" * 1000)
    onnx.save(model, tmp_path / "model.onnx")
    data = read_skeleton(tmp_path / "model.onnx")
    assert len(data) < model.ByteSize() - WEIGHTS.nbytes
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.ClearField("int64_data")
    assert onnx.ModelProto.FromString(data) == model


@pytest.mark.parametrize("cut", [1, 30, 200, 2450])
def test_a_file_that_is_cut_is_told(tmp_path: Path, cut: int) -> None:
    data = small().SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data[:-cut])
    with pytest.raises(DataError, match="cannot be read as an ONNX model"):
        load_graph(tmp_path / "model.onnx")
