"""Make a `.keras` archive, of Keras 2 or 3, the same bytes for the same model; and look at one before it is read."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.keras.config import check_config
from modelyard_plugins.support.keras.weights import count_weights
from modelyard_plugins.support.memory import check_fits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_ENTRIES = frozenset({"metadata.json", _CONFIG, _WEIGHTS})


def check_archive(path: Path, is_registered: Callable[[str], bool]) -> None:
    """Check that the file `path` is a `.keras` archive with the parts of one, and that none can run code.

    Args:
        path: the file.
        is_registered: whether a class or function of that name is registered with Keras.

    Raises:
        DataError: it is something else: another format by that name is loaded with fewer checks, or none.
    """
    with path.open("rb") as file:
        if path.suffix != ".keras" or file.read(4) != b"PK\x03\x04":
            msg = f"{path}: is no .keras archive\n  save the model in Keras's own format: model.save('model.keras')"
            raise DataError(msg)
    with zipfile.ZipFile(path) as archive:
        _check_entries(archive.infolist(), path)
        with archive.open(_WEIGHTS) as weights:
            numbers = count_weights(weights, path)
        check_config(json.loads(archive.read(_CONFIG)), numbers, path, is_registered)


def _check_entries(entries: list[zipfile.ZipInfo], path: Path) -> None:
    names = sorted(entry.filename for entry in entries)
    foreign = [name for name in names if name not in _ENTRIES and not _is_asset(name)]
    if foreign or len(set(names)) < len(names) or not set(names) >= _ENTRIES:
        found = f"holds {foreign[0]!r}" if foreign else f"holds {', '.join(names) or 'nothing'}"
        msg = f"{path}: {found}; a .keras archive has {', '.join(sorted(_ENTRIES))}, each once\n  save the model with Keras"
        raise DataError(msg)
    check_fits(path, sum(entry.file_size for entry in entries), "save the model with Keras, which compresses nothing")


def _is_asset(name: str) -> bool:
    """Return whether an entry is a layer's own file, such as a vocabulary, in the archive's folder for them."""
    return name.startswith("assets/") and ".." not in name.split("/") and "\\" not in name


def normalize_archive(raw: Path, path: Path) -> None:
    """Copy a `.keras` archive to `path` without what differs from one run to the next: times and addresses of objects."""
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": "1980-01-01@00:00:00"}, sort_keys=True).encode()
            if name == "config.json":
                data = _number_shared(data)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            target.writestr(info, data)


def _number_shared(config: bytes) -> bytes:
    """Return the configuration with shared objects numbered from 1: Keras calls them by their address in memory."""
    if b'"shared_object_id"' not in config:
        return config
    numbers: dict[int, int] = {}

    def renumber(value: Any) -> Any:
        if isinstance(value, list):
            return [renumber(one) for one in value]
        if isinstance(value, dict):
            return {key: number(one) if key == "shared_object_id" else renumber(one) for key, one in value.items()}
        return value

    def number(address: int) -> int:
        return numbers.setdefault(address, len(numbers) + 1)

    return json.dumps(renumber(json.loads(config))).encode()
