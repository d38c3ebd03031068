from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.serving.onnx_models import logits, move_weights_out, write_onnx
from tests.tasks import write_dataset

from modelyard.artifacts import Splits
from modelyard.errors import ConfigError, DataError, StageFailed
from modelyard_plugins.optimizers.onnx_dynamic import onnx_dynamic
from modelyard_plugins.optimizers.onnx_static import onnx_static
from modelyard_plugins.support.onnx.facts import onnx_facts
from modelyard_plugins.support.onnx.model import some

onnx = pytest.importorskip("onnx", reason="needs the extra 'onnx'")


@pytest.fixture
def parent(bench: Bench, digits: Any) -> Callable[..., Any]:
    """Give the network as the parent in a context: `parent(batch=3)`."""

    def make(**options: Any) -> Any:
        folder = write_onnx(bench.folder / f"parent-{bench.count}", **options)
        return bench.optimize(digits, bench.open_model(folder, digits, "onnx"))

    return make


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """64 + 32 samples of the shape that the network takes, preprocessed as it expects: mean 0.3 and deviation 0.4."""
    from modelyard.artifacts import Dataset

    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("digits")
    x = random.integers(0, 17, (96, 8, 8, 1)).astype(np.uint8)
    y = np.arange(96) % 10
    splits = Splits(x[:64], y[:64], x[64:], y[64:], [str(n) for n in range(10)], (0, 16))
    write_dataset(splits, folder, progress=lambda *a, **k: None)
    return Dataset.open(folder)


def answers(path: Any, inputs: Any) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batch = session.get_inputs()[0].shape[0]
    step = batch if isinstance(batch, int) else len(inputs)
    name = session.get_inputs()[0].name
    return np.concatenate(
        [session.run(["y"], {name: inputs[start : start + step]})[0] for start in range(0, len(inputs), step)]
    )


def operators(path: Any) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"calibration": "entropy"},
        {"calibration": "percentile"},
        {"activations": "uint8", "reduce_range": True},
        {"per_channel": False},
    ],
)
def test_static_gives_a_model_in_integers_that_answers_as_its_parent(
    parent: Callable[..., Any], digits: Any, params: dict[str, Any]
) -> None:
    context = parent()
    onnx_static(context, calibration_samples=40, **params)

    path = context.out / "model.onnx"
    inputs = digits.inputs("test")
    right, found = answers(context.model.path, inputs), answers(path, inputs)
    spread = right.std()
    assert np.abs(found - right).max() < 0.35 * spread
    assert np.corrcoef(found.ravel(), right.ravel())[0, 1] > 0.98
    assert not np.array_equal(found, right)
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(operators(path))
    assert context.metrics["operators_int8"] == 2
    assert context.metrics["operators_float32"] == 0
    assert context.metrics["calibration_samples"] == 40
    assert context.metrics["size_bytes"] == path.stat().st_size < context.model.path.stat().st_size / 1.9


@pytest.mark.parametrize(
    ("optimizer", "params"),
    [
        (onnx_static, {"calibration": "percentile", "calibration_samples": 8}),
        (onnx_static, {"calibration_samples": 8}),
        (onnx_dynamic, {"convolutions": True}),
    ],
)
def test_a_parent_with_its_weights_in_another_file_gives_the_same_model_as_one_in_one_file(
    parent: Callable[..., Any], bench: Bench, digits: Any, optimizer: Any, params: dict[str, Any]
) -> None:
    one, context = parent(), parent()
    move_weights_out(context.model.folder)
    os.link(context.model.path / "weights.bin", bench.folder / f"kept-{bench.count}")  # as the store has it
    context = bench.optimize(digits, context.model)
    optimizer(one, **params)
    optimizer(context, **params)

    path, inputs = context.out / "model.onnx", digits.inputs("test")
    assert sorted(file.name for file in path.iterdir()) == ["model.onnx", "model.onnx.data"]
    np.testing.assert_array_equal(answers(path / "model.onnx", inputs), answers(one.out / "model.onnx", inputs))
    assert context.metrics["operators_int8"] == 2
    assert context.metrics["size_bytes"] == sum(file.stat().st_size for file in path.iterdir())
    again = bench.optimize(digits, context.model)
    optimizer(again, **params)
    for file in path.iterdir():
        assert (again.out / "model.onnx" / file.name).read_bytes() == file.read_bytes()


def test_an_old_opset_with_its_weights_in_another_file_is_refused(
    parent: Callable[..., Any], bench: Bench, digits: Any
) -> None:
    context = parent()
    model = onnx.load(context.model.path)
    model.opset_import[0].version = 11
    onnx.save(model, context.model.path)
    move_weights_out(context.model.folder)
    with pytest.raises(StageFailed, match=r"the model is of opset 11\n  export it with opset 13 or later"):
        onnx_dynamic(context)


def test_the_parent_is_the_network_that_numpy_computes(parent: Callable[..., Any], digits: Any) -> None:
    """Or else the comparisons with it mean nothing: both preprocess on their own."""
    raw = digits.x("test")
    preprocessing = digits.facts.preprocessing
    same = (raw / 16 - 0.3) / 0.4
    assert preprocessing.mean != (0.3,)
    np.testing.assert_allclose(answers(parent().model.path, same.astype(np.float32)), logits(raw), atol=1e-5)


def test_each_calibration_chooses_other_ranges(parent: Callable[..., Any]) -> None:
    written = set()
    for calibration in ("minmax", "entropy", "percentile"):
        context = parent()
        onnx_static(context, calibration=calibration, calibration_samples=40)
        written.add((context.out / "model.onnx").read_bytes())

    assert len(written) == 3


def test_a_fixed_batch_is_calibrated_and_kept(parent: Callable[..., Any], digits: Any) -> None:
    context = parent(batch=3)
    onnx_static(context, calibration_samples=10)

    dims = onnx.load(context.out / "model.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [3, 8, 8, 1]
    inputs = digits.inputs("test")[:30]
    assert (
        np.corrcoef(answers(context.out / "model.onnx", inputs).ravel(), answers(context.model.path, inputs).ravel())[
            0, 1
        ]
        > 0.98
    )


def test_ranges_come_from_the_training_split_and_the_seed(
    parent: Callable[..., Any], bench: Bench, digits: Any
) -> None:
    written = []
    for seed, samples in ((0, 8), (0, 8), (1, 8)):
        context = bench.optimize(digits, parent().model, seed)
        onnx_static(context, calibration_samples=samples)
        written.append((context.out / "model.onnx").read_bytes())

    assert written[0] == written[1]
    assert written[0] != written[2]


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_it_is_calibrated_with_the_threads_of_the_project_whatever_the_machine_has(
    calibration: Any, parent: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime
    from onnxruntime.quantization.calibrate import CalibraterBase

    usual, threads = onnxruntime.SessionOptions, []
    create = CalibraterBase.create_inference_session

    def watched(self: Any) -> None:
        create(self)
        threads.append(self.infer_session.get_session_options().intra_op_num_threads)

    monkeypatch.setattr(CalibraterBase, "create_inference_session", watched)
    onnx_static(msgspec.structs.replace(parent(), threads=3), calibration=calibration, calibration_samples=4)

    assert {*threads} == {3}
    assert onnxruntime.SessionOptions is usual


def test_skip_leaves_operators_in_float32_and_refuses_what_is_not_there(parent: Callable[..., Any]) -> None:
    from modelyard_plugins.support.onnx.model import load_onnx, weighted_operators

    context = parent()
    (convolution,) = [n for n in weighted_operators(load_onnx(context.model.path))["float32"] if "Conv" in n]
    onnx_static(context, skip=(convolution,))
    assert context.metrics["operators_float32"] == 1
    assert any(line == f"left in float32: {convolution}" for line in _lines(context))
    with pytest.raises(ConfigError, match=r"skip: there is no operator 'nope'.*\n  operators: "):
        onnx_static(parent(), skip=("nope",))


def test_dynamic_leaves_convolutions_alone_unless_told_and_warns_both_times(
    parent: Callable[..., Any], digits: Any
) -> None:
    plain, slow = parent(), parent()
    onnx_dynamic(plain)
    onnx_dynamic(slow, convolutions=True)

    assert "ConvInteger" not in operators(plain.out / "model.onnx")
    assert "ConvInteger" in operators(slow.out / "model.onnx")
    for context, words in ((plain, "stay in float32; use onnx-static"), (slow, "run as ConvInteger, which is slow")):
        assert any(line.startswith("the convolutions Conv ") and words in line for line in context.warnings)
        inputs = digits.inputs("test")
        found, right = (answers(p, inputs) for p in (context.out / "model.onnx", context.model.path))
        assert np.corrcoef(found.ravel(), right.ravel())[0, 1] > 0.99
    assert plain.metrics["operators_float32"] == 1
    assert slow.metrics["operators_float32"] == 0


@pytest.mark.parametrize("convolutions", [False, True])
def test_a_model_of_dynamic_answers_a_sample_alike_whoever_stands_beside_it(
    parent: Callable[..., Any], digits: Any, convolutions: bool
) -> None:
    from modelyard.serving.backends.onnxruntime import open_model

    context = parent()
    onnx_dynamic(context, convolutions=convolutions)
    shown = onnx_facts(context.out / "model.onnx")
    assert shown.batch == 1
    raw = digits.x("test")
    answered = {}
    for said, facts in (("nothing", {}), ("what the file shows", {"batch": shown.batch})):
        known = msgspec.to_builtins(context.model.facts) | facts
        (context.out / "model.json").write_bytes(msgspec.json.encode(known))
        model = open_model(context.out)
        alone = np.concatenate([model.predict(one[None]) for one in raw])
        answered[said] = np.abs(model.predict(raw) - alone).max()

    assert answered["nothing"] > 1e-4, "the tolerance of the check"
    assert answered["what the file shows"] == 0


def test_others_may_run_in_any_batch(parent: Callable[..., Any]) -> None:
    context = parent()
    onnx_static(context)

    assert [onnx_facts(path).batch for path in (context.model.path, context.out / "model.onnx")] == [None, None]


@pytest.mark.parametrize("optimizer", [onnx_static, onnx_dynamic])
@pytest.mark.parametrize("first", [onnx_static, onnx_dynamic])
def test_a_quantized_parent_is_refused(
    bench: Bench, parent: Callable[..., Any], digits: Any, first: Any, optimizer: Any
) -> None:
    once = parent()
    first(once)
    with pytest.raises(StageFailed, match=r"quantized already: it holds .*Quantize.*\n  quantize once in a chain"):
        optimizer(bench.optimize(digits, bench.open_model(once.out, digits, "onnx")))


@pytest.mark.parametrize("optimizer", [onnx_static, onnx_dynamic])
def test_a_damaged_parent_is_named(parent: Callable[..., Any], optimizer: Any) -> None:
    context = parent()
    context.model.path.write_bytes(context.model.path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"model\.onnx: cannot be read as an ONNX model: .*\n  "):
        optimizer(context)


@pytest.mark.parametrize("where", ["constant", "branch"])
def test_a_tensor_anywhere_in_another_file_is_refused(parent: Callable[..., Any], where: str) -> None:
    """Not only the weights of the graph itself: a constant, too, and one in the body of an If."""
    from onnx import helper

    context = parent()
    model = onnx.load(context.model.path)
    value = onnx.TensorProto(name="secret", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    value.external_data.add(key="location", value="../../../etc/hostname")
    node = helper.make_node("Constant", [], ["c"], value=value)
    if where == "branch":
        branch = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("c", 1, [1])])
        node = helper.make_node("If", ["x"], ["i"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)
    context.model.path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="the weight 'secret' is in another file, "):
        onnx_static(context)


def test_a_model_that_the_quantizer_fails_on_is_refused_with_what_to_try(parent: Callable[..., Any]) -> None:
    context = parent()
    model = onnx.load(context.model.path)
    (bias,) = (one for one in model.graph.initializer if one.name == "bias")
    bias.dims[:] = [1, *bias.dims]  # as some exporters write a Gemm's
    onnx.save(model, context.model.path)
    with pytest.raises(StageFailed, match=r"quantizer fails: ValueError: .*\n  set per_channel = false, or name oper"):
        onnx_static(context)
    assert any("Traceback" in line for line in _lines(context))
    onnx_static(context, per_channel=False)


def test_nothing_to_quantize_is_said(parent: Callable[..., Any]) -> None:
    context = parent()
    with pytest.raises(StageFailed, match=r"no operator was quantized\n  operators with weights: Conv, Gemm;"):
        onnx_static(context, skip=("Conv", "Gemm"))


def test_operators_without_a_name_are_given_one(parent: Callable[..., Any]) -> None:
    """They are left out by their names: without, one that is left out took all others along."""
    context = parent()
    model = onnx.load(context.model.path)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, context.model.path)
    onnx_dynamic(context)
    assert context.metrics["operators_int8"] >= 1
    assert any("the convolutions Conv_" in line for line in context.warnings)


@pytest.mark.parametrize("optimizer", [onnx_dynamic, onnx_static])
def test_what_an_old_file_lists_as_inputs_is_none_when_it_is_quantized(
    parent: Callable[..., Any], optimizer: Any
) -> None:
    """Old files list their weights as inputs; a shape that is folded away would be left as one that nobody gives."""
    context = parent()
    model = onnx.load(context.model.path)
    kinds, brought = onnx.TensorProto, [*model.graph.initializer]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, -1]), "flat"))
    flat = next(node for node in model.graph.node if node.op_type == "Flatten")
    reshape = onnx.helper.make_node("Reshape", [flat.input[0], "flat"], [flat.output[0]], name="Reshape")
    flat.CopyFrom(reshape)
    for one in (*brought, model.graph.initializer[-1]):
        kind = kinds.INT64 if one.name == "flat" else one.data_type
        model.graph.input.append(onnx.helper.make_tensor_value_info(one.name, kind, one.dims))
    onnx.save(model, context.model.path)
    optimizer(context)
    (taken,) = onnx.load(context.out / "model.onnx").graph.input
    assert taken.name == model.graph.input[0].name


def test_many_operators_are_told_by_a_few() -> None:
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert (some(["a"], 2), some([])) == ("a", "none")


def _lines(context: Any) -> list[str]:
    return context.log.__self__
