"""The server of an image runs from the image's own files, and nothing of this machine's helps it unseen."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.launch.tiny_image import libraries, needs_glibc, write_image

from modelyard.errors import StageFailed
from modelyard.launch.image_files import from_files
from modelyard.launch.started import Beside
from modelyard.oci.rootfs import unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.artifacts import ImageFacts

pytestmark = needs_glibc


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image")


@pytest.fixture(scope="module")
def facts(folder: Path) -> ImageFacts:
    return write_image(folder)


def wait_for(told: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not told():
        assert time.monotonic() < end
        time.sleep(0.005)


def variables(log: Path) -> dict[str, str]:
    """Return what the server says of its variables, once it is there."""
    wait_for(lambda: log.exists() and "ready\n" in log.read_text())
    return dict(re.findall(r"^(?:export|declare -x) (\w+)=['\"](.*)['\"]$", log.read_text(), re.MULTILINE))


def test_it_runs_with_the_images_variables_and_is_asked_to_end(
    folder: Path, facts: ImageFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THIS_MACHINE", "secret")
    with from_files(folder, facts, {"MODELYARD_USERNAME": "ann"}, tmp_path / "log") as started:
        told = variables(tmp_path / "log")
        assert (started.how, started.is_alive(), started.stats) == ("image files", True, None)
        assert started.url == f"http://{told['MODELYARD_HOST']}:{told['MODELYARD_PORT']}"
        assert started.end(signal.SIGTERM) == 7
        assert not started.is_alive()

    assert (told["MODELYARD_HOST"], told["MODELYARD_USERNAME"]) == ("127.0.0.1", "ann")
    assert told["MODELYARD_GRPC_PORT"] == "0", "the image's own may be taken"
    assert "OF_THIS_MACHINE" not in told
    root = Path(told["PYTHONHOME"]).parent
    assert (root.name, root.exists()) == ("root", False)


def test_one_that_still_runs_is_ended(folder: Path, facts: ImageFacts, tmp_path: Path) -> None:
    with from_files(folder, facts, {}, tmp_path / "log") as started:
        variables(tmp_path / "log")
    assert not started.is_alive()


def test_files_that_were_unpacked_for_several_servers_stay(folder: Path, facts: ImageFacts, tmp_path: Path) -> None:
    root = unpack(folder / "image.tar", tmp_path / "root")
    beside = Beside({"MODELYARD_EVENTS_URL": "spool://here"}, tmp_path, root)
    ports = set()
    for number in range(2):
        with from_files(folder, facts, {}, tmp_path / f"log-{number}", beside):
            told = variables(tmp_path / f"log-{number}")
        assert told["MODELYARD_EVENTS_URL"] == "spool://here"
        assert told["PYTHONHOME"] == str(root.folder / "usr")
        ports.add(told["MODELYARD_PORT"])
    assert len(ports) == 2
    assert root.host_path("/usr/bin/python3") is not None


def test_what_it_takes_of_this_machine_is_refused_at_the_end(folder: Path, facts: ImageFacts, tmp_path: Path) -> None:
    (libc,) = [one for one in libraries(Path("/bin/sh")) if one.name.startswith("libc.")]
    other = next(libc.parent.glob("libm.so*"))
    settings = {"LD_PRELOAD": str(other)}
    with (
        pytest.raises(StageFailed, match="check: the image's server uses files of this machine: /") as caught,
        from_files(folder, facts, settings, tmp_path / "log") as started,
    ):
        variables(tmp_path / "log")
    assert other.resolve().name in str(caught.value)
    assert str(caught.value).endswith(
        "\n  add the packages that hold them to the image: [tool.modelyard.image] packages"
    )
    assert not started.is_alive()


def test_a_mistake_of_whoever_asked_is_told_and_the_server_is_ended(
    folder: Path, facts: ImageFacts, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), from_files(folder, facts, {}, tmp_path / "log") as started:
        raise ZeroDivisionError
    assert not started.is_alive()
