"""The files that a container sees: the layers of an image laid over each other, whiteouts honoured.

Only paths are computed here; nothing is written. A path that climbs out, or goes through a link,
is resolved inside the image, as a kernel would after chroot.

Source: OCI image-spec, layer.md, "Applying Changesets".
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from modelyard.errors import ToolError
from modelyard.oci.archive import SourceImage, open_layer
from modelyard.oci.python import MACHINES, BasePython
from modelyard.oci.tree import Entry

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Node:
    """One path of an image: what it is, and which member of which layer holds its content."""

    kind: Literal["file", "dir", "link"]
    mode: int
    uid: int
    gid: int
    target: str
    layer: int
    member: str


class Listing:
    """Paths of an image, without leading `/`."""

    def __init__(self, image: SourceImage) -> None:
        self.image = image
        self.nodes: dict[str, Node] = {}
        for number, layer in enumerate(image.layers):
            for member, _ in open_layer(layer):
                self._apply(member, number)

    def lower(self, path: str) -> Entry | None:
        """Return what is at `path`, without content; see `Tree.replace_modes`."""
        node = self.nodes.get(path)
        return Entry(node.kind, node.mode, node.uid, node.gid, target=node.target) if node else None

    def resolve(self, path: str) -> str | None:
        """Return the path of what `path` leads to, links followed inside the image; None if there is nothing."""
        found = self._follow(path.strip("/"), 40)
        return found if found == "" or found in self.nodes else None

    def read(self, path: str) -> bytes:
        """Return the content of the file that `path` leads to; empty if there is none."""
        node = self.nodes.get(self.resolve(path) or "")
        if node is None or node.kind != "file":
            return b""
        content = b""
        for member, opened in open_layer(self.image.layers[node.layer]):
            stream = opened() if member.name == node.member else None
            content = stream.read() if stream else content
        return content

    def _follow(self, path: str, hops: int) -> str:
        done = ""
        for number, part in enumerate(parts := path.split("/") if path else []):
            done = (
                posixpath.dirname(done)
                if part == ".."
                else posixpath.join(done, part)
                if part not in ("", ".")
                else done
            )
            node = self.nodes.get(done)
            if node is not None and node.kind == "link":
                if hops == 0:
                    msg = f"{self.image.path}: links go round in circles at {path!r}\n  write the image again"
                    raise ToolError(msg)
                rest = "/".join(parts[number + 1 :])
                goal = (
                    node.target.lstrip("/")
                    if node.target.startswith("/")
                    else f"{posixpath.dirname(done)}/{node.target}"
                )
                return self._follow(f"{goal}/{rest}", hops - 1)
        return done

    def _apply(self, member: tarfile.TarInfo, number: int) -> None:
        path = self._inside(member.name)
        folder, name = posixpath.split(path)
        if name == OPAQUE:
            self._remove_below(folder, number)
        elif name.startswith(WHITEOUT):
            self._remove(posixpath.join(folder, self._hidden(name)), number)
        elif path:
            self._put(path, member, number)

    def _hidden(self, name: str) -> str:
        hidden = name.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            msg = f"{self.image.path}: whiteout {name!r} names nothing\n  write the image again"
            raise ToolError(msg)
        return hidden

    def _inside(self, name: str) -> str:
        """Return the member's path, links among its parents followed.

        Raises:
            ToolError: the name is absolute or climbs with `..`.
        """
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            msg = f"{self.image.path}: path {name!r} leads out of the image\n  do not use this image"
            raise ToolError(msg)
        clean = [part for part in parts if part not in ("", ".")]
        return posixpath.join(self._follow("/".join(clean[:-1]), 40), clean[-1]) if clean else ""

    def _put(self, path: str, member: tarfile.TarInfo, number: int) -> None:
        node = self._node(member, number)
        if node is None:
            return
        if node.kind != "dir":
            self._remove_below(path, number + 1)
        self.nodes[path] = node
        parent = posixpath.dirname(path)
        while parent and parent not in self.nodes:
            self.nodes[parent] = Node("dir", 0o755, 0, 0, "", number, "")
            parent = posixpath.dirname(parent)

    def _node(self, member: tarfile.TarInfo, number: int) -> Node | None:
        if member.islnk():
            original = self.nodes.get(self._inside(member.linkname))
            return replace(original) if original is not None and original.kind == "file" else None
        kind: Literal["file", "dir", "link"] | None = (
            "dir" if member.isdir() else "link" if member.issym() else "file" if member.isreg() else None
        )
        if kind is None:
            return None
        return Node(kind, member.mode, member.uid, member.gid, member.linkname, number, member.name)

    def _remove(self, path: str, number: int) -> None:
        self._remove_below(path, number)
        if path in self.nodes and self.nodes[path].layer < number:
            del self.nodes[path]

    def _remove_below(self, folder: str, number: int) -> None:
        """Remove what layers below `number` put into `folder`."""
        gone = [path for path in self._below(folder) if self.nodes[path].layer < number]
        for path in gone:
            del self.nodes[path]

    def _below(self, folder: str) -> Iterator[str]:
        prefix = f"{folder}/" if folder else ""
        return (path for path in list(self.nodes) if path.startswith(prefix))


def image_environment(image: SourceImage) -> dict[str, str]:
    """Return the environment variables of the image's config."""
    return dict(word.split("=", 1) for word in image.settings.get("Env") or [] if "=" in word)


def find_python(listing: Listing) -> BasePython:
    """Return the Python 3 that an image's `PATH` leads to.

    Raises:
        ToolError: there is none, its version cannot be told, or the C library is not glibc.
    """
    image = listing.image
    folders = image_environment(image).get("PATH", DEFAULT_PATH).split(":")
    places = [f"{folder}/python3" for folder in folders if listing.resolve(f"{folder}/python3")]
    machine = MACHINES.get(str(image.config.get("architecture")))
    glibc = _glibc(listing)
    if not places or machine is None or glibc is None:
        msg = (
            f"{image.path}: no python3 with glibc in this image (architecture {image.config.get('architecture')!r})\n"
            "  take a base that has Python 3 and glibc"
        )
        raise ToolError(msg)
    found = re.search(r"python3\.(\d+)$", listing.resolve(places[0]) or "")
    if not found:
        msg = (
            f"{image.path}: {places[0]} leads to {listing.resolve(places[0])!r}, which does not tell its version\n"
            "  take another base"
        )
        raise ToolError(msg)
    return BasePython(places[0], (3, int(found[1])), glibc, machine)


def _glibc(listing: Listing) -> tuple[int, int] | None:
    for path in sorted(listing.nodes):
        if posixpath.basename(path) == "libc.so.6":
            found = re.search(rb"GNU C Library[^\n]*version (\d+)\.(\d+)", listing.read(path))
            return (int(found[1]), int(found[2])) if found else None
    return None
