"""An image's files in a folder, and its own Python run from there: no engine, no root.

The image's dynamic loader is started with the image's libraries, so that the interpreter, the
wheels and the C library are those that ship.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelyard.errors import ToolError
from modelyard.oci.archive import open_layer, read_image
from modelyard.oci.listing import Listing, Node, find_python, image_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PT_INTERP = 3
LIBRARY_FOLDER = re.compile(r"(usr/|usr/local/)?lib(32|64|x32)?(/[^/]+-linux-[^/]+)?")


@dataclass(frozen=True)
class Rootfs:
    """An image unpacked below `folder`."""

    folder: Path
    listing: Listing

    def host_path(self, path: str) -> Path | None:
        """Return where `path` of the image lies here, links followed inside the image; None if there is nothing."""
        found = self.listing.resolve(path)
        return None if found is None else self.folder / found


def unpack(archive: Path, folder: Path, architecture: str = "") -> Rootfs:
    """Unpack the image in `archive` into the empty or missing `folder`, as an ordinary user.

    Owners and device nodes are left out. Links are made last, so that nothing is written through one.

    Raises:
        ToolError: the image is damaged, or one of its paths leads out of it.
    """
    return lay_out(Listing(read_image(archive, architecture)), folder)


def lay_out(listing: Listing, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> Rootfs:
    """Write the files of `listing` whose paths are `wanted`, and all folders and links; see `unpack`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for path, node in listing.nodes.items() if node.kind == "dir"):
        (folder / path).mkdir(mode=0o755, exist_ok=True)
    _write_files(listing, folder, wanted)
    for path, node in listing.nodes.items():
        if node.kind == "link":
            (folder / path).symlink_to(node.target)
    return Rootfs(folder, listing)


def _write_files(listing: Listing, folder: Path, wanted: Callable[[str], bool]) -> None:
    by_layer: dict[int, dict[str, list[tuple[str, Node]]]] = defaultdict(lambda: defaultdict(list))
    for path, node in listing.nodes.items():
        if node.kind == "file" and wanted(path):
            by_layer[node.layer][node.member].append((path, node))
    for number, members in by_layer.items():
        for member, opened in open_layer(listing.image.layers[number]):
            for path, node in members.get(member.name, []):
                _write_file(folder / path, node, opened())


def _write_file(path: Path, node: Node, stream: BinaryIO | None) -> None:
    if stream is None:
        return
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(stream, file)
    path.chmod(node.mode & 0o777 | 0o600)


def python_command(rootfs: Rootfs) -> list[str]:
    """Return the command that starts the image's own Python through the image's own loader; append arguments to it.

    Raises:
        ToolError: there is no Python 3 in the image, or it names no loader.
    """
    python = rootfs.host_path(find_python(rootfs.listing).executable)
    assert python is not None
    interpreter = elf_interpreter(python)
    loader = rootfs.host_path(interpreter) if interpreter else None
    if loader is None:
        msg = f"{python}: its dynamic loader {interpreter!r} is not in the image\n  take another base"
        raise ToolError(msg)
    # The host's loader cache would find the host's libraries.
    return [str(loader), "--inhibit-cache", "--library-path", ":".join(_library_folders(rootfs)), str(python)]


def environment(rootfs: Rootfs) -> dict[str, str]:
    """Return the environment of the image, its paths turned into those below the folder, and Python's home."""
    python = rootfs.host_path(find_python(rootfs.listing).executable)
    assert python is not None
    found = {name: _translated(rootfs, value) for name, value in image_environment(rootfs.listing.image).items()}
    return {**found, "PYTHONHOME": str(python.parent.parent), "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def start_command(rootfs: Rootfs) -> list[str]:
    """Return the command that does what the image's entrypoint and arguments say, when its Python is what they start.

    Raises:
        ToolError: the entrypoint starts something else.
    """
    settings = rootfs.listing.image.settings
    words = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
    if not words or not posixpath.basename(words[0]).startswith("python3"):
        msg = (
            f"{rootfs.listing.image.path}: the entrypoint {words!r} does not start python3\n"
            "  run the image in an engine"
        )
        raise ToolError(msg)
    return [*python_command(rootfs), *(_translated(rootfs, word) for word in words[1:])]


def foreign_libraries(rootfs: Rootfs, pid: int) -> list[str]:
    """Return the libraries that the process `pid` has loaded from outside of `rootfs`, sorted.

    None, if the image is complete: the loader looks into the host's `/usr/lib` last.
    """
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    mapped = {parts[5] for line in lines if len(parts := line.split(None, 5)) == 6 and parts[5].startswith("/")}
    inside = os.path.realpath(rootfs.folder)
    return sorted(path for path in mapped if ".so" in posixpath.basename(path) and not path.startswith(f"{inside}/"))


def _translated(rootfs: Rootfs, value: str) -> str:
    parts = value.split(":")
    if not all(part.startswith("/") for part in parts):
        return value
    return ":".join(str(rootfs.folder / part.strip("/")) if rootfs.host_path(part) else part for part in parts)


def _library_folders(rootfs: Rootfs) -> list[str]:
    nodes: Mapping[str, Node] = rootfs.listing.nodes
    folders = {posixpath.dirname(path) for path in nodes if ".so" in posixpath.basename(path)}
    return [str(rootfs.folder / path) for path in sorted(folders) if LIBRARY_FOLDER.fullmatch(path)]


def elf_interpreter(path: Path) -> str:
    """Return the dynamic loader that the program `path` names, or an empty string.

    Source: System V ABI, ELF-64 program headers.
    """
    with path.open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return ""
        order = "<" if head[5] == 1 else ">"
        (offset,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
        for number in range(count):
            file.seek(offset + number * size)
            kind, _, at, _, _, length = struct.unpack(f"{order}IIQQQQ", file.read(40))
            if kind == PT_INTERP:
                file.seek(at)
                return file.read(length).rstrip(b"\0").decode()
    return ""
