"""The model optimizer `torch-onnx`: a PyTorch model, quantized or not, as ONNX for a batch of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import StageFailed
from modelyard_plugins.support.onnx.axes import name_axes
from modelyard_plugins.support.onnx.model import weighted_operators
from modelyard_plugins.support.torch.program import first_line, load_program, output_names
from modelyard_plugins.support.torch.start import TORCH, start

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer, Traits

Opset = Annotated[int, Meta(ge=18, le=23, description="an ONNX opset from 18 to 23")]


def torch_onnx(context: OptimizeContext, *, opset: Opset = 20) -> None:
    """Export a PyTorch model to ONNX: one file, a batch of any size.

    Args:
        context: the parent model.
        opset: version of ONNX's set of operators.
    """
    start(context.seed)
    proto = _export(context, opset)
    _plain(proto)
    name_axes(proto, context.model.facts.inputs)
    data = proto.SerializeToString(deterministic=True)
    (context.out / format_file("onnx")).write_bytes(data)
    counts = {f"operators_{kind}": len(names) for kind, names in weighted_operators(proto).items()}
    context.metrics.update(counts, size_bytes=len(data))


def _export(context: OptimizeContext, opset: int) -> Any:
    """Return the model as ONNX's own message.

    Raises:
        StageFailed: an operator of the model has no counterpart in ONNX.
    """
    import onnx
    import torch

    if context.model.facts.format == "torch_int8":
        import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401 - its operators must be known to torch
    program = load_program(context.model.path)
    inputs, outputs = list(program.graph_signature.user_inputs), output_names(program)
    names = {
        "input_names": inputs if len(inputs) > 1 else ["input"],
        "output_names": outputs if len(outputs) > 1 else ["logits"],
    }
    try:
        exported = torch.onnx.export(program, (), dynamo=True, opset_version=opset, verbose=False, **names)
        proto = exported.model_proto
        onnx.checker.check_model(proto)
    except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError) as exc:
        context.log(str(exc))
        msg = (
            f"{context.model.path}: cannot be exported to ONNX: {first_line(exc)}\n"
            "  replace the operator that the log names, or try another opset"
        )
        raise StageFailed(msg) from exc
    return proto


def _plain(proto: Any) -> None:
    """Leave out what says nothing of the model: notes on its source, and torch's own names for sizes."""
    graph = proto.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
        del value.metadata_props[:]
    del graph.value_info[:]
    for item in (proto, graph, *graph.node, *graph.initializer, *proto.functions):
        del item.metadata_props[:]
        item.doc_string = ""


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    traits: Traits = {**TORCH, "tools": (*TORCH["tools"], "torchao", "onnx", "onnxscript")}
    register("torch-onnx", torch_onnx, accepts=("torch", "torch_int8"), produces="onnx", **traits)
