"""Look at a model's file that somebody brings: whether it is what its format says, and can run no code."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUFFIXES = {".onnx": "onnx", ".keras": "keras", ".tflite": "tflite", ".pt2": "torch"}
"""The format of a file by its suffix."""
DISTRIBUTIONS = {
    "onnx": ("onnx",),
    "keras": ("keras", "tensorflow"),
    "tf_keras": ("tf-keras", "tensorflow"),
    "tflite": ("ai-edge-litert",),
    "torch": ("torch",),
    "tf_saved_model": ("tensorflow",),
}
"""The formats that can be brought, each with the distributions that read it."""


def format_at(path: Path) -> str:
    """Return the format of the model at `path`: of a file by its suffix, of a folder by what is in it; empty: none of these."""
    if (path / "saved_model.pb").is_file():
        return "tf_saved_model"
    if path.is_dir() and any(path.glob("*.onnx")):
        return "onnx"
    return SUFFIXES.get(path.suffix.lower(), "")


def check_file(model_format: str, copy: Path, given: Path) -> None:
    """Read the model in `copy` as `model_format`; errors name the file that was `given`.

    Raises:
        DataError: it is damaged, of another format, or holds what could run code.
    """
    try:
        _READERS[model_format](copy)
    except DataError as exc:
        why, _, advice = str(exc).replace(str(copy), str(given)).partition("\n  ")
        if advice.startswith("build the stage"):  # no stage made it
            advice = f"is it a whole file of the format {model_format!r}? export the model again"
        msg = f"{why}\n  {advice}"
        raise DataError(msg) from exc


def bring(model_format: str, given: Path, place: Path, signature: str = "") -> None:
    """Copy the model in `given` to `place`: a file, or a folder where the format knows such.

    Of a SavedModel the `signature` that is named is kept alone; empty: nothing is changed.

    Raises:
        DataError: the folder holds no such model.
    """
    if model_format == "tf_saved_model":
        from modelyard_plugins.support.keras.brought_saved_model import keep_signature

        if not signature:
            check_file(model_format, given, given)
        shutil.copytree(given, place)
        if signature:
            keep_signature(place, signature)
    elif not given.is_dir():
        shutil.copyfile(given, place)
    elif model_format == "onnx":
        from modelyard_plugins.support.onnx import files

        check_file(model_format, given, given)
        files.bring(_read_onnx(given), given, place)
    else:
        msg = f"{given}: is a folder, and a model of the format {model_format!r} is a file\n  name the file in it"
        raise DataError(msg)


def _read_onnx(path: Path) -> Any:
    from modelyard_plugins.support.onnx.model import load_graph

    return load_graph(path)


def _read_keras(path: Path) -> Any:
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    return load_keras3(path)


def _read_tf_keras(path: Path) -> Any:
    from modelyard_plugins.support.keras_files import load_keras

    return load_keras(path)


def _read_saved_model(path: Path) -> Any:
    from modelyard_plugins.support.keras.brought_saved_model import load_function

    return load_function(path)


def _read_litert(path: Path) -> Any:
    from modelyard_plugins.support.litert.model import open_interpreter

    return open_interpreter(path)


def _read_torch(path: Path) -> Any:
    from modelyard_plugins.support.torch.program import load_program

    return load_program(path)


_READERS: dict[str, Callable[[Path], Any]] = {
    "onnx": _read_onnx,
    "keras": _read_keras,
    "tf_keras": _read_tf_keras,
    "tflite": _read_litert,
    "torch": _read_torch,
    "tf_saved_model": _read_saved_model,
}


def turn_input(path: Path) -> None:
    """Let the ONNX model in `path`, which takes its channels first, take them last.

    Raises:
        StageFailed: its input has no channels to turn.
    """
    import onnx

    from modelyard_plugins.support.onnx.files import graph_file
    from modelyard_plugins.support.onnx.layout import with_channels_last
    from modelyard_plugins.support.onnx.model import load_onnx

    onnx.save(with_channels_last(load_onnx(path)), graph_file(path))


def turn_outputs(path: Path) -> list[str]:
    """Let the ONNX model in `path` answer with the axis of the batch first, and return which of its outputs had it elsewhere."""
    import onnx

    from modelyard_plugins.support.onnx.files import graph_file
    from modelyard_plugins.support.onnx.layout import with_batch_first
    from modelyard_plugins.support.onnx.model import load_graph, load_onnx

    # the graph alone first: little is read where nothing is to be done, however large the model
    _, turned = with_batch_first(load_graph(path))
    if turned:
        onnx.save(with_batch_first(load_onnx(path))[0], graph_file(path))
    return turned
