from __future__ import annotations

import contextlib
import random
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from modelyard_plugins.support.onnx.export import write_export
from modelyard_plugins.support.onnx.node_order import steady_order

# to import it is to import TensorFlow, whichever tests are asked for
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(find_spec("tf2onnx") is None, reason="needs the extra 'keras'"),
]
SEEDS = (0, 1, 55, 104)
"""In the orders of the last two, of a hundred, a simplification comes too early."""


def network() -> Any:
    """Return a function whose shape is computed behind a transposition: some orders of nodes let tf2onnx compute it once."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 12, 12, 1), tf.float32, name="image")])
    def answers(image: Any) -> Any:
        for kernel in ((3, 3, 1, 4), (3, 3, 4, 8)):
            image = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(image, tf.ones(kernel), 1, "VALID")), 2, 2, "VALID")
        return tf.reshape(image, (tf.shape(image)[0], 8)) @ tf.ones((8, 3))

    return answers


def convert(answers: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what tf2onnx makes of a network, as in a process that converted nothing before."""
    import tf2onnx

    monkeypatch.setattr("tf2onnx.utils.INTERNAL_NAME", 1)
    return tf2onnx.convert.from_function(answers, input_signature=answers.input_signature)[0]


def go_through_in_disorder(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Have tf2onnx meet the nodes of a graph in an order that addresses and hashes may bring about."""
    from tf2onnx.graph import Graph

    needed, readers, disorder = Graph.extract_sub_graph_nodes, Graph.find_output_consumers, random.Random(seed)

    def shuffled(nodes: list[Any]) -> list[Any]:
        return disorder.sample(sorted(nodes, key=lambda node: str(node.name)), len(nodes))

    monkeypatch.setattr(Graph, "extract_sub_graph_nodes", lambda *args, **kwargs: shuffled(needed(*args, **kwargs)))
    monkeypatch.setattr(Graph, "find_output_consumers", lambda *args: shuffled(readers(*args)))


def test_whatever_the_order_of_sets_the_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = network()
    unlike, alike = set(), set()
    for seed in SEEDS:
        with monkeypatch.context() as patched:
            go_through_in_disorder(patched, seed)
            unlike.add(len(convert(answers, patched).graph.node))
            write_export(partial(convert, answers, patched), "network", tmp_path / "model.onnx")
            alike.add((tmp_path / "model.onnx").read_bytes())

    assert len(unlike) > 1  # else nothing is shown here
    assert len(alike) == 1


@pytest.mark.parametrize("is_steady", [True, False])
def test_what_a_loop_and_a_condition_call_is_converted_by_name(
    is_steady: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="image")])
    def answers(image: Any) -> Any:
        def step(one: Any) -> Any:
            return tf.cond(tf.reduce_sum(one) > 0, lambda: tf.tanh(one), lambda: tf.nn.relu(one - 1))

        return tf.while_loop(lambda one: tf.reduce_sum(one) < 9, lambda one: (step(one),), (image,))[0]

    class Backwards(set[str]):
        def __iter__(self) -> Any:
            return iter(sorted(super().__iter__(), reverse=True))

    class Forwards(set[str]):
        def __iter__(self) -> Any:
            return iter(sorted(super().__iter__()))

    if not is_steady:  # what the other case would find
        monkeypatch.setattr("modelyard_plugins.support.onnx.export.steady_order", contextlib.nullcontext)
    found = set()
    for order in (Forwards, Backwards):
        monkeypatch.setattr("tf2onnx.tf_loader.set", order, raising=False)
        write_export(partial(convert, answers, monkeypatch), "network", tmp_path / "model.onnx")
        found.add((tmp_path / "model.onnx").read_bytes())
    assert len(found) == (1 if is_steady else 2)


def test_a_node_that_a_graph_lists_twice_is_written_once(tmp_path: Path) -> None:
    import onnx
    import tensorflow as tf
    import tf2onnx
    import tf_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input((6, 3)), layers.Bidirectional(layers.LSTM(4))])  # joined from two
    answers = tf.function(model, input_signature=[tf.TensorSpec((None, 6, 3), name="image")])

    def export() -> Any:
        return tf2onnx.convert.from_function(answers, input_signature=answers.input_signature)[0]

    write_export(export, "network", tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert [node.op_type for node in nodes].count("LSTM") == 1


def test_it_is_as_it_was_afterwards() -> None:
    from tf2onnx import tf_loader
    from tf2onnx.graph import Graph

    before = Graph.extract_sub_graph_nodes, Graph.find_output_consumers
    with contextlib.suppress(KeyError), steady_order():
        assert Graph.extract_sub_graph_nodes is not before[0]
        raise KeyError

    assert (Graph.extract_sub_graph_nodes, Graph.find_output_consumers) == before
    assert tf_loader.set is set
