from __future__ import annotations

from pathlib import Path
from typing import Any

import pluggy
import pytest

from modelyard.component import Component, Source
from modelyard.plan.formats import advice, shortest_chains
from modelyard.plugins.load import Plugins, load_plugins

HERE = Source("test", "project", Path(__file__))


def component(kind: str, name: str, accepts: str, produces: str = "") -> Component:
    return Component(kind, name, lambda context: None, HERE, accepts=tuple(accepts.split()), produces=produces)


OPTIMIZERS = [
    component("optimizer", "b-to-c", "b", "c"),
    component("optimizer", "a-to-b", "a", "b"),
    component("optimizer", "also-a-to-b", "a", "b"),
    component("optimizer", "b-again", "b", "b"),
    component("optimizer", "c-to-a", "c", "a"),
    component("optimizer", "dead-end", "a c", "d"),
]


def plugins(*more: Component) -> Plugins:
    found = Plugins(pluggy.PluginManager("test"))
    found.components.update({(c.kind, c.name): c for c in (*OPTIMIZERS, *more)})
    return found


@pytest.mark.parametrize(
    ("start", "goals", "chains"),
    [
        ("a", ["b"], [("a-to-b",), ("also-a-to-b",)]),
        ("a", ["c"], [("a-to-b", "b-to-c"), ("also-a-to-b", "b-to-c")]),
        ("a", ["c", "d"], [("dead-end",)]),
        ("b", ["a"], [("b-to-c", "c-to-a")]),
        ("a", ["a", "b"], [()]),
        ("d", ["a"], []),
        ("unknown", ["a"], []),
        ("a", [], []),
    ],
)
def test_the_shortest_chains_are_found_all_of_them(start: str, goals: list[Any], chains: list[Any]) -> None:
    assert shortest_chains(OPTIMIZERS, start, goals) == chains


def test_advice_names_model_optimizers_chains_or_what_takes_the_format_at_all() -> None:
    runtime = component("runtime", "runner", "d")

    def told(given: str, accepted: list[str], *, is_runtime: bool = False) -> str:
        return advice(plugins(runtime), given, accepted, is_runtime=is_runtime)

    assert told("a", ["b"]) == "model optimizers that fit between them: a-to-b, also-a-to-b"
    assert told("a", ["c"]) == "chains that fit between them: a-to-b then b-to-c, or also-a-to-b then b-to-c"
    assert told("d", ["a", "b"]) == "no model optimizers lead from d to a, b; those that take d: (none)"
    assert told("d", ["a"], is_runtime=True).endswith(
        "those that take d: (none); runtimes that take d, for [tool.modelyard.runtime] use: runner"
    )
    assert "runtimes" not in told("a", ["b"], is_runtime=True)


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return load_plugins(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize(
    ("given", "runtime", "words"),
    [
        ("keras_quantized", "litert", "no model optimizers lead from keras_quantized to tflite; those that take keras_quantized: keras-onnx, keras-saved-model"),
        ("keras", "litert", "model optimizers that fit between them: keras-litert"),
        ("keras", "onnxruntime", "model optimizers that fit between them: keras-onnx"),
        ("onnx", "litert", "runtimes that take onnx, for [tool.modelyard.runtime] use: onnxruntime"),
        ("tflite", "onnxruntime", "those that take tflite: edge-quantize; runtimes that take tflite, for [tool.modelyard.runtime] use: litert"),
        ("tf_keras", "onnxruntime", "model optimizers that fit between them: tf-keras-onnx"),
    ],
)  # fmt: skip
def test_the_built_in_components_advise_well(built_in: Plugins, given: str, runtime: str, words: str) -> None:
    taker = built_in.components["runtime", runtime]

    assert words in advice(built_in, given, taker.accepts, is_runtime=True)
