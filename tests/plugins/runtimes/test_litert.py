from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from modelyard.component import parameters_of
from modelyard_plugins.runtimes import litert

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.fixture
def registered():
    found = {}
    litert.modelyard_register_runtimes(lambda name, function, **traits: found.update({name: (function, traits)}))
    return found


def test_the_runtime_is_registered_with_what_an_image_needs(registered):
    ((function, traits),) = registered.values()

    assert list(registered) == ["litert"]
    assert function is litert.litert
    assert traits["accepts"] == ("tflite",)
    assert (traits["server"] / "__main__.py").is_file()
    assert traits["requirements"].is_file()
    assert traits["entrypoint"] == ("python3", "-m", "modelyard_serving")


def test_its_configuration_is_threads():
    parameters = parameters_of(litert.litert, "litert")

    assert list(parameters) == ["threads"]
    assert parameters["threads"].default == 1
    assert list(inspect.signature(litert.litert).parameters) == ["model", "threads"]


def test_loading_the_plugin_imports_nothing_heavy():
    heavy = {"numpy", "ai_edge_litert", "starlette"}
    code = f"import sys, modelyard_plugins.runtimes.litert; print({heavy!r} & set(sys.modules))"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "set()"


def test_every_requirement_is_pinned_and_has_hashes(registered):
    text = registered["litert"][1]["requirements"].read_text().replace("\\\n", " ")
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
