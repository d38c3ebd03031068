from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.artifacts import ImageFacts
from modelyard.contexts import TargetContext
from modelyard.rendering.templates import renderer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE = ImageFacts(
    builder="oci",
    repository="registry.example/team/digits",
    tag="0.1.0",
    digest="sha256:" + "a" * 64,
    image_id="sha256:" + "b" * 64,
    size_bytes=1,
    archive="image.tar",
    platform="linux/amd64",
    user="65532:65532",
    port=8080,
    labels={},
    layers=(),
)
MODEL = {"variant": "int8", "format": "tflite", "accuracy": 0.98, "sha256": "c" * 64}


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., TargetContext]:
    """Make a context as the render stage does, with a new and empty `out`."""
    made: list[TargetContext] = []

    def make(
        name: str = "digits", version: str = "0.1.0", image: ImageFacts = IMAGE, extra: tuple[Path, ...] = ()
    ) -> TargetContext:
        out = tmp_path / f"out{len(made)}"
        out.mkdir()
        always = {"name": name, "version": version, "image": image, "model": MODEL, "params": {}}
        facts = {"out": out, "project": tmp_path, "cache": tmp_path, "seed": 0}
        log: list[str] = []
        one = TargetContext(
            **facts,
            progress=lambda *_, **__: None,
            log=log.append,
            name=name,
            version=version,
            image=image,
            model=MODEL,
            render=renderer(tmp_path, extra, always),
        )
        made.append(one)
        return one

    return make
