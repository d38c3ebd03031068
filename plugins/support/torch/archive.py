"""What a `.pt2` file may hold: a program of plain tensors, and nothing that torch would unpickle, evaluate or link.

torch.export.load falls back to pickle in several places, evaluates the text of symbolic sizes, imports what a
structure of arguments names, and loads compiled libraries that lie in the archive. Here the archive is read by the
reader that loads it afterwards, so that both see the same entries, and all that is not known to be harmless is refused.

Source: PyTorch 2.13, `torch/export/pt2_archive/_package.py`, `torch/_export/serde/schema.py`.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.torch.expressions import is_plain_guard, is_plain_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ENTRY = (
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder"
    r"|(\.data/)?version|\.data/serialization_id"
)
_PROGRAM, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = {"data/weights/": "model_weights_config.json", "data/constants/": "model_constants_config.json"}
_OPERATOR = r"torch\.ops\.\w+(\.\w+){1,2}|_operator\.\w+|math\.\w+|torch\.\w*sym_\w+"
_READS_FILES = "torch.ops.aten.from_file"
_STRUCTURES = {"builtins.tuple", "builtins.list", "builtins.dict", None}
_EXPANDED_NUMBERS = 1 << 24
"""A tensor may say more numbers than it holds, if it repeats them; to this many, which is 64 MB of float32."""


def check_archive(path: Path) -> None:
    """Check that `path` holds a program of plain tensors; it may still be damaged.

    Raises:
        DataError: it holds something else, or what it holds would have to be unpickled.
    """
    from torch.export.pt2_archive._package import PT2ArchiveReader

    with PT2ArchiveReader(str(path)) as archive:
        _check_entries(archive, path)
        for folder, name in _CONFIGS.items():
            config = json.loads(archive.read_string(folder + name))
            _check_payloads(archive, folder, config.get("config", {}), path)
        _check_program(json.loads(archive.read_string(_PROGRAM)), path)


def _refused(path: Path, what: str, advice: str) -> DataError:
    return DataError(f"{path}: {what}, which can run any code\n  {advice}")


def _check_entries(archive: Any, path: Path) -> None:
    names = archive.get_file_names()
    foreign = [name for name in names if not re.fullmatch(_ENTRY, name)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if foreign or twice:
        what = f"holds {foreign[0]!r}" if foreign else f"holds {twice[0]!r} twice"
        msg = f"{path}: {what}, which is no part of a program of plain tensors\n  write it with save_program"
        raise DataError(msg)
    sizes = {name: int(archive.archive_file.get_record_size(name)) for name in names}
    if sizes.get(_SAMPLES, 0):
        advice = "set program.example_inputs = None before torch.export.save"
        raise _refused(path, "its sample inputs would have to be unpickled", advice)
    if sum(sizes.values()) > path.stat().st_size:
        msg = (
            f"{path}: says that it unpacks to {sum(sizes.values()):,} bytes\n  write it uncompressed, with save_program"
        )
        raise DataError(msg)


def _check_payloads(archive: Any, folder: str, payloads: dict[str, Any], path: Path) -> None:
    pickled = sorted(name for name, meta in payloads.items() if meta.get("use_pickle"))
    objects = sorted(
        name for name, meta in payloads.items() if not re.fullmatch(r"(weight|tensor)_\d+", meta["path_name"])
    )
    if pickled or objects:
        advice = "keep to plain tensors in the model: no tensor subclasses, no custom objects"
        raise _refused(path, f"{', '.join(pickled or objects)} would have to be unpickled", advice)
    for name, meta in payloads.items():
        said = math.prod(one["as_int"] for one in meta["tensor_meta"]["sizes"])
        held = int(archive.archive_file.get_record_size(folder + meta["path_name"]))
        if said > max(held, _EXPANDED_NUMBERS if held else 0):
            msg = (
                f"{path}: {name} says {said:,} numbers, but holds {held:,} bytes\n  build the stage that wrote it again"
            )
            raise DataError(msg)


def _check_program(program: dict[str, Any], path: Path) -> None:
    for key, value in _fields(program):
        if key == "expr_str" and not is_plain_size(value):
            raise _refused(
                path, f"the size {value!r} would have to be evaluated", "build the stage that wrote it again"
            )
        if key == "target" and not (re.fullmatch(_OPERATOR, value) and not value.startswith(_READS_FILES)):
            raise _refused(
                path, f"the operator {value!r} is not one of torch.ops", "use operators that torch.export knows"
            )
        if key in ("in_spec", "out_spec") and not _is_plain_structure(json.loads(value)):
            advice = "let forward take and answer tensors, in tuples, lists and dicts at most"
            raise _refused(path, f"the structure of its {key[:-5]}puts names a type", advice)
    guards = [text for text in program.get("guards_code") or [] if not is_plain_guard(text)]
    if guards:
        raise _refused(path, f"the guard {guards[0]!r} would have to be evaluated", "export the model without guards")


def _fields(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each field of `value`, and of the objects in it, that holds a text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from ((key, text) for key, text in one.items() if isinstance(text, str))
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _is_plain_structure(spec: Any) -> bool:
    """Return whether a structure of arguments is made of tuples, lists and dicts; others are imported by name."""
    nodes = list(spec[1:])
    while nodes:
        node = nodes.pop()
        if node["type"] not in _STRUCTURES or "fqn" in str(node["context"]):
            return False
        nodes.extend(node["children_spec"])
    return True
