"""Contexts as the render stage gives them to a target, for tests that render by themselves."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.contexts import TargetContext
from modelyard.rendering.templates import renderer
from modelyard.testing.target import IMAGE as SAMPLE
from modelyard.testing.target import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelyard.artifacts import ImageFacts

IMAGE = msgspec.structs.replace(SAMPLE, repository="registry.example/team/digits", tag="0.1.0")


def target_context(
    project: Path,
    out: str = "out",
    *,
    name: str = "digits",
    version: str = "0.1.0",
    image: ImageFacts = IMAGE,
    model: Mapping[str, Any] = MODEL,
    models: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> TargetContext:
    """Make a context as the render stage does.

    Args:
        project: the project's folder, which may have templates of its own.
        out: the folder in it that is made and takes what is written.
        name: the project's name.
        version: the project's version.
        image: the image to run.
        model: what is told of its model.
        models: what is told of each of several.
    """
    (project / out).mkdir()
    always = {"name": name, "version": version, "image": image, "model": model, "models": models, "params": {}}
    return TargetContext(
        out=project / out,
        project=project,
        cache=project,
        seed=0,
        progress=lambda *_, **__: None,
        log=print,
        name=name,
        version=version,
        image=image,
        model=model,
        models=models,
        render=renderer(project, (), always),
    )
