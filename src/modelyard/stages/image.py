"""Stage `image`: put the runtime's server and the selected model, or those of several pipelines, into a container image."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import ImageFacts, Model
from modelyard.contexts import ImageContent, ImageContext, ServedModel, ServerContext, ServerImage
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.json import write_json
from modelyard.launch import python_server
from modelyard.launch.handlers import handlers_of, lay_out
from modelyard.oci.cache import folder_of_images
from modelyard.stage_settings import ImageSettings
from modelyard.stages.packed import Packed, digest_of, packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.launch.handlers import Handlers

_LABEL = "dev.modelyard.model."


def run(job: Job) -> None:
    """Build the image and write `image.json`.

    Raises:
        PluginError: the builder did not return `ImageFacts`, or names an archive that it did not write; or the runtime
            does not say what its server needs.
    """
    handlers = handlers_of(job.stage.uses)
    with TemporaryDirectory(prefix="modelyard-handlers-") as folder:
        if handlers:
            pinned = python_server.distributions(job.stage.uses["runtime"], handlers)
            lay_out(handlers, job.base.project, Path(folder), pinned)
        content = image_content(job, handlers, Path(folder))
        facts = job.call("builder", _context(job, content))
    builder = job.stage.uses["builder"].component
    if not isinstance(facts, ImageFacts):
        msg = f"the builder {builder.name!r} ({builder.file}) returned {facts!r}, not ImageFacts"
        raise PluginError(msg)
    if facts.archive is not None and not (job.base.out / facts.archive).is_file():
        msg = f"the builder {builder.name!r} ({builder.file}) names the archive {facts.archive!r} but did not write it"
        raise PluginError(msg)
    write_json(job.base.out / "image.json", msgspec.structs.replace(facts, server=content.facts))
    job.base.metrics.update(
        image=f"{facts.repository}:{facts.tag}", digest=facts.digest[:19], size_MB=facts.size_bytes / 1e6
    )


def _context(job: Job, content: ImageContent) -> ImageContext:
    """Return what the builder is given; what it fetches and packs may be shared with other projects."""
    context = job.context(ImageContext, content=content)
    return msgspec.structs.replace(context, cache=folder_of_images(context.cache))


def image_content(job: Job, handlers: Handlers | None = None, beside: Path | None = None) -> ImageContent:
    """Return what goes into the image.

    Args:
        job: the stage.
        handlers: what stands around the model.
        beside: the folder with their code and assets.
    """
    settings, runtime = job.stage.settings_as(ImageSettings), job.stage.uses["runtime"]
    models = packed(job)
    source = job.stage.uses.get("source")
    if runtime.component.image is None:
        places = {one.place: one.folder for one in models}
        server = python_server.parts(settings, runtime, places, source, handlers, beside)
    else:
        server = _brought(job, models)
    return ImageContent(
        repository=settings.repository,
        tag=settings.tag or digest_of(models)[:12],
        labels={
            "org.opencontainers.image.title": settings.name,
            "org.opencontainers.image.version": settings.version,
            **{f"{_LABEL}{one.label}{name}": value for one in models for name, value in one.told().items()},
        },
        several=bool(settings.models),
        **server,
    )


def _brought(job: Job, models: Sequence[Packed]) -> dict[str, Any]:
    """Return the fields of `ImageContent` for a server that a base image brings, as the runtime says."""
    use = job.stage.uses["runtime"]
    assert use.component.image is not None
    served = tuple(ServedModel(name=one.name, version=one.version, model=Model.open(one.folder)) for one in models)
    name = job.stage.settings_as(ImageSettings).name
    context = job.context(ServerContext, name=name, model=served[0].model, models=served)
    told = use.component.image(context, **use.params)
    if not isinstance(told, ServerImage) or not (told.base or use.component.base) or not told.entrypoint:
        msg = (
            f"the runtime {use.component.name!r} ({use.component.source.file}) returned {told!r:.80} from its `image`\n"
            "  it must return a ServerImage with a base and an entrypoint"
        )
        raise PluginError(msg)
    facts = msgspec.structs.replace(told.facts, reads_settings=use.component.reads_settings)
    parts = {name: getattr(told, name) for name in ServerImage.__struct_fields__}
    return {"requirements": ()} | parts | {"base": told.base or use.component.base, "facts": facts}
