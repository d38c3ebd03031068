"""The model optimizer `torch-quantize`: a PyTorch model with weights and activations in 8 bits, by torchao's PT2E."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import StageFailed
from modelyard.params import PositiveInt
from modelyard_plugins.support.data.calibration import rows_to_measure
from modelyard_plugins.support.torch.calling import blank, call, example_shapes, tensors
from modelyard_plugins.support.torch.layers import is_layer
from modelyard_plugins.support.torch.program import export_program, load_program, save_program
from modelyard_plugins.support.torch.start import TORCH, start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer, Traits
    from modelyard.tensors import InputFacts

_BATCH = 32
"""Calibration samples that run at once."""


def torch_quantize(context: OptimizeContext, *, calibration_samples: PositiveInt = 200) -> None:
    """Quantize a PyTorch model to 8 bits (torchao, PT2E), calibrated on the training split; torch-onnx exports it.

    Convolutions and linear layers get int8 weights with a scale for each filter, and uint8 activations with one scale
    each; a batch normalization behind a convolution becomes part of it.

    Args:
        context: the parent model and the data set.
        calibration_samples: training samples that the ranges of the activations are measured on; 100 to 500 are usual.

    Raises:
        StageFailed: the model has no layer that can be quantized.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    start(context.seed)
    module = load_program(context.model.path).module(check_guards=False)
    _name_kinds(module)
    prepared = prepare_pt2e(module, _quantizer())
    rows = rows_to_measure(context, calibration_samples)
    _calibrate(prepared, context, rows)
    quantized = convert_pt2e(prepared)
    _drop_unused(quantized)
    context.metrics.update(_count(quantized, context), calibration_samples=len(rows))
    inputs = _inputs(context)
    samples = blank(inputs, example_shapes(context.dataset))
    program = export_program(quantized, samples, "quantized", context.log, inputs)
    save_program(program, context.out / format_file("torch_int8"))


def _name_kinds(module: Any) -> None:
    """Note at each operator which kind of layer it is, which is what torchao's quantizer looks for.

    A program says it no more, and its quantizer knows layers by their class: `F.conv2d` would be left in float.
    """
    from torch import nn, ops

    aten = ops.aten
    kinds = {
        aten.conv2d.default: nn.Conv2d,
        aten.linear.default: nn.Linear,
        aten.relu.default: nn.ReLU,
        aten.relu_.default: nn.ReLU,
        aten.hardtanh.default: nn.Hardtanh,
        aten.hardswish.default: nn.Hardswish,
        aten.silu.default: nn.SiLU,
        aten.max_pool2d.default: nn.MaxPool2d,
        aten.adaptive_avg_pool2d.default: nn.AdaptiveAvgPool2d,
    }
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in kinds:
            node.meta["nn_module_stack"] = {node.name: (node.name, kinds[node.target])}


def _count(quantized: Any, context: OptimizeContext) -> dict[str, int]:
    """Return how many layers have weights in 8 bits, and how many are left in float32, which is a warning.

    Raises:
        StageFailed: no layer was quantized.
    """
    layers = [node for node in quantized.graph.nodes if is_layer(node)]
    left = [node.name for node in layers if "dequantize" not in str(getattr(node.args[1], "target", ""))]
    if len(left) == len(layers):
        msg = (
            f"{context.model.path}: no layer was quantized\n"
            f"  layers: {', '.join(left) or '(none)'}; 2-d convolutions (with padding in numbers) and linear layers can be"
        )
        raise StageFailed(msg)
    if left:
        context.warn(f"left in float32: {', '.join(left)}")
    return {"layers_int8": len(layers) - len(left), "layers_float32": len(left)}


def _quantizer() -> Any:
    """Return the quantizer for CPUs: static, activations in uint8, weights in int8 with a scale for each filter."""
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    return x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())


def _calibrate(prepared: Any, context: OptimizeContext, rows: Any) -> None:
    """Run samples through `prepared`, so that its observers see the ranges of the activations."""
    import torch

    with torch.no_grad():
        for begin in range(0, len(rows), _BATCH):
            arrays = context.dataset.tensors("train", rows[begin : begin + _BATCH])
            call(prepared, tensors(_inputs(context), arrays))
            context.progress(min(begin + _BATCH, len(rows)), len(rows), unit="samples", note="calibrating")


def _inputs(context: OptimizeContext) -> Sequence[InputFacts]:
    """Return the inputs of the parent."""
    return context.model.facts.inputs


def _drop_unused(module: Any) -> None:
    """Take away the float weights that quantized ones stand for now, and what batch normalizations left behind."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [*dict(module.named_parameters()), *dict(module.named_buffers())]:
        if name not in used:
            holder, _, attribute = name.rpartition(".")
            delattr(module.get_submodule(holder), attribute)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    traits: Traits = {**TORCH, "tools": (*TORCH["tools"], "torchao")}
    register("torch-quantize", torch_quantize, accepts=("torch",), produces="torch_int8", **traits)
