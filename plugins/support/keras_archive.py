"""Make a `.keras` archive, of Keras 2 or 3, the same bytes for the same model."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""


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
