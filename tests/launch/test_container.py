"""The server of an image in a container, hardened as in a cluster; nothing of it is left in the engine."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.facts import image_facts
from tests.launch.tiny_image import needs_glibc, write_image

from modelyard.errors import StageFailed, ToolError
from modelyard.launch import container
from modelyard.launch.started import Beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.artifacts import ImageFacts


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    client = container.find_engine()
    if client is None:
        pytest.skip("no Docker engine answers")
    yield client
    client.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image")


@pytest.fixture(scope="module")
def facts(folder: Path) -> ImageFacts:
    return write_image(folder)


def images(engine: Any, facts: ImageFacts) -> list[str]:
    return [one.id for one in engine.images.list(all=True) if one.id in (facts.image_id, facts.digest)]


def test_where_no_engine_answers_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    assert container.find_engine() is None


def test_a_server_beside_a_broker_shares_this_machines_loopback_and_may_only_read_the_files() -> None:
    beside = Beside({"MODELYARD_EVENTS_URL": "spool://here"}, Path("/files"))
    facts = image_facts()
    own, how = container._on_loopback(facts, beside, 4321)
    assert own == {"MODELYARD_HOST": "127.0.0.1", "MODELYARD_PORT": "4321", "MODELYARD_EVENTS_URL": "spool://here"}
    assert how == {"network_mode": "host", "volumes": {"/files": {"bind": "/files", "mode": "ro"}}}
    with_grpc = msgspec.structs.replace(facts, server=msgspec.structs.replace(facts.server, grpc_port=9000))
    assert container._on_loopback(with_grpc, beside, 4321)[0]["MODELYARD_GRPC_PORT"] == "0"


@needs_glibc
@pytest.mark.docker
def test_it_runs_hardened_and_leaves_nothing(engine: Any, folder: Path, facts: ImageFacts) -> None:
    with container.in_container(engine, folder, facts, {"MODELYARD_USERNAME": "ann"}, folder / "log") as started:
        (running,) = engine.containers.list(filters={"ancestor": images(engine, facts)[0]})
        host = running.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Tmpfs"]) == (True, ["ALL"], {"/tmp": "size=64m"})
        assert host["SecurityOpt"] == ["no-new-privileges"]
        (published,) = running.ports[f"{facts.port}/tcp"]
        assert (started.url, published["HostIp"]) == (f"http://127.0.0.1:{published['HostPort']}", "127.0.0.1")
        assert (started.how, started.is_alive()) == ("container", True)
        assert started.stats is not None
        assert started.stats()["memory_stats"]["usage"] > 0
        assert started.end(signal.SIGKILL) == 128 + signal.SIGKILL
        assert not started.is_alive()

    assert engine.containers.list(all=True, filters={"id": running.id}) == []
    assert images(engine, facts) == []
    assert "MODELYARD_USERNAME='ann'" in (folder / "log").read_text().replace('"', "'")


@needs_glibc
@pytest.mark.docker
def test_one_that_ended_before_it_listened_is_told_and_an_image_that_is_there_is_not_loaded(
    engine: Any, folder: Path, facts: ImageFacts
) -> None:
    image, loaded = container._load(engine, folder, facts)
    assert loaded
    try:
        assert container._load(engine, folder, facts) == (image, False)
        ended = engine.containers.create(image, entrypoint=["python3", "-c", "exit 3"])
        ended.start()
        ended.wait()
        with pytest.raises(StageFailed, match="the container ended before it listened\n  its output is in the log"):
            container._published(ended, facts.port)
        ended.remove()
    finally:
        container._remove(engine, image)
    container._remove(engine, image)  # another check has removed it
    with pytest.raises(ToolError, match="check: the engine no longer has registry"):
        container._load(engine, folder, msgspec.structs.replace(facts, archive=None))
