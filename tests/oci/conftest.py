"""Small packages, wheels and images to build with, and a registry to push to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import tarfile
import zipfile
from functools import partial
from typing import TYPE_CHECKING

import pytest

from modelyard.oci.image import Image, Recipe, assemble, write_archive
from modelyard.oci.layers import LayerCache
from modelyard.oci.reference import parse
from modelyard.oci.tree import Entry, Tree
from tests.standins import registry as standins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Members = list[tuple[str, bytes | str | None]]
"""Name and bytes (a file), text (a link's target) or None (a folder)."""


def tar_bytes(members: Members, **attributes: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if content is None else 0o644
            info.type = (
                tarfile.DIRTYPE if content is None else tarfile.SYMTYPE if isinstance(content, str) else tarfile.REGTYPE
            )
            info.linkname = content if isinstance(content, str) else ""
            info.size = len(content) if isinstance(content, bytes) else 0
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return stream.getvalue()


def ar_bytes(members: Mapping[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        parts += [head.encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def write_deb(path: Path, name: str, members: Members, version: str = "1.0", **attributes: object) -> Path:
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nDescription: a\n longer text\n".encode()
    sums = b"d41d8cd98f00b204e9800998ecf8427e  usr/x\n"
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": tar_bytes([("./control", control), ("./md5sums", sums)]),
        "data.tar": tar_bytes(members, **attributes),
    }
    path.write_bytes(ar_bytes(parts))
    return path


def write_wheel(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a wheel named `path` with `files` and a RECORD of them."""
    name, version = path.name.split("-")[:2]
    record = f"{name}-{version}.dist-info/RECORD"
    with zipfile.ZipFile(path, "w") as archive:
        rows = []
        for file, data in files.items():
            archive.writestr(file, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{file},sha256={digest},{len(data)}")
        archive.writestr(record, "\n".join([*rows, f"{record},,"]) + "\n")
    return path


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., tuple[Path, Image]]:
    """Write an image of one layer a mapping (path -> content) and return the archive and the image."""

    def make(
        *layers: Mapping[str, bytes], name: str = "image.tar", tag: str = "v1", epoch: int = 1
    ) -> tuple[Path, Image]:
        cache = LayerCache(tmp_path / "layers", "gzip", epoch)
        made = []
        for number, files in enumerate(layers):
            tree = Tree()
            for path, content in files.items():
                tree.add(path, Entry.file(content))
            made.append(cache.layer(f"layer-{number}", tree.digest(), partial(_same, tree)))
        settings = {"User": "65532:65532", "Env": ["A=1"], "Labels": {"l": "m"}}
        image = assemble(made, Recipe(parse("team/digits", tag), "amd64", settings, {"l": "m"}, epoch))
        write_archive(image, tmp_path / name)
        return tmp_path / name, image

    return make


USER, PASSWORD = "keeper", "correct-horse"
HTPASSWD = "keeper:$2b$05$QWE0NDQ1NjY3Nzg4OTkwMOL/kn9HIeLHgu6xpHlWYLeOHG.Xh8v2C\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a real registry on loopback; returns `host:port`. `auth` is YAML for its configuration."""
    with contextlib.ExitStack() as running:
        yield lambda auth="": running.enter_context(standins.registry(tmp_path, auth=auth))


def _same(tree: Tree) -> Tree:
    return tree
