"""A tree of files to put into a layer: sorted, checked, the same wherever it was made."""

from __future__ import annotations

import hashlib
import io
import posixpath
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Literal

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Kind = Literal["file", "dir", "link"]
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Top folders that are links into `/usr` on a system with a merged `/usr`."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or symbolic link of a tree.

    Attributes:
        kind: `file`, `dir` or `link`.
        mode: permission bits, without setuid and setgid.
        uid: numeric owner; `gid`: numeric group.
        size: bytes of a file, otherwise 0.
        target: what a link points to.
        source: opens a file's content.
    """

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    source: Callable[[], BinaryIO] = io.BytesIO

    @classmethod
    def file(cls, data: bytes, mode: int = 0o644) -> Entry:
        """Return a file that holds `data`."""
        return cls("file", mode, size=len(data), source=lambda: io.BytesIO(data))

    @classmethod
    def from_path(cls, path: Path) -> Entry:
        """Return the file `path` with its mode brought down to 0755 or 0644, so that a umask does not show."""
        info = path.stat()
        mode = 0o755 if info.st_mode & 0o100 else 0o644
        return cls("file", mode, size=info.st_size, source=lambda: path.open("rb"))

    @classmethod
    def directory(cls, mode: int = 0o755) -> Entry:
        """Return a folder."""
        return cls("dir", mode)

    @classmethod
    def link(cls, target: str) -> Entry:
        """Return a symbolic link to `target`."""
        return cls("link", 0o777, target=target)

    def read(self) -> bytes:
        """Return the content of a file."""
        with self.source() as stream:
            return stream.read()


def clean_path(name: str) -> str:
    """Return `name` as a path inside an image, without leading `./` and final `/`.

    Raises:
        ToolError: the path is absolute, climbs with `..`, has a NUL, or is a whiteout (`.wh.`).
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    bad = name.startswith("/") or ".." in parts or "\0" in name or any(part.startswith(".wh.") for part in parts)
    if bad:
        msg = (
            f"image content: path {name!r} is absolute, climbs with '..', or is a whiteout\n"
            "  remove it from its package, wheel or folder"
        )
        raise ToolError(msg)
    return "/".join(parts)


class Tree:
    """Paths and what is there, each path once, parents always present."""

    def __init__(self, *, merged_usr: bool = False) -> None:
        self._entries: dict[str, Entry] = {}
        self._merged_usr = merged_usr

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        """Give path and entry, sorted by the bytes of the path, which puts parents before children."""
        return iter(sorted(self._entries.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape")))

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, path: str) -> Entry | None:
        """Return what is at `path`, or None."""
        return self._entries.get(path)

    def add(self, name: str, entry: Entry) -> None:
        """Put `entry` at `name`; a later file takes the place of an earlier one.

        Raises:
            ToolError: the path is refused (see `clean_path`), or a folder and something else meet there.
        """
        path = self.place(name)
        if not path:
            return
        self._add_parents(path)
        before = self._entries.get(path)
        if before is not None and before.kind != entry.kind and "dir" in (before.kind, entry.kind):
            msg = (
                f"image content: {path!r} is a folder in one package and a {entry.kind} in another\n"
                "  leave one of the two packages out"
            )
            raise ToolError(msg)
        self._entries[path] = replace(entry, mode=entry.mode & ~(stat.S_ISUID | stat.S_ISGID))

    def place(self, name: str) -> str:
        """Return where `name` goes: cleaned, and below `usr/` when the system has a merged `/usr`."""
        path = clean_path(name)
        top = path.split("/", 1)[0]
        return f"usr/{path}" if self._merged_usr and top in MERGED else path

    def add_folder(self, name: str, folder: Path) -> None:
        """Put the file or folder `folder` at `name`, modes normalized, without compiled Python.

        Raises:
            ToolError: it holds something other than files, folders and links inside of it.
        """
        if folder.is_file():
            self.add(name, Entry.from_path(folder))
            return
        self.add(name, Entry.directory())
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not is_bytecode(relative.parts):
                self.add(f"{name}/{relative.as_posix()}", _entry_of(path, folder))

    def overlay(self, other: Iterable[tuple[str, Entry]]) -> None:
        """Put the entries of `other` where they stand, even where a merged `/usr` would move them."""
        self._entries.update(other)

    def replace_modes(self, lower: Callable[[str], Entry | None]) -> None:
        """Give each folder the mode and owner that `lower(path)` has: an upper layer's entry replaces the lower one's.

        Raises:
            ToolError: a folder of ours would take the place of a file or link of a lower layer.
        """
        for path, entry in list(self._entries.items()):
            below = lower(path)
            if entry.kind != "dir" or below is None:
                continue
            if below.kind != "dir":
                msg = (
                    f"image content: {path!r} is a {below.kind} in the base image and would be replaced by a folder\n"
                    "  choose another path"
                )
                raise ToolError(msg)
            self._entries[path] = replace(entry, mode=below.mode, uid=below.uid, gid=below.gid)

    def digest(self) -> str:
        """Return the SHA-256 of all paths, attributes and contents, 64 hex digits."""
        total = hashlib.sha256()
        for path, entry in self:
            with entry.source() as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
            line = (path, entry.kind, entry.mode, entry.uid, entry.gid, entry.target, content)
            total.update(repr(line).encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def _add_parents(self, path: str) -> None:
        parent = posixpath.dirname(path)
        while parent:
            found = self._entries.setdefault(parent, Entry.directory())
            if found.kind != "dir":
                msg = (
                    f"image content: {path!r} lies below {parent!r}, which is a {found.kind}\n"
                    "  leave one of the two out"
                )
                raise ToolError(msg)
            parent = posixpath.dirname(parent)


def is_bytecode(parts: Iterable[str]) -> bool:
    """Return whether a path, given in parts, is compiled Python."""
    return any(part == "__pycache__" or part.endswith(".pyc") for part in parts)


def _entry_of(path: Path, root: Path) -> Entry:
    if path.is_symlink():
        target = path.readlink()
        inside = not target.is_absolute() and (path.parent / target).resolve().is_relative_to(root.resolve())
        if not inside:
            msg = f"{path}: the link points outside of {str(root)!r}\n  copy the file there instead"
            raise ToolError(msg)
        return Entry.link(target.as_posix())
    if path.is_dir():
        return Entry.directory()
    if path.is_file():
        return Entry.from_path(path)
    msg = f"{path}: neither a file, a folder nor a link\n  remove it"
    raise ToolError(msg)
