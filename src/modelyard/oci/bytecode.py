"""Bytecode of a server and of what it imports, so that a container does not compile it at every start.

The image's own Python compiles: another one, be it of the same minor version, may give other bytes.
"""

from __future__ import annotations

import functools
import io
import json
import posixpath
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.oci import compiling, rootfs
from modelyard.oci.archive import SourceImage
from modelyard.oci.content import SITE
from modelyard.oci.listing import Listing
from modelyard.oci.tree import Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from modelyard.oci.layers import Layer

SCRIPT = Path(compiling.__file__)
OFF = "or set `bytecode = false` in [tool.modelyard.image], and the server compiles itself at each start"


def sources(trees: Iterable[Tree]) -> Tree:
    """Return what of `trees` is Python's text; a later tree's file takes the place of an earlier one's."""
    made = Tree()
    for tree in trees:
        for path, entry in tree:
            if entry.kind == "link" or path.endswith(".py"):
                made.add(path, entry)
    return made


def arguments(places: Iterable[str], root: str, out: str) -> list[str]:
    """Return what follows the interpreter: compile the servers at `places` of the image below `root` to `out`."""
    told = {"root": root, "places": sorted(f"/{place.strip('/')}" for place in places), "out": out}
    return ["-s", "-S", "-c", SCRIPT.read_text(encoding="utf-8"), json.dumps(told)]


def variables(places: Iterable[str], root: str = "") -> dict[str, str]:
    """Return the environment of the interpreter: where the image's modules are, and nothing of this machine."""
    folders = sorted({posixpath.dirname(f"/{place.strip('/')}") for place in places})
    return {
        "PYTHONPATH": ":".join(f"{root}{folder}" for folder in (*folders, SITE)),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
    }


def packed(data: bytes) -> Tree:
    """Return the tree of the files in the tar `data` of one folder, as an engine gives it."""
    made = Tree()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None:
                made.add(member.name.partition("/")[2], Entry.file(stream.read()))
    return made


def _read(folder: Path) -> Tree:
    """Return the tree of the files below `folder`, as they are now."""
    made = Tree()
    for path in folder.rglob("*.pyc"):
        made.add(path.relative_to(folder).as_posix(), Entry.file(path.read_bytes()))
    return made


class Bytecode:
    """The bytecode of an image's server and of what it imports, compiled once, when a layer asks for it.

    Attributes:
        inputs: what it depends on, anything JSON holds.
    """

    def __init__(
        self,
        trees: Mapping[str, Callable[[], Tree]],
        places: Iterable[str],
        compile_: Callable[[Tree, list[str]], Tree],
        inputs: object = None,
    ) -> None:
        """Compile the server at `places` of the image, which is in the layers `trees`, by `compile_`."""
        self._trees, self._places, self._compile = trees, sorted(places), compile_
        self.inputs = [inputs, self._places, trees["server"]().digest()]

    @functools.cached_property
    def _all(self) -> Tree:
        texts = sources(self._trees[name]() for name in ("wheels", "optional", "server") if name in self._trees)
        return self._compile(texts, self._places)

    def layers(self, trees: Mapping[str, Callable[[], Tree]]) -> dict[str, Callable[[], Tree]]:
        """Return `trees` with a layer `bytecode` below the layer `server`, which has its own bytecode."""
        made: dict[str, Callable[[], Tree]] = {}
        for name, tree in trees.items():
            made |= {"bytecode": self.imported, name: self.server} if name == "server" else {name: tree}
        return made

    def imported(self) -> Tree:
        """Return the bytecode of what the server imports."""
        made = Tree()
        for path, entry in self._all:
            if entry.kind == "file" and not self._is_own(path):
                made.add(path, entry)
        return made

    def server(self) -> Tree:
        """Return the layer of the server, its bytecode beside its sources."""
        made = self._trees["server"]()
        for path, entry in self._all:
            if entry.kind == "file" and self._is_own(path):
                made.add(path, entry)
        return made

    def _is_own(self, path: str) -> bool:
        """Return whether the bytecode at `path` is of the server's own code."""
        compiled = PurePosixPath(path)
        source = compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"
        return not {PurePosixPath(place.strip("/")) for place in self._places}.isdisjoint((source, *source.parents))


def by_the_images_own(
    base: Sequence[Layer], architecture: str, environment: Mapping[str, str], texts: Tree, places: Iterable[str]
) -> Tree:
    """Return the bytecode of the servers at `places` and of what they import, compiled by the Python of the layers `base`.

    Args:
        base: the layers below the server's own, the lowest first.
        architecture: OCI's name of what they are for.
        environment: of the base.
        texts: the sources above the base.
        places: of the server, in the image.

    Raises:
        ToolError: the base's Python does not run here.
    """
    settings = {"Env": [f"{name}={value}" for name, value in environment.items()]}
    image = SourceImage(Path("base"), {"architecture": architecture, "config": settings}, b"", "", tuple(base), b"")
    with tempfile.TemporaryDirectory(prefix="modelyard-bytecode-") as scratch:
        root = rootfs.lay_out(Listing(image), Path(scratch, "root"), _serves_python)
        _add(texts, root.folder)
        _run(root, tuple(places), Path(scratch, "out"))
        return _read(Path(scratch, "out"))


def _serves_python(path: str) -> bool:
    """Return whether the interpreter may need the file at `path`: itself, its library, and the system's."""
    name = posixpath.basename(path)
    return path.endswith(".py") or ".so" in name or name.startswith(("python3", "ld-", "ld64"))


def _add(texts: Tree, folder: Path) -> None:
    """Write `texts` below `folder`, and nothing through a link."""
    inside = folder.resolve()
    for path, entry in texts:
        place = folder / path
        if entry.kind == "link" or not place.parent.resolve().is_relative_to(inside):
            continue
        if place.is_symlink():
            place.unlink()
        if entry.kind == "dir":
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(entry.read())


def _run(root: rootfs.Rootfs, places: tuple[str, ...], out: Path) -> None:
    folder = str(root.folder)
    home = rootfs.environment(root)["PYTHONHOME"]
    command = [*rootfs.python_command(root), *arguments(places, folder, str(out))]
    try:
        done = subprocess.run(
            command,
            check=False,
            env=variables(places, folder) | {"PYTHONHOME": home},
            cwd=out.parent,
            capture_output=True,
            text=True,
        )
    except OSError as exc:
        raise not_run(str(exc)) from exc
    if done.returncode:
        raise not_run((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])


def not_run(why: str) -> ToolError:
    """Return the error that the image's Python did not compile."""
    return ToolError(
        f"image: its own Python, which compiles the server, does not run here: {why}\n  build on Linux and the same kind of processor, with TMPDIR where programs may run; {OFF}"
    )
