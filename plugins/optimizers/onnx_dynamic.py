"""The model optimizer `onnx-dynamic`: int8 weights in ONNX, activations quantized while the model runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.onnx.apart import Weight, put_back, put_stand_ins, take_apart
from modelyard_plugins.support.onnx.files import graph_file, graph_to_write
from modelyard_plugins.support.onnx.model import ONNX, load_graph, load_onnx, prepare, report, some

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

_CONVOLUTIONS = ("Conv", "ConvTranspose")


def onnx_dynamic(context: OptimizeContext, *, per_channel: bool = True, convolutions: bool = False) -> None:
    """Quantize an ONNX model's weights to int8 without calibration: for dense layers, not for convolutions.

    Args:
        context: the parent model.
        per_channel: one scale a channel of a weight instead of one for all of it.
        convolutions: quantize convolutions, too. The file becomes smaller, but ONNX Runtime's kernel for them
            (ConvInteger) is slow: a small CNN took 6 times as long on x86. `onnx-static` has no such cost.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target, external = context.out / format_file("onnx"), context.model.path.is_dir()
    with tempfile.TemporaryDirectory() as scratch:
        prepared, weights = _prepared(context, Path(scratch))
        found = [node.name for node in load_graph(prepared).graph.node if node.op_type in _CONVOLUTIONS]
        if found:
            context.warn(_warning(found, convolutions))
        quantize_dynamic(
            graph_file(prepared),
            graph_to_write(target, external=external),
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[] if convolutions else found,
            use_external_data_format=external,
            # of a product with a stand-in, whose rows are too few, no type can be inferred
            extra_options={"DefaultTensorType": TensorProto.FLOAT} if weights else {},
        )
    if weights:
        put_back(target, weights)
    report(context, target, "set convolutions = true" if found and not convolutions else "use onnx-static")


def _prepared(context: OptimizeContext, scratch: Path) -> tuple[Path, list[Weight]]:
    """Return the folder of the model that is to be quantized, and the large weights that are quantized apart from it."""
    weights: list[Weight] = []
    prepared = prepare(context, scratch, lambda model: weights.extend(take_apart(model, context.model.path)))
    if not weights:
        return prepared, []
    model = load_onnx(prepared)
    if not put_stand_ins(model, weights):
        (scratch / "whole").mkdir()
        return prepare(context, scratch / "whole"), []
    graph_file(prepared).write_bytes(model.SerializeToString())
    return prepared, weights


def _warning(names: list[str], are_quantized: bool) -> str:
    what = f"the convolutions {some(names)}"
    if are_quantized:
        return f"{what} now run as ConvInteger, which is slow on x86; compare p50_ms, or use onnx-static"
    return f"{what} stay in float32; use onnx-static to quantize them"


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("onnx-dynamic", onnx_dynamic, accepts=("onnx",), produces="onnx", **ONNX)
