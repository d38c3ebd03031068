"""Stage `image`: put the runtime's server and the selected model into a container image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.artifacts import ImageFacts
from modelyard.component import Component
from modelyard.config import Use
from modelyard.contexts import ImageContent, ImageContext
from modelyard.errors import PluginError
from modelyard.job import Job
from modelyard.jsonfiles import read_json, write_json

_LABEL = "dev.modelyard.model."
_FACTS = ("variant", "format", "sha256", "accuracy", "size_bytes", "gzip_bytes")
APP, MODEL = "/app", "/model"


def run(job: Job) -> None:
    """Build the image and write `image.json`.

    Raises:
        PluginError: the builder did not return `ImageFacts`, or names an archive that it did not write.
    """
    content = image_content(job.stage.settings, job.stage.uses["runtime"], job.inputs["model"])
    facts = job.call("builder", job.context(ImageContext, content=content))
    builder = job.stage.uses["builder"].component
    if not isinstance(facts, ImageFacts):
        msg = f"the builder {builder.name!r} ({builder.file}) returned {facts!r}, not ImageFacts"
        raise PluginError(msg)
    if facts.archive is not None and not (job.base.out / facts.archive).is_file():
        msg = f"the builder {builder.name!r} ({builder.file}) names the archive {facts.archive!r} but did not write it"
        raise PluginError(msg)
    write_json(job.base.out / "image.json", facts)
    job.base.metrics.update(
        image=f"{facts.repository}:{facts.tag}", digest=facts.digest[:19], size_MB=facts.size_bytes / 1e6
    )


def image_content(settings: Any, runtime: Use, model: Path) -> ImageContent:
    """Return what goes into the image of the model in the folder `model`."""
    facts = read_json(model / "model.json", dict)
    component = runtime.component
    assert component.server is not None
    assert component.requirements is not None
    return ImageContent(
        repository=settings["repository"],
        tag=settings["tag"] or str(facts["sha256"])[:12],
        requirements=requirement_lines(component.requirements),
        server={f"{APP}/{server_package(component)}": component.server},
        model={MODEL: model},
        entrypoint=component.entrypoint,
        environment=environment(settings, runtime),
        labels={
            "org.opencontainers.image.title": settings["name"],
            "org.opencontainers.image.version": settings["version"],
            **{f"{_LABEL}{name}": str(facts[name]) for name in _FACTS if name in facts},
        },
        port=settings["port"],
    )


def environment(settings: Any, runtime: Use) -> dict[str, str]:
    """Return the server's settings that are known when the image is built; all can be set otherwise when it runs."""
    return {
        "MODELYARD_MODEL_DIR": MODEL,
        "MODELYARD_MODEL_NAME": settings["name"],
        "MODELYARD_PORT": str(settings["port"]),
        **runtime.component.server_environment,
        **{f"MODELYARD_{name.upper()}": str(value) for name, value in runtime.params.items()},
    }


def server_package(runtime: Component) -> str:
    """Return the name that the server's package has in the image: the module after `-m`, else the folder's name."""
    words = runtime.entrypoint
    assert runtime.server is not None
    return words[words.index("-m") + 1] if "-m" in words else runtime.server.name


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a pip requirements file: continued lines joined, comments left out."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return tuple(" ".join(line.split()) for line in lines if line and not line.startswith("#"))
