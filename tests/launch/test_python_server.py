from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plans import SOURCE, nothing

from modelyard.component import Component, Use
from modelyard.config.tables import Events
from modelyard.errors import PluginError
from modelyard.launch.python_server import environment, once_each, packages, parts
from modelyard.stage_settings import ModelName, ServerSettings

EVENTS = Events(input="in", output="out", dead_letter="dead", group="group").of_server()
SETTINGS = ServerSettings(name="digits", port=8080, events=EVENTS)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder with packages, and a file of requirements."""
    for name in ("serving", "ours_backend", "client"):
        (tmp_path / name).mkdir()
    (tmp_path / "pinned.txt").write_text("# all\nnumpy==2.0 \\\n    --hash=sha256:00\n")
    return tmp_path


def runtime(folders: Path, package: str = "ours_backend", **params: Any) -> Use:
    started = ("python3", "-m", "modelyard_serving")
    paths = {"server": folders / "serving", "package": folders / package, "requirements": folders / "pinned.txt"}
    return Use(Component("runtime", "ours", nothing, SOURCE, entrypoint=started, **paths), params)  # type: ignore[arg-type]


def source(folders: Path, **params: Any) -> Use:
    client = folders / "client"
    return Use(Component("source", "table", nothing, SOURCE, client=client, schemes={"table": 1}), params)


def test_a_runtimes_own_package_lies_beside_the_server(folders: Path) -> None:
    found = parts(SETTINGS, runtime(folders), {"/model": folders / "model"})
    assert found["server"] == {
        "/app/modelyard_serving": folders / "serving",
        "/app/ours_backend": folders / "ours_backend",
    }
    assert found["requirements"] == ("numpy==2.0 --hash=sha256:00",)


def test_two_packages_of_one_name_are_refused(folders: Path) -> None:
    with pytest.raises(
        PluginError, match="the client of the source 'table' is called 'client', as the server is, or what"
    ):
        packages(runtime(folders, package="client").component, source(folders))
    (folders / "modelyard_serving").mkdir()
    with pytest.raises(
        PluginError, match="the package of the runtime 'ours' is called 'modelyard_serving', as the server"
    ):
        packages(runtime(folders, package="modelyard_serving").component)


def test_parameters_that_the_server_does_not_know_are_named_as_a_plugins_own(folders: Path) -> None:
    told = environment(SETTINGS, runtime(folders, threads=2, ports=3, left_out=None), source(folders, file="x"))
    assert (told["MODELYARD_THREADS"], told["MODELYARD_PORTS"], told["MODELYARD_EVENTS_FILE"]) == ("2", "3", "x")
    assert told["MODELYARD_PARAMETERS"] == "MODELYARD_EVENTS_FILE,MODELYARD_PORTS"
    assert "MODELYARD_PARAMETERS" not in environment(SETTINGS, runtime(folders, threads=2))


def test_several_models_lie_below_one_folder_and_are_called_as_theirs_are(folders: Path) -> None:
    places = {"/models/net/1": folders / "one", "/models/net/2": folders / "two"}
    models = {f"net.{version}": ModelName(name="net", version=version) for version in (1, 2)}
    found = parts(msgspec.structs.replace(SETTINGS, models=models), runtime(folders), places)
    assert found["model"] == places
    assert found["environment"]["MODELYARD_MODEL_DIR"] == "/models"


def test_what_several_handlers_pin_alike_is_there_once() -> None:
    lines = ["a==1 --hash=sha256:0", "b==2 --hash=sha256:1", "a==1 --hash=sha256:0 --hash=sha256:2"]
    assert once_each(lines) == ("a==1 --hash=sha256:0 --hash=sha256:2", "b==2 --hash=sha256:1")
    assert once_each([]) == ()
