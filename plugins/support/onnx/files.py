"""The files of an ONNX model: one, or a folder with the graph, `model.onnx`, and the weights in files beside it.

A graph of more than 2 GB cannot be written; its weights are then *external data*, which the graph names by a path that is
relative to it. Such a path may name any file, so that one that leads out of the folder is refused.

Source: ONNX, ExternalData.md.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import format_file
from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH = format_file("onnx")
"""What the graph's file is called, in a folder, too."""


def graph_file(path: Path) -> Path:
    """Return the file with the graph of the model in `path`, a file or folder.

    Raises:
        DataError: the folder has none, or several of which none is called `model.onnx`.
    """
    if not path.is_dir() or (path / GRAPH).is_file():
        return path / GRAPH if path.is_dir() else path
    found = sorted(one.name for one in path.glob("*.onnx"))
    if len(found) != 1:
        named = f"{len(found)} ONNX models, {', '.join(found)}" if found else "no ONNX model"
        msg = f"{path}: the folder holds {named}\n  let it hold one .onnx file with the files of its weights, or one called {GRAPH!r}"
        raise DataError(msg)
    return path / found[0]


def graph_to_write(path: Path, *, external: bool) -> Path:
    """Return the file to write a model's graph to: `path`; with external data, `model.onnx` in it, a new folder."""
    if external:
        path.mkdir()
    return path / GRAPH if external else path


def bring(model: Any, given: Path, place: Path) -> None:
    """Copy the model in the folder `given` to `place`, with those files that its graph names, and no other.

    Args:
        model: its graph, an `onnx.ModelProto`, whose external data were checked.
        given: the folder.
        place: where to: a folder, or a file if all weights are inside of the graph.
    """
    external = any(True for _ in external_tensors(model))
    shutil.copyfile(graph_file(given), graph_to_write(place, external=external))
    copy_external(model, given, place)


def copy_external(model: Any, given: Path, place: Path) -> None:
    """Copy the files that the graph names for its weights from one folder to another."""
    for name in sorted({location(tensor) for tensor in external_tensors(model)}):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(given / name, place / name)


def check_external(model: Any, path: Path) -> None:
    """Check that the weights of `model`, an `onnx.ModelProto` read from `path`, are inside of it, or in files of the folder.

    Raises:
        DataError: one is elsewhere, or in a file that is not there or too short.
    """
    for tensor in external_tensors(model):
        _check_place(tensor, path)
        _check_length(tensor, path)


def external_tensors(message: Any) -> Iterator[Any]:
    """Yield each tensor in `message` that is in another file, wherever: a weight, a constant, in the body of an If."""
    if message.DESCRIPTOR.name == "TensorProto":
        if message.data_location == message.EXTERNAL:
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from external_tensors(inner)


def entries(tensor: Any) -> dict[str, str]:
    """Return what a tensor says of the file that it is in: `location`, `offset`, `length`."""
    return {one.key: one.value for one in tensor.external_data}


def location(tensor: Any) -> str:
    """Return the file that a tensor is in, from the folder of the graph."""
    return PurePosixPath(entries(tensor).get("location", "")).as_posix()


def _check_place(tensor: Any, path: Path) -> None:
    what = f"{path}: the weight {tensor.name!r} is in another file, {entries(tensor).get('location', '')!r}"
    if not path.is_dir():
        msg = f"{what}\n  name the folder that holds both, with nothing else in it, and set model_format = 'onnx'"
        raise DataError(msg)
    name = PurePosixPath(location(tensor))
    if name.is_absolute() or ".." in name.parts or "\0" in str(name) or name == PurePosixPath():
        msg = f"{what}, which leads out of the folder\n  allowed: a path below the folder; save the model again"
        raise DataError(msg)
    if str(name) in (GRAPH, graph_file(path).name):
        msg = f"{what}, which is the model itself\n  save the model again, with its weights in a file of another name"
        raise DataError(msg)
    if not (path / name).resolve().is_relative_to(path.resolve()):
        msg = f"{what}, a link that leads out of the folder\n  copy the file there instead"
        raise DataError(msg)


def _check_length(tensor: Any, path: Path) -> None:
    said, name = entries(tensor), location(tensor)
    if not (path / name).is_file():
        msg = f"{path}: the weight {tensor.name!r} is in {name!r}, which is not there\n  put all files of the model into the folder"
        raise DataError(msg)
    try:
        start, length = (int(said.get(key, "0")) for key in ("offset", "length"))
    except ValueError as exc:
        msg = f"{path}: cannot be read as an ONNX model: the weight {tensor.name!r} has {exc}\n  save the model again"
        raise DataError(msg) from exc
    size = (path / name).stat().st_size
    if start < 0 or length < 0 or start + length > size:
        msg = f"{path}: the weight {tensor.name!r} is {length:,} bytes from {start:,} on of {name!r}, which has {size:,}\n  is it a whole file? copy it again"
        raise DataError(msg)
