"""Stage `image`: put the runtime's server and the selected model into a container image."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import ImageFacts, Model
from modelyard.contexts import ImageContent, ImageContext, ServerContext, ServerImage
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.json import read_json, write_json
from modelyard.launch import python_server
from modelyard.launch.handlers import handlers_of, lay_out

if TYPE_CHECKING:
    from modelyard.launch.handlers import Handlers

_LABEL = "dev.modelyard.model."
_FACTS = ("variant", "format", "sha256", "size_bytes", "gzip_bytes", "licence", "origin")


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
        facts = job.call("builder", job.context(ImageContext, content=content))
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


def image_content(job: Job, handlers: Handlers | None = None, beside: Path | None = None) -> ImageContent:
    """Return what goes into the image of the selected model.

    Args:
        job: the stage.
        handlers: what stands around the model.
        beside: the folder with their code and assets.
    """
    settings, runtime, model = job.stage.settings, job.stage.uses["runtime"], job.inputs["model"]
    facts = read_json(model / "model.json", dict)
    told = {name: facts[name] for name in _FACTS if name in facts} | facts.get("metrics", {})
    source = job.stage.uses.get("source")
    if runtime.component.image is None:
        server = python_server.parts(settings, runtime, model, source, handlers, beside)
    else:
        server = _brought(job)
    return ImageContent(
        repository=settings["repository"],
        tag=settings["tag"] or str(facts["sha256"])[:12],
        labels={
            "org.opencontainers.image.title": settings["name"],
            "org.opencontainers.image.version": settings["version"],
            **{f"{_LABEL}{name}": str(value) for name, value in told.items()},
        },
        **server,
    )


def _brought(job: Job) -> dict[str, Any]:
    """Return the fields of `ImageContent` for a server that a base image brings, as the runtime says."""
    use = job.stage.uses["runtime"]
    assert use.component.image is not None
    context = job.context(ServerContext, name=job.stage.settings["name"], model=Model.open(job.inputs["model"]))
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
