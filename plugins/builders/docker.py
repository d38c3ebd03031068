"""Image builder `docker`: a Dockerfile from a template, built by a Docker engine without network inside the build."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from modelyard import hookimpl
from modelyard.artifacts import ImageFacts, LayerFacts
from modelyard.contexts import Lack, Problem
from modelyard.errors import StageFailed, ToolError
from modelyard_plugins.support.layer_limit import DEFAULT, limit_bytes, problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from modelyard.contexts import CheckContext, ImageContent, ImageContext, PreflightContext
    from modelyard.oci.image import Image
    from modelyard.oci.python import BasePython
    from modelyard.oci.tree import Tree

ARCHIVE = "image.tar"
OUT = "/modelyard-bytecode"
"""Where a container of the base writes what it compiles."""
TEMPLATE = "docker/Dockerfile.j2"
PYTHON_BASE = "python:3.11-slim"
PROBE = (
    "import json, os, platform, sys; libc, glibc = platform.libc_ver(); "
    "print(json.dumps([sys.executable, list(sys.version_info[:2]), libc, glibc, platform.machine()]))"
)


def docker(
    context: ImageContext, *, base: str = "", pull: bool = False, layer_max: str = DEFAULT, bytecode: bool = True
) -> ImageFacts:
    """Build and tag an image in the Docker engine that is running; see builder `oci` for one without an engine.

    Nothing is fetched inside the build: the wheels are unpacked beforehand, for the base's own Python. The engine
    stamps times into what it makes, so the digest differs from build to build, unless the engine has the layers still.

    Args:
        context: what goes into the image.
        base: the base image; empty: the one that the runtime names, or python:3.11-slim. For a server in Python it must
            have Python 3 and glibc; pip is not needed.
        pull: ask the registry for a newer base, and for one that the engine does not have.
        layer_max: the most that a layer of the model holds, before it is compressed, for instance '4 GB'; a larger model is
            split between its files.
        bytecode: compile the server and what it imports, with the base's Python: it starts in half the time.
    """
    from modelyard.oci import content as parts
    from modelyard.oci.image import source_epoch

    content, name = context.content, base or context.content.base or PYTHON_BASE
    client = _engine()
    try:
        found = _base(client, name, pull=pull)
        interpreter, wheels, optional = (
            _program(client, content, found.id, name)
            if content.base
            else _python_parts(client, context, found.id, name)
        )
        labels = parts.labels(content, source_epoch(), name, found.id)
        settings = parts.settings(content, interpreter, {}, labels)
        made = parts.app_trees(content, wheels, interpreter, context.log, optional, limit_bytes(layer_max))
        if bytecode and interpreter and content.server:
            made = _with_bytecode(client, found.id, made, content)
        trees = {layer: make() for layer, make in made.items()}
        text = dockerfile(context.project, base=found.id, settings=settings, layers=tuple(trees))
        (context.out / "Dockerfile").write_text(text, encoding="utf-8")
        built = _build(client, context, text, trees)
        names = _layer_names(found.attrs["RootFS"]["Layers"], built.attrs["RootFS"]["Layers"], tuple(trees))
        return _facts(context, built, _archived(context, built, names), {name: found.id})
    finally:
        client.close()


def check(_context: CheckContext, *, layer_max: str, **_: Any) -> Iterator[Problem]:
    """Yield that the limit of a layer is no size."""
    yield from problems(layer_max)


def preflight(context: PreflightContext, *, base: str, pull: bool, **_: Any) -> Iterator[Lack]:
    """Yield that no engine answers, or that it has not got the base."""
    from modelyard.oci.engine import lacks_image, silence

    name = base or context.base or PYTHON_BASE
    if why := silence():
        what = f"no Docker engine answers: {why}"
        yield Lack(what, 'start one, or set `use = "oci"` in [tool.modelyard.image], which needs no engine')
    elif not pull and lacks_image(name):
        yield Lack(
            f"the engine has no image {name!r}", f"`docker pull {name}`, or set `pull = true` in [tool.modelyard.image]"
        )


def _python_parts(client: Any, context: ImageContext, image_id: str, base: str) -> tuple[str, list[Path], list[Path]]:
    """Return the base's interpreter, and the wheels for it: those of every image, and those that were asked for."""
    from modelyard.oci.cache import FileCache
    from modelyard.oci.wheels import fetch

    python = _python(client, image_id, base)
    report = lambda percent, text: context.progress(0, None, note=f"wheels: {text} {percent:.0f} %")  # noqa: E731
    cache, optional = FileCache(context.cache / "wheels"), context.content.optional_requirements
    wheels = fetch(context.content.requirements, python, cache, report)
    return python.executable, wheels, fetch(optional, python, cache, report) if optional else []


def _program(client: Any, content: ImageContent, image_id: str, base: str) -> tuple[str, list[Path], list[Path]]:
    """Check that the base brings the server's program; there is no interpreter, and there are no wheels."""
    import docker as sdk

    container = client.containers.create(image_id, entrypoint=[content.entrypoint[0]])
    try:
        container.get_archive(content.entrypoint[0])
    except sdk.errors.NotFound as exc:
        msg = (
            f"image builder 'docker': base {base!r} has no {content.entrypoint[0]}, which starts the server\n"
            f"  take {content.base!r}, or an image made from it: [tool.modelyard.image] base"
        )
        raise ToolError(msg) from exc
    finally:
        container.remove()
    return "", [], []


def dockerfile(project: Path, *, base: str, settings: Mapping[str, Any], layers: Sequence[str]) -> str:
    """Return the text of the Dockerfile, from the project's template if it has one of the same name."""
    from modelyard.rendering.templates import environment

    made = environment(project, quote=False)
    made.filters |= {"dockerfile": quoted, "exec_form": json.dumps}
    return made.get_template(TEMPLATE).render(base=base, layers=layers, settings=settings)


def quoted(value: str) -> str:
    r"""Return `value` in double quotes for a Dockerfile, where `\`, `"` and `$` mean something.

    Raises:
        ToolError: the value has a line break or another control character, which a Dockerfile cannot hold.
    """
    if re.search(r"[\x00-\x1f\x7f]", value):
        msg = (
            f"image builder 'docker': {value!r} has a control character, which a Dockerfile cannot hold\n"
            "  remove it, or use the builder 'oci'"
        )
        raise ToolError(msg)
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def _engine() -> Any:
    """Return a client of the engine.

    Raises:
        ToolError: the package docker is missing, or no engine answers.
    """
    try:
        import docker as sdk
    except ImportError as exc:
        msg = (
            "image builder 'docker' needs the package docker\n"
            "  python -m pip install docker, or use the builder 'oci', which needs no engine"
        )
        raise ToolError(msg) from exc
    try:
        client = sdk.from_env()
        client.ping()
    except (sdk.errors.DockerException, OSError) as exc:
        msg = (
            f"image builder 'docker': no Docker engine answers: {exc}\n"
            '  start one, or set `use = "oci"` in [tool.modelyard.image], which needs no engine'
        )
        raise ToolError(msg) from exc
    return client


def _base(client: Any, base: str, *, pull: bool) -> Any:
    import docker as sdk

    try:
        return client.images.pull(*_split(base)) if pull else client.images.get(base)
    except sdk.errors.ImageNotFound as exc:
        msg = f"image builder 'docker': the engine has no image {base!r}\n  `docker pull {base}`, or set `pull = true`"
        raise ToolError(msg) from exc
    except sdk.errors.APIError as exc:
        msg = (
            f"image builder 'docker': base {base!r}: {exc.explanation or exc}\n"
            "  check its name and the engine's network"
        )
        raise ToolError(msg) from exc


def _split(base: str) -> tuple[str, str | None]:
    name, colon, tag = base.rpartition(":")
    return (name, tag) if colon and "/" not in tag and "@" not in base else (base, None if "@" in base else "latest")


def _python(client: Any, image_id: str, base: str) -> BasePython:
    """Return the Python of the base, by asking it."""
    import docker as sdk

    from modelyard.oci.python import BasePython

    try:
        output = client.containers.run(
            image_id, ["-c", PROBE], entrypoint=["python3"], network_disabled=True, remove=True, stderr=False
        )
        executable, version, libc, glibc, machine = json.loads(output)
    except (sdk.errors.DockerException, ValueError) as exc:
        msg = f"image builder 'docker': base {base!r} does not run python3: {exc}\n  take a base that has Python 3"
        raise ToolError(msg) from exc
    if libc != "glibc":
        msg = (
            f"image builder 'docker': base {base!r} has no glibc, which wheels for Linux need\n"
            "  take a base on Debian, Ubuntu or alike"
        )
        raise ToolError(msg)
    numbers = [int(number) for number in glibc.split(".")[:2]]
    return BasePython(executable, (version[0], version[1]), (numbers[0], numbers[1]), machine)


def _with_bytecode(
    client: Any, image_id: str, trees: dict[str, Callable[[], Tree]], content: ImageContent
) -> dict[str, Callable[[], Tree]]:
    """Return `trees` with the bytecode of the server beside it, and that of what it imports below it."""
    from modelyard.oci.bytecode import Bytecode

    code = Bytecode(trees, content.server, lambda texts, places: _compiled(client, image_id, texts, places))
    return code.layers(trees)


def _compiled(client: Any, image_id: str, texts: Tree, places: list[str]) -> Tree:
    """Return the bytecode of the servers at `places` and of what they import, compiled in a container of the base.

    Raises:
        ToolError: it could not be.
    """
    import tempfile

    import docker as sdk

    from modelyard.oci import bytecode
    from modelyard.oci.tar import write_tar

    container = client.containers.create(
        image_id,
        bytecode.arguments(places, "", OUT),
        entrypoint=["python3"],
        environment=bytecode.variables(places),
        network_disabled=True,
        user="0",
    )
    try:
        with tempfile.TemporaryFile() as stream:
            write_tar(texts, stream, 0)
            stream.seek(0)
            container.put_archive("/", stream)
        container.start()
        if container.wait()["StatusCode"]:
            raise bytecode.not_run(container.logs().decode(errors="replace").strip().splitlines()[-1])
        return bytecode.packed(b"".join(container.get_archive(OUT)[0]))
    except sdk.errors.DockerException as exc:
        raise bytecode.not_run(str(exc)) from exc
    finally:
        container.remove(force=True)


def _build(client: Any, context: ImageContext, text: str, trees: Mapping[str, Tree]) -> Any:
    """Build and tag the image; raise StageFailed with the engine's words if it does not."""
    import tempfile

    tag = f"{context.content.repository}:{context.content.tag}"
    with tempfile.TemporaryFile() as stream:
        _write_build_context(stream, text, trees)
        stream.seek(0)
        events = client.api.build(
            fileobj=stream, custom_context=True, tag=tag, rm=True, forcerm=True, network_mode="none", decode=True
        )
        image_id = _follow(events, context)
    return client.images.get(image_id or tag)


def _write_build_context(stream: BinaryIO, text: str, trees: Mapping[str, Tree]) -> None:
    from modelyard.oci.image import source_epoch
    from modelyard.oci.tar import write_tar
    from modelyard.oci.tree import Entry, Tree

    whole = Tree()
    whole.add("Dockerfile", Entry.file(text.encode()))
    for name, tree in trees.items():
        for path, entry in tree:
            whole.add(f"{name}/{path}", entry)
    write_tar(whole, stream, source_epoch())


def _follow(events: Iterator[Mapping[str, Any]], context: ImageContext) -> str:
    image_id = ""
    for event in events:
        line = str(event.get("stream", "")).rstrip()
        if "error" in event:
            msg = f"docker build: {event['error']}\n  the Dockerfile is kept in the stage's folder"
            raise StageFailed(msg)
        step = re.match(r"Step (\d+)/(\d+) : (.*)", line)
        if step:
            context.progress(int(step[1]), int(step[2]), unit="steps", note=step[3][:60])
        if line:
            context.log(line)
        image_id = (event.get("aux") or {}).get("ID", image_id)
    return image_id


def _layer_names(base: Sequence[str], built: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return what the image's layers are called: a template of the project may make other ones than ours."""
    above = len(built) - len(base)
    upper = own if above == len(own) else [f"layer-{number}" for number in range(above)]
    return [*(f"base-{number}" for number in range(len(base))), *upper]


def _archived(context: ImageContext, built: Any, names: Sequence[str]) -> Image:
    """Write the image's archive, and return what is in it."""
    from modelyard.oci.image import source_epoch, write_archive
    from modelyard.oci.layers import LayerCache
    from modelyard.oci.reference import parse
    from modelyard.oci.repacking import repack

    saved = context.out / "saved.tar"
    try:
        _save(built, saved, context)
        cache = LayerCache(context.cache / "layers", "auto", source_epoch())
        reference = parse(context.content.repository, context.content.tag)
        context.progress(0, None, note="pack the layers")
        image = repack(saved, reference, names, cache)
        write_archive(image, context.out / ARCHIVE)
        return image
    finally:
        saved.unlink(missing_ok=True)


def _save(built: Any, path: Path, context: ImageContext) -> None:
    """Write what the engine has of the image to `path`.

    Raises:
        ToolError: the engine does not give it.
    """
    import docker as sdk
    from requests import RequestException

    size, done = int(built.attrs["Size"]), 0
    try:
        with path.open("wb") as file:
            for chunk in built.save():
                done += file.write(chunk)
                context.progress(min(done, size), size, unit="B", note="save the image")
    except (sdk.errors.DockerException, RequestException) as exc:
        msg = f"image builder 'docker': the engine does not save the image: {exc}\n  see the engine's log, and its disk"
        raise ToolError(msg) from exc


def _facts(context: ImageContext, built: Any, image: Image, base: dict[str, str]) -> ImageFacts:
    layers = tuple(LayerFacts(layer.name, layer.digest, layer.size_bytes) for layer in image.layers)
    return ImageFacts(
        builder="docker",
        repository=context.content.repository,
        tag=context.content.tag,
        digest=image.digest,
        image_id=built.id,
        size_bytes=sum(layer.size_bytes for layer in layers),
        archive=ARCHIVE,
        platform=f"{built.attrs['Os']}/{image.recipe.architecture}",
        user=image.recipe.settings.get("User", ""),
        port=context.content.port,
        labels=dict(image.recipe.annotations),
        layers=layers,
        base=base,
    )


@hookimpl
def modelyard_register_builders(register: Any) -> None:
    """Register the builder."""
    register(
        "docker",
        docker,
        templates=(TEMPLATE,),
        tools=("docker",),
        reads_environment=("SOURCE_DATE_EPOCH",),
        check=check,
        preflight=preflight,
    )
