"""The model optimizer `torch-litert`: a PyTorch model as LiteRT, by Google's litert-torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.contexts import Problem
from modelyard.errors import StageFailed
from modelyard.tensors import input_dtype
from modelyard_plugins.support.torch.program import first_line, load_program
from modelyard_plugins.support.torch.start import TORCH, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer, Traits


def torch_litert(context: OptimizeContext) -> None:
    """Export a PyTorch model as LiteRT: weights stay as they are; edge-quantize may follow.

    The file takes one sample at a time, and the runtime `litert` feeds it so: litert-torch cannot convert what flattens
    a batch of any size.
    """
    _check_one_output(context)
    start(context.seed)
    data = _convert(context)
    (context.out / format_file("tflite")).write_bytes(data)
    context.metrics["size_bytes"] = len(data)


def _check_one_output(context: OptimizeContext) -> None:
    """Check that the model has one output: litert-torch numbers several, so that nothing would say which is which.

    Raises:
        StageFailed: it has several.
    """
    names = [one.name for one in context.model.facts.outputs]
    if len(names) > 1:
        msg = (
            f"{context.model.path}: litert-torch keeps no names of outputs, and the model has {len(names)}: {', '.join(names)}\n"
            "  export with torch-onnx for the runtime onnxruntime, which tells them apart by their names"
        )
        raise StageFailed(msg)


def _convert(context: OptimizeContext) -> bytes:
    """Return the model as LiteRT.

    Raises:
        StageFailed: the converter has no counterpart of an operator of the model, or samples are of several lengths.
    """
    import litert_torch
    import torch

    facts = context.dataset.facts
    if None in facts.input_shape:
        msg = (
            f"{context.model.path}: samples are of several lengths, and what litert-torch converts takes those of one\n"
            "  export with torch-onnx for the runtime onnxruntime; or pad them in the data set: Streams(..., ragged=False)"
        )
        raise StageFailed(msg)
    module = load_program(context.model.path).module(check_guards=False)
    module.training = False  # it is exported as it predicts; without the mark the converter warns of the contrary
    sample = torch.zeros(1, *facts.input_shape, dtype=getattr(torch, input_dtype(facts.dtype)))
    try:
        return bytes(litert_torch.convert(module, (sample,)).model_content())
    except Exception as exc:  # torch's, jax's and MLIR's errors have no other class in common
        context.log(f"{type(exc).__name__}: {exc}")
        msg = (
            f"{context.model.path}: cannot be converted to LiteRT: {first_line(exc)}\n"
            "  replace the operator that the log names, or export with torch-onnx for the runtime onnxruntime"
        )
        raise StageFailed(msg) from exc


def problems(context: CheckContext) -> Iterator[Problem]:
    """Yield what is known of the model's outputs before there is one."""
    if len(context.outputs) > 1:
        why = f"litert-torch keeps no names of outputs, and {len(context.outputs)} are learnt: {', '.join(context.outputs)}"
        yield Problem(
            "use", why, "export with torch-onnx for the runtime onnxruntime, which tells them apart by their names"
        )


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer; what torchao quantized is not accepted: edge-quantize is LiteRT's own way."""
    traits: Traits = {**TORCH, "tools": (*TORCH["tools"], "litert-torch", "litert-converter", "jax")}
    register("torch-litert", torch_litert, accepts=("torch",), produces="tflite", check=problems, **traits)
