from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.component import parameters_of
from modelyard.stage_settings import ServerSettings
from modelyard_plugins.runtimes import litert, onnxruntime

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
MODULES = {"litert": litert, "onnxruntime": onnxruntime}
FORMATS = {"litert": ("tflite",), "onnxruntime": ("onnx",)}


@pytest.fixture(params=sorted(MODULES))
def name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def registered(name: str) -> dict[str, Any]:
    found = {}
    MODULES[name].modelyard_register_runtimes(lambda n, function, **traits: found.update({n: (function, traits)}))
    return found


def test_the_runtime_is_registered_with_what_an_image_needs(name: str, registered: dict[str, Any]) -> None:
    ((function, traits),) = registered.values()

    assert list(registered) == [name]
    assert function is getattr(MODULES[name], name)
    assert traits["accepts"] == FORMATS[name]
    assert (traits["server"] / "__main__.py").is_file()
    assert traits["requirements"].is_file()
    assert traits["entrypoint"] == ("python3", "-m", "modelyard_serving")


def test_the_server_in_the_image_is_told_which_runtime_it_has(name: str, registered: dict[str, Any]) -> None:
    from modelyard.serving.backends import BUILT_IN
    from modelyard.serving.settings import Settings

    settings = Settings.read(registered[name][1].get("server_environment", {}))

    assert settings.backend == name
    assert settings.backend in BUILT_IN


def test_its_configuration_is_threads_batching_and_what_is_asked_for(name: str, registered: dict[str, Any]) -> None:
    function = registered[name][0]
    parameters = parameters_of(function, name)

    assert list(parameters) == ["threads", "batching", "grpc_port", "events_oidc"]
    assert parameters["threads"].default == 1
    assert parameters["batching"].default == "auto"
    assert parameters["grpc_port"].default is None
    assert registered[name][1]["serving_only"] == ("batching", "grpc_port", "events_oidc"), (
        "it is no part of what is evaluated"
    )
    assert list(inspect.signature(function).parameters) == ["model", "params"]


def test_loading_the_plugin_imports_nothing_heavy(name: str) -> None:
    heavy = {"numpy", "ai_edge_litert", "onnxruntime", "httptools"}
    code = f"import sys, modelyard_plugins.runtimes.{name}; print({heavy!r} & set(sys.modules))"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "set()"


def test_every_requirement_is_pinned_and_has_hashes(name: str, registered: dict[str, Any]) -> None:
    text = registered[name][1]["requirements"].read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert lines
    for line in lines:
        pin, *hashes = line.split()
        assert re.fullmatch(r"[A-Za-z0-9-]+==[0-9.]+", pin), pin
        assert hashes, pin
        assert all(HASH.fullmatch(word) for word in hashes), pin
        # One wheel for all, or one for each of three Pythons on two machines.
        assert len(set(hashes)) == len(hashes)
        assert len(hashes) in (1, 6), pin


def test_the_runtimes_share_the_server_and_its_requirements() -> None:
    """What differs between two images is the runtime alone, so that they share the other layers and downloads."""
    folder = litert._REQUIREMENTS.parent
    pins = {
        name: {
            line.split()[0] for line in (folder / f"{name}-requirements.txt").read_text().splitlines() if "==" in line
        }
        for name in MODULES
    }

    assert {pin.partition("==")[0] for pin in pins["litert"] ^ pins["onnxruntime"]} == {"ai-edge-litert", "onnxruntime"}


def parts_of(registered: Any, **params: Any) -> Any:
    """What goes into an image of the runtime with these parameters."""
    from modelyard.component import Source, Use
    from modelyard.launch import python_server
    from modelyard.plugins.register import registered as component_of

    ((name, (function, traits)),) = registered.items()
    component = component_of(
        "runtime", name, function, traits, Source("runtimes", "built-in", Path(MODULES["litert"].__file__ or ""))
    )
    settings = ServerSettings(name="digits", port=8080)
    return python_server.parts(
        settings, Use(component, {"threads": 1, "grpc_port": None} | params), {"model": Path("model")}
    )


def test_what_checks_tokens_is_in_the_image_only_if_it_is_asked_for(registered: dict[str, Any]) -> None:
    asked = parts_of(registered, events_oidc=True)

    names = [line.partition("==")[0] for line in asked["optional_requirements"]]
    assert names == ["cffi", "cryptography", "joserfc", "pycparser"]
    assert all(HASH.search(line) for line in asked["optional_requirements"])
    assert parts_of(registered, events_oidc=False)["optional_requirements"] == ()


def test_whether_requests_are_joined_is_in_the_images_settings_and_the_server_takes_it(
    registered: dict[str, Any],
) -> None:
    from modelyard.serving.settings import Settings

    for told in ("auto", "on", "off"):
        assert Settings.read(parts_of(registered, batching=told)["environment"]).batching == told


def test_what_grpc_needs_is_in_the_image_only_if_it_has_a_port(registered: dict[str, Any]) -> None:
    without, asked = parts_of(registered), parts_of(registered, grpc_port=8081)

    assert (without["optional_requirements"], without["facts"].grpc_port) == ((), 0)
    assert not [name for name in without["environment"] if "GRPC" in name]
    assert [line.partition("==")[0] for line in asked["optional_requirements"]] == ["hpack"]
    assert HASH.search(asked["optional_requirements"][0])
    assert asked["environment"] == without["environment"] | {"MODELYARD_GRPC_PORT": "8081"}
    assert asked["facts"].grpc_port == 8081
    assert asked["requirements"] == without["requirements"]
