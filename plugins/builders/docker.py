"""Image builder `docker`: a Dockerfile from a template, built by a Docker engine without network inside the build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import ImageFacts
from modelyard.contexts import Lack, Problem
from modelyard_plugins.support.docker.base import program_parts, python_parts
from modelyard_plugins.support.docker.building import build_image
from modelyard_plugins.support.docker.compiling import with_bytecode
from modelyard_plugins.support.docker.dockerfile import TEMPLATE, dockerfile
from modelyard_plugins.support.docker.engine import base_image, open_engine
from modelyard_plugins.support.docker.saving import archived, layer_names
from modelyard_plugins.support.layer_limit import DEFAULT, limit_bytes, problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, ImageContext, PreflightContext

PYTHON_BASE = "python:3.11-slim"


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
    from modelyard_plugins.support.image_facts import facts_of

    content, name = context.content, base or context.content.base or PYTHON_BASE
    client = open_engine()
    try:
        found = base_image(client, name, pull=pull)
        interpreter, wheels, optional = (
            program_parts(client, content, found.id, name)
            if content.base
            else python_parts(client, context, found.id, name)
        )
        labels = parts.labels(content, source_epoch(), name, found.id)
        settings = parts.settings(content, interpreter, {}, labels)
        made = parts.app_trees(content, wheels, interpreter, context.log, optional, limit_bytes(layer_max))
        if bytecode and interpreter and content.server:
            made = with_bytecode(client, found.id, made, content)
        trees = {layer: make() for layer, make in made.items()}
        text = dockerfile(context.project, base=found.id, settings=settings, layers=tuple(trees))
        (context.out / "Dockerfile").write_text(text, encoding="utf-8")
        built = build_image(client, context, text, trees)
        names = layer_names(found.attrs["RootFS"]["Layers"], built.attrs["RootFS"]["Layers"], tuple(trees))
        return facts_of("docker", content, archived(context, built, names), built.id, {name: found.id})
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
