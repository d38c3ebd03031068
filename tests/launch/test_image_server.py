"""What is said where an image's server cannot be started; the roads start the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.renders import IMAGE

from modelyard.errors import ToolError
from modelyard.launch.image_server import running

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.artifacts import ImageFacts


def refusal(facts: ImageFacts, folder: Path) -> str:
    with pytest.raises(ToolError) as caught, running(folder, facts, 1, folder / "log"):
        pass
    return str(caught.value)


def test_without_an_engine_an_image_that_only_one_has_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    facts = msgspec.structs.replace(IMAGE, builder="theirs", archive=None)
    assert refusal(facts, tmp_path) == (
        "check: the builder 'theirs' leaves its image in a Docker engine, and none answers\n"
        "  start it, or use a builder that writes an archive"
    )


def test_without_an_engine_a_server_that_is_the_images_own_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    server = msgspec.structs.replace(IMAGE.server, reads_settings=False)
    said = refusal(msgspec.structs.replace(IMAGE, archive="image.tar", server=server), tmp_path)
    assert said.startswith("check: here this image's server runs in a container only, and no Docker engine answers\n")
    assert "[tool.modelyard.check] start = false" in said
