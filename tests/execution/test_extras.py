from __future__ import annotations

import importlib.metadata

import pytest

from modelyard.execution.extras import extras_of, install_command, missing, of_module


@pytest.mark.parametrize(
    ("wanted", "command"),
    [
        (["tensorflow"], "'modelyard[tensorflow]'"),
        (["tensorflow", "tf-keras", "tensorflow-model-optimization"], "'modelyard[tensorflow]'"),
        (["keras", "tensorflow", "tf2onnx"], "'modelyard[keras]'"),
        (["tf-keras", "onnx", "tf2onnx"], "'modelyard[keras,tensorflow]'"),
        (["scikit-learn", "pillow", "torch"], "'modelyard[data,torch]'"),
        (["ai-edge-litert"], "'modelyard[litert]'"),
        (["litert-torch", "torch"], "'modelyard[torch-litert]'"),
        (["onnxslim", "docker"], "'modelyard[docker]' onnxslim"),
        (["Onnx.Slim"], "Onnx.Slim"),
    ],
)
def test_one_command_with_as_few_and_small_extras_as_will_do(wanted: list[str], command: str) -> None:
    assert install_command(wanted) == f"python -m pip install {command}"


def test_the_extras_of_the_plugins_own_distribution_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "ours": ['torch>=2; extra == "fast"', "numpy", 'ours[fast]; python_version > "3" and extra == "all"'],
        "modelyard": ['torch; extra == "torch"', 'docker; extra == "docker"'],
    }
    monkeypatch.setattr(importlib.metadata, "requires", told.__getitem__)
    assert extras_of("ours") == {"fast": {"torch"}, "all": {"torch"}}
    assert install_command(["torch", "docker"], ["ours"]) == "python -m pip install 'ours[all]' 'modelyard[docker]'"


def test_what_is_not_installed_is_missing() -> None:
    assert missing(["numpy", "no-such-thing", "msgspec", "no-such-thing"]) == ["no-such-thing"]
    assert extras_of("no-such-thing") == {}


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("sklearn.svm", "scikit-learn"),
        ("PIL.Image", "pillow"),
        ("ai_edge_litert", "ai-edge-litert"),
        ("torch", "torch"),
    ],
)
def test_the_distribution_of_a_module(module: str, distribution: str) -> None:
    assert of_module(module) == distribution
