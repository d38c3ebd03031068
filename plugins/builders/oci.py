"""Image builder `oci`: Debian packages, wheels, server and model as an image; no engine, no root, reproducible."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.contexts import Lack, Locked, Problem
from modelyard.errors import ToolError
from modelyard.params import InputPath, PositiveInt
from modelyard.system import is_linux
from modelyard_plugins.support import layer_limit
from modelyard_plugins.support.layer_limit import DEFAULT, limit_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from modelyard.artifacts import ImageFacts
    from modelyard.contexts import CheckContext, ImageContext, PreflightContext
    from modelyard.oci.base import Base
    from modelyard.oci.bytecode import Bytecode
    from modelyard.oci.image import Image
    from modelyard.oci.layers import Layer, LayerCache
    from modelyard.oci.tree import Tree

    Trees = Mapping[str, Callable[[], Tree]]

STEPS = 4
FIRST_BYTES = 150_000_000
"""What the first image of a project takes on the disk: 11 MB of packages, 38 MB of wheels, 49 MB of layers, and itself."""
SBOM = "sbom.spdx.json"


def oci(
    context: ImageContext,
    *,
    base_image: InputPath | None = None,
    suite: str = "",
    profile: Literal["slim", "full"] = "slim",
    packages: tuple[str, ...] = (),
    compression: Literal["auto", "gzip", "zstd", "none"] = "auto",
    layer_max: str = DEFAULT,
    bytecode: bool = True,
    lock: InputPath | None = None,
    refresh_h: PositiveInt = 24,
) -> ImageFacts:
    """Build an image without an engine and without root; the same input gives the same digest on every machine.

    Args:
        context: what goes into the image, and where to write it.
        base_image: an OCI archive, OCI layout or `docker save` archive to build upon, in place of Debian packages.
        suite: codename of the Debian or Ubuntu release to take packages from; empty for the host's own.
        profile: `slim` holds what inference needs; `full` has all of Python's library, CA certificates and time zones.
        packages: further Debian packages.
        compression: of the layers; `auto` is `gzip`, and `none` for a model of 256 MB or more, whose weights hardly
            compress; `zstd` needs the package zstandard here and Docker 23 or newer there.
        layer_max: the most that a layer of the model holds, before it is compressed, for instance '4 GB'; a larger model is
            split between its files.
        bytecode: compile the server and what it imports, with the image's own Python: it starts in half the time.
        lock: a lock file that pins the exact Debian packages.
        refresh_h: without a lock, ask the mirrors for newer packages when the last answer is older, in hours.
    """
    from modelyard.oci import base as bases
    from modelyard.oci.image import source_epoch
    from modelyard.oci.layers import LayerCache
    from modelyard_plugins.support.image_facts import facts_of

    steps = _Steps(context)
    cache = LayerCache(context.cache / "layers", compression, source_epoch())
    with bases.scratch() as scratch:
        if base_image is not None:
            program = context.content.entrypoint[0] if context.content.base else ""
            base: Base = bases.ImageBase(Path(base_image), program)
        else:
            lock_file = Path(lock) if lock else None
            wanted = bases.Wanted(suite, profile, tuple(packages), lock_file, refresh_h, context.log)
            resolved = wanted.resolve(context.cache, Path(scratch), steps.report("resolve"))
            base = bases.DebianBase(resolved, _downloads(context, "debs"), Path(scratch))
        steps.done("base resolved")
        layers, wheels = _layers(context, base, cache, steps, limit_bytes(layer_max), bytecode=bytecode)
    image = _assemble(context, base, layers, cache.epoch)
    steps.done("image written")
    _write_sbom(context, base, wheels, image)
    return facts_of("oci", context.content, image, image.image_id, base.parts)


def check(
    context: CheckContext,
    *,
    base_image: str | None,
    suite: str,
    packages: tuple[str, ...],
    lock: str | None,
    layer_max: str,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what cannot be built upon: no image for a server that needs one; an image, and Debian packages, too; and no size."""
    if context.brings_server and base_image is None:
        named, base = f", {context.base}" if context.base else "", context.base or "NAME:TAG"
        yield Problem(
            "base_image",
            f"the server of the runtime {context.runtime!r} comes with an image{named}, which this builder "
            "cannot make from Debian packages",
            f'skopeo copy docker://{base} oci-archive:base.tar, and set base_image = "base.tar"; '
            'or use = "docker" where an engine runs',
        )
    others = [key for key, value in {"suite": suite, "packages": packages, "lock": lock}.items() if value]
    if base_image is not None and others:
        why = f"an image takes the place of Debian packages, but {others[0]!r} is set, too"
        yield Problem("base_image", why, f"remove it, or {' and '.join(others)}")
    yield from layer_limit.problems(layer_max)


def preflight(
    context: PreflightContext, *, base_image: str | None, bytecode: bool, compression: str, **_: Any
) -> Iterator[Lack]:
    """Yield which programs and modules are missing to fetch packages and wheels, and to compress."""
    from importlib.util import find_spec

    from modelyard.oci.apt import lacking

    if base_image is None and (names := lacking()):
        what = f"this host has no {names[0]!r}, so it cannot make a base of Debian packages"
        yield Lack(what, "set `base_image` in [tool.modelyard.image] to an image archive or OCI layout")
    if not context.brings_server and find_spec("pip") is None:
        what = "this environment has no pip, which fetches the server's wheels"
        yield Lack(what, "run: python -m ensurepip; or `uv pip install pip` where uv made the environment")
    if bytecode and not context.brings_server and not is_linux():
        what = "the image's own Python compiles its server, and runs on Linux only"
        yield Lack(what, "set `bytecode = false` in [tool.modelyard.image], or use the builder 'docker'")
    if compression == "zstd":
        yield Lack("", install=("zstandard",))
    if not context.cache.exists() and (free := shutil.disk_usage(context.project).free) < FIRST_BYTES:
        what = f"the disk of {context.project} has {free / 1e6:,.0f} MB free, and the first image takes some {FIRST_BYTES / 1e6:,.0f} MB"
        yield Lack(what, "make room: packages, wheels and layers are kept for the next image")


def lock_packages(
    file: Path,
    *,
    base_image: str | None,
    suite: str,
    profile: Literal["slim", "full"],
    packages: tuple[str, ...],
    lock: str | None,
    **_: Any,
) -> Locked:
    """Write every Debian package of today's base to the file of `lock`, or to `file`.

    Raises:
        ToolError: the base is an image, or apt cannot resolve the packages.
    """
    from modelyard.oci.apt import write_lock

    if base_image is not None:
        msg = "lock: the image's base is `base_image`, not made of Debian packages\n  remove it from [tool.modelyard.image]"
        raise ToolError(msg)
    path = Path(lock or file)
    return Locked(path, write_lock(path, suite, profile, packages).packages)


def _layers(
    context: ImageContext, base: Base, cache: LayerCache, steps: _Steps, layer_max: int, *, bytecode: bool
) -> tuple[list[Layer], list[Path]]:
    """Return all layers, the lowest first, and the wheels; the base and the wheels are made side by side."""
    from concurrent.futures import ThreadPoolExecutor

    from modelyard.oci.content import app_trees

    interpreter = _interpreter(context, base)  # a base without one is told now, before anything is fetched
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(_wheels, context, base, steps)
        lower = base.layers(cache, steps.report("base"))
        steps.done("base packed")
        wheels = fetched.result()
        steps.note("pack wheels")
        usual, optional = wheels.values()
        trees = app_trees(context.content, usual, interpreter, context.log, optional, layer_max)
        between = pool.submit(_wheel_layers, base, cache, interpreter, wheels, trees)
        code = (
            _bytecode(context, base, lower, wheels, trees) if bytecode and interpreter and "server" in trees else None
        )
        upper = _own_layers(context, base, cache, trees, code)
        made = [*lower, *between.result(), *upper]
    steps.done("wheels, server and model packed")
    return made, [*usual, *optional]


def _interpreter(context: ImageContext, base: Base) -> str:
    """Return the path of the Python that runs the server; empty if the server needs none."""
    return "" if context.content.base else base.python.executable


def _wheels(context: ImageContext, base: Base, steps: _Steps) -> dict[str, list[Path]]:
    """Return the wheels of the layers `wheels` and `optional`."""
    from modelyard.oci.wheels import fetch

    content = context.content
    wanted = {"wheels": () if content.base else content.requirements, "optional": content.optional_requirements}
    if content.base or not content.optional_requirements:
        wanted["optional"] = ()
    cached, report = _downloads(context, "wheels"), steps.report("wheels")
    return {name: fetch(lines, base.python, cached, report) if lines else [] for name, lines in wanted.items()}


def _named(wheels: list[Path]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each wheel."""
    return [(wheel.name, wheel.parent.name) for wheel in wheels]


def _wheel_layers(
    base: Base, cache: LayerCache, interpreter: str, wheels: dict[str, list[Path]], trees: Trees
) -> list[Layer]:
    """Return the layers of the wheels, those of them that there are."""
    from modelyard.oci.content import SITE

    return [
        _upper(cache, base, name, [SITE], [_named(files), interpreter, SITE], trees[name])
        for name, files in wheels.items()
        if name in trees
    ]


def _bytecode(
    context: ImageContext, base: Base, lower: list[Layer], wheels: dict[str, list[Path]], trees: Trees
) -> Bytecode:
    """Return what compiles the server, by the Python of the layers `lower`."""
    from modelyard.oci.bytecode import Bytecode, by_the_images_own

    return Bytecode(
        trees,
        context.content.server,
        lambda texts, places: by_the_images_own(lower, base.architecture, base.environment, texts, places),
        [base.digest, *map(_named, wheels.values())],
    )


def _own_layers(
    context: ImageContext, base: Base, cache: LayerCache, trees: Trees, code: Bytecode | None
) -> list[Layer]:
    """Return the layers of the bytecode, the server, the model and its facts, those of them that there are."""
    from modelyard.oci import content as parts

    content, made = context.content, []
    of_model, whole = parts.model_layers(trees), cache.for_model(parts.model_size(content))
    if code is not None:
        trees = code.layers(trees)
    places = {"bytecode": [parts.SITE], "server": content.server, "facts": content.model} | dict.fromkeys(
        of_model, content.model
    )
    for name in [name for name in trees if name in places]:
        compiled = code is not None and name in ("bytecode", "server")
        inputs = code.inputs if code is not None and compiled else trees[name]().digest()
        made.append(_upper(whole if name in of_model else cache, base, name, places[name], inputs, trees[name]))
    return made


def _upper(
    cache: LayerCache, base: Base, name: str, places: Iterable[str], inputs: object, make: Callable[[], Tree]
) -> Layer:
    """Return the layer that has its content at `places`; folders that the base has, too, keep the base's modes."""

    def tree() -> Tree:
        made = make()
        made.replace_modes(base.lower)
        return made

    return cache.layer(name, [name, inputs, _seen_of(base, places)], tree)


def _seen_of(base: Base, places: Iterable[str]) -> object:
    """Return what of the base shows in a layer with content at `places`: little, so that bases share layers."""
    paths = [place.strip("/") for place in places]
    if any(base.lower(path) for path in paths):
        return base.digest
    parents = sorted({parent.as_posix() for path in paths for parent in PurePosixPath(path).parents} - {"."})
    found = {parent: base.lower(parent) for parent in parents}
    return [(path, entry.mode, entry.uid, entry.gid) for path, entry in found.items() if entry]


def _assemble(context: ImageContext, base: Base, layers: list[Layer], epoch: int) -> Image:
    from modelyard.oci import content as parts
    from modelyard.oci.image import Recipe, assemble, write_archive
    from modelyard.oci.reference import parse
    from modelyard_plugins.support.image_facts import ARCHIVE

    content = context.content
    labels = parts.labels(content, epoch, base.name, base.digest)
    settings = parts.settings(content, _interpreter(context, base), base.environment, labels)
    reference = parse(content.repository, content.tag)
    recipe = Recipe(reference, base.architecture, settings, labels, epoch, base.history)
    image = assemble(layers, recipe)
    write_archive(image, context.out / ARCHIVE)
    return image


def _write_sbom(context: ImageContext, base: Base, wheels: list[Path], image: Image) -> None:
    from modelyard.oci import sbom
    from modelyard.oci.base import DebianBase
    from modelyard.oci.content import model_layers

    if isinstance(base, DebianBase):
        lowest = [sbom.of_deb(package, base.lock.suite) for package in base.lock.packages]
    else:
        lowest = [sbom.Component(base.name, base.digest, base.digest.removeprefix("sha256:"))]
    names = model_layers(layer.name for layer in image.layers)
    models = [layer for layer in image.layers if layer.name in names]
    parts = [
        *lowest,
        *map(sbom.of_wheel, wheels),
        *(sbom.Component(one.name, one.diff_id, one.diff_id.removeprefix("sha256:")) for one in models),
    ]
    name = f"{context.content.repository}:{context.content.tag}"
    sbom.write(context.out / SBOM, sbom.document(name, image.digest, parts, image.recipe.epoch))


def _downloads(context: ImageContext, kind: str) -> Any:
    from modelyard.oci.cache import FileCache

    return FileCache(context.cache / kind)


class _Steps:
    """How far the build is; two threads report to it."""

    def __init__(self, context: ImageContext) -> None:
        self._progress = context.progress
        self._lock = threading.Lock()
        self._done = 0

    def done(self, note: str) -> None:
        """Count one more step as done."""
        with self._lock:
            self._done += 1
            self._progress(self._done, STEPS, unit="steps", note=note)

    def note(self, note: str) -> None:
        """Say what is being done."""
        with self._lock:
            self._progress(self._done, STEPS, unit="steps", note=note)

    def report(self, name: str) -> Callable[[float, str], None]:
        """Return a function that takes percent done and a short text."""
        return lambda percent, text: self.note(f"{name}: {text} {percent:.0f} %")


@hookimpl
def modelyard_register_builders(register: Any) -> None:
    """Register the builder."""
    register("oci", oci, reads_environment=("SOURCE_DATE_EPOCH",), check=check, preflight=preflight, lock=lock_packages)
