"""What a target rendered, as a folder for git: the files alone, the same bytes every time, and nothing that is not ours touched.

Beside the files stands a list of them with their digests. By it the next export, on whatever machine, knows which files
it may replace and remove: those that an export wrote and that nobody has changed since.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import StageFailed
from modelyard.files.atomic import replacing
from modelyard.files.hashing import hash_file
from modelyard.files.json import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LIST = ".modelyard-export.json"
"""The list of what was exported into a folder: `{"FILE": "SHA-256"}`. kubectl, Kustomize and Argo CD pass over it."""


@dataclass(frozen=True)
class Exported:
    """What an export did to a folder: the files that it wrote, removed, and left as they were."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]


def export(source: Path, names: Iterable[str], target: Path) -> Exported:
    """Make `target` hold the files `names` of `source`, and no other file of an earlier export.

    Raises:
        StageFailed: a file is in the way of a folder, or one that is to be replaced or removed is not as an export wrote it;
            nothing was changed then. Or the list of the earlier export is none.
        OSError: something cannot be read or written.
    """
    wanted = {name: (source / name).read_bytes() for name in sorted(names)}
    _check_folders(target, wanted)
    before = _read_list(target)
    there = {name: _digest(target, name) for name in {*wanted, *before}}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    _check_ours(target, there, before, digests)
    written = tuple(name for name in wanted if there[name] != digests[name])
    removed = tuple(sorted(name for name in before.keys() - wanted.keys() if there[name]))
    for name in written:
        _write(target / name, wanted[name])
    _write(target / LIST, msgspec.json.format(msgspec.json.encode(digests), indent=2) + b"\n")
    for name in removed:
        _remove(target, name)
    return Exported(written, removed, tuple(name for name in wanted if name not in written))


def _check_folders(target: Path, names: Iterable[str]) -> None:
    """Refuse to write where something that is no folder stands in place of one."""
    for folder in sorted({target, *((target / name).parent for name in names)}):
        there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
        if not there.is_dir():
            msg = f"export: {there}: a file is in the way of a folder\n  move it away, or export elsewhere: doit export export.folder=FOLDER"
            raise StageFailed(msg)


def _check_ours(target: Path, there: Mapping[str, str], before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to touch a file that is neither what an export wrote nor what this one writes."""
    others = sorted(
        name for name, digest in there.items() if digest and digest not in (before.get(name), now.get(name))
    )
    if others:
        listed = "".join(f"\n  {target / name}" for name in others)
        msg = (
            f"export: not as an export wrote it, so that it is neither replaced nor removed:{listed}\n"
            "  move it away if it is yours, and put your change into pyproject.toml or a template; then export again"
        )
        raise StageFailed(msg)


def _read_list(target: Path) -> dict[str, str]:
    file = target / LIST
    try:
        found = decode(file.read_bytes(), dict[str, str])
    except FileNotFoundError:
        return {}
    except (IsADirectoryError, ValueError) as exc:
        why = "it is a folder" if isinstance(exc, OSError) else str(exc)
        msg = f"export: {file}: is not the list of an export: {why}\n  restore it from git, or remove it and the files beside it"
        raise StageFailed(msg) from exc
    for name in found:
        if name.startswith("/") or ".." in name.split("/"):
            msg = f"export: {file}: {name!r} is outside of its folder\n  restore it from git"
            raise StageFailed(msg)
    return found


def _digest(target: Path, name: str) -> str:
    """Return the digest of a file; an empty text if there is none, something else if it is no file."""
    file = target / name
    if not file.is_file():
        return "no file" if file.exists() or file.is_symlink() else ""
    return hash_file(file)


def _write(file: Path, data: bytes) -> None:
    if file.is_file() and file.read_bytes() == data:
        return
    with replacing(file) as draft:
        draft.write_bytes(data)


def _remove(target: Path, name: str) -> None:
    """Remove a file, and the folders in which it was the last."""
    file = target / name
    file.unlink()
    for folder in file.relative_to(target).parents:
        if folder.parts:
            with contextlib.suppress(OSError):  # there is something else in it
                (target / folder).rmdir()
