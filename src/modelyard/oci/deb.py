"""Debian packages, opened without dpkg and without running any of their scripts.

Source: deb(5); an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.oci.tree import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_UNPACKED_BYTES = 2 << 30
"""A package that unpacks to more than this is refused."""


def control_fields(deb: Path) -> tuple[dict[str, str], str, bytes]:
    """Return the fields of a package's control paragraph, its text, and its `md5sums` file (empty if it has none).

    Raises:
        ToolError: the file is not a Debian package.
    """
    with _told(deb), tarfile.open(fileobj=io.BytesIO(_member(deb, "control.tar"))) as archive:
        files = {m.name.removeprefix("./"): archive.extractfile(m) for m in archive if m.isfile()}
        contents = {name: stream.read() for name, stream in files.items() if stream is not None}
        text = contents["control"].decode("utf-8")
        return parse_paragraph(text), text, contents.get("md5sums", b"")


@contextlib.contextmanager
def _told(deb: Path) -> Iterator[None]:
    """Turn what is raised for a damaged package into a `ToolError`."""
    try:
        yield
    except (ValueError, KeyError, EOFError, OSError, tarfile.TarError, lzma.LZMAError, zlib.error) as exc:
        msg = f"{deb}: damaged, or not a Debian package: {exc}\n  remove the file and build again"
        raise ToolError(msg) from exc


def parse_paragraph(text: str) -> dict[str, str]:
    """Return the fields of one control paragraph; a continued line is joined to its field with a space."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields[name]} {line.strip()}".strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            fields[name] = value.strip()
    return fields


def data_entries(deb: Path) -> Iterator[tuple[str, Entry]]:
    """Give path and entry of each file, folder and link that a package installs.

    Raises:
        ToolError: the file is not a Debian package, or holds a device node or an unresolved hard link.
    """
    files: dict[str, Entry] = {}
    with _told(deb), tarfile.open(fileobj=io.BytesIO(_member(deb, "data.tar"))) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            entry = _entry(archive, member, files, deb)
            files[name] = entry
            yield name, entry


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, Entry], deb: Path) -> Entry:
    if member.isdir():
        return Entry("dir", member.mode, member.uid, member.gid)
    if member.issym():
        return Entry.link(member.linkname)
    if member.isreg():
        stream = archive.extractfile(member)
        data = stream.read() if stream else b""
        return Entry("file", member.mode, member.uid, member.gid, len(data), source=lambda: io.BytesIO(data))
    original = files.get(member.linkname.removeprefix("./"))
    if member.islnk() and original is not None:
        return original
    msg = f"{deb.name}: {member.name!r} is a device node or a dangling hard link\n  leave this package out"
    raise ToolError(msg)


def _member(deb: Path, prefix: str) -> bytes:
    for name, data in ar_members(deb):
        if name.startswith(prefix):
            return _decompress(deb, name, data)
    msg = f"{deb}: no {prefix}.* in it, so it is not a Debian package\n  remove the file and build again"
    raise ToolError(msg)


def ar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give name and content of each member of an `ar` archive.

    Raises:
        ToolError: the file is not an `ar` archive, or ends too early.
    """
    data = path.read_bytes()
    if not data.startswith(b"!<arch>\n"):
        msg = f"{path}: not a Debian package\n  remove the file and build again"
        raise ToolError(msg)
    at = 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode("ascii").rstrip(" /"), _length(data[at + 48 : at + 58])
        if at + 60 + size > len(data):
            msg = f"{path}: ends in the middle of {name!r}\n  remove the file and build again"
            raise ToolError(msg)
        yield name, data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2


def _length(field: bytes) -> int:
    """Return a length in an `ar` header: decimal digits and spaces. A negative one would lead back."""
    text = field.strip(b" ")
    if not text.isdigit():
        msg = f"a member has the length {field!r}"
        raise ValueError(msg)
    return int(text)


def _decompress(deb: Path, name: str, data: bytes) -> bytes:
    suffix = name.rpartition(".")[2]
    if suffix == "zst":
        return _unzstd(deb, data)
    openers: dict[str, Any] = {"xz": lzma.open, "gz": gzip.open, "bz2": bz2.open}
    if suffix not in openers:
        return data
    with openers[suffix](io.BytesIO(data)) as stream:
        return _capped(stream.read(MAX_UNPACKED_BYTES + 1), deb)


def _unzstd(deb: Path, data: bytes) -> bytes:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError as exc:
        msg = f"{deb.name}: compressed with zstd, which this Python cannot read\n  python -m pip install zstandard"
        raise ToolError(msg) from exc
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as stream:
        return _capped(stream.read(MAX_UNPACKED_BYTES + 1), deb)


def _capped(data: bytes, deb: Path) -> bytes:
    if len(data) > MAX_UNPACKED_BYTES:
        msg = f"{deb.name}: unpacks to more than {MAX_UNPACKED_BYTES} bytes\n  leave this package out"
        raise ToolError(msg)
    return data
