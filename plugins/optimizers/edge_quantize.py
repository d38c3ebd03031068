"""The model optimizer `edge-quantize`: quantize a float32 LiteRT model with Google's ai-edge-quantizer, without TensorFlow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.contexts import Problem
from modelyard.errors import ConfigError, StageFailed
from modelyard.params import PositiveInt
from modelyard_plugins.support.data.calibration import fed, rows_to_measure
from modelyard_plugins.support.litert.model import open_float, open_interpreter, operator_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

Recipe = Literal[
    "dynamic_wi8_afp32",
    "dynamic_wi4_afp32",
    "weight_only_wi8_afp32",
    "weight_only_wi4_afp32",
    "static_wi8_ai8",
    "static_wi8_ai16",
]


def edge_quantize(
    context: OptimizeContext,
    *,
    recipe: Recipe = "dynamic_wi8_afp32",
    calibration_samples: PositiveInt = 200,
    skip: tuple[str, ...] = (),
) -> None:
    """Quantize a LiteRT model of float32, or with weights kept in float16, by one of ai-edge-quantizer's recipes.

    Args:
        context: the parent model and the data set.
        recipe: `wi8` or `wi4`: weights in 8 or 4 bits. `dynamic` quantizes activations while the model runs,
            `weight_only` computes in float32; `static` quantizes activations to `ai8` or `ai16` bits by ranges
            measured on training samples, and the model's own input and output, too.
        calibration_samples: training samples that a static recipe measures ranges on; 100 to 500 are usual.
        skip: regular expressions; operators with a matching name, of an output or a weight, stay in float32.
    """
    from ai_edge_quantizer import recipe as recipes
    from ai_edge_quantizer.quantizer import Quantizer

    place = context.out / format_file("tflite")
    path = _in_float32(context.model.path, place)
    parent = open_float(path)
    quantizer = Quantizer(str(path))
    quantizer.load_quantization_recipe(getattr(recipes, recipe)())
    _leave_out(quantizer, path, skip)
    ranges = None
    if quantizer.need_calibration:
        rows = rows_to_measure(context, calibration_samples)
        ranges = _calibrated(quantizer, _samples(context, parent, rows), context)
        context.metrics["calibration_samples"] = len(rows)
    data = _quantize(quantizer, ranges, context, path.stat().st_size)
    place.write_bytes(data)
    context.metrics["size_bytes"] = len(data)
    if recipe == "static_wi8_ai16":
        context.warn("LiteRT runs int16 activations on reference kernels on x86, which are many times slower")


def _in_float32(path: Path, place: Path) -> Path:
    """Return a model without float16: that in `path`, or one in `place` that answers the same."""
    from modelyard_plugins.support.litert.widen import widened

    open_interpreter(path)  # says what is wrong with a file that is no model, before its tables are followed
    data = widened(path)
    if data is None:
        return path
    place.write_bytes(data)
    return place


def _leave_out(quantizer: Any, path: Path, skip: tuple[str, ...]) -> None:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    operators = operator_names(path)
    for pattern in skip:
        for scope in _matching(pattern, operators):
            quantizer.update_quantization_recipe(
                f"^{re.escape(scope)}$", TFLOperationName.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
            )


def check(_context: CheckContext, *, skip: tuple[str, ...], **_: Any) -> Iterator[Problem]:
    """Yield what is no regular expression."""
    for pattern in skip:
        try:
            re.compile(pattern)
        except re.error as exc:
            why = f"{pattern!r} is no regular expression: {exc}"
            yield Problem("skip", why, "escape what is meant literally with a backslash")


def _matching(pattern: str, operators: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the scopes of the operators of which a name matches.

    Raises:
        ConfigError: there are none.
    """
    scopes = [scope for scope, names in operators.items() if any(re.search(pattern, name) for name in names)]
    if not scopes:
        names = sorted({name for names in operators.values() for name in names})
        msg = f"[tool.modelyard.variants]: edge-quantize: skip: {pattern!r} matches no operator\n  names: {', '.join(names)}"
        raise ConfigError(msg)
    return scopes


def _samples(context: OptimizeContext, parent: Any, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return what ai-edge-quantizer calibrates on: samples, one by one, by the signature and its inputs."""
    signatures = parent.get_signature_list()
    if not signatures:
        msg = (
            f"{context.model.path}: the model has no signature, which calibration needs\n"
            "  use a dynamic or weight_only recipe, or convert it with float32 or keras-litert"
        )
        raise StageFailed(msg)
    key = next(iter(signatures))
    types = {name: one["dtype"] for name, one in parent.get_signature_runner(key).get_input_details().items()}

    def samples() -> Iterator[dict[str, NDArray[Any]]]:
        for number, row in enumerate(rows):
            context.progress(number, len(rows), unit="samples", note="calibrating")
            yield fed(context, slice(row, row + 1), types)

    return {key: list(samples())}


def _calibrated(quantizer: Any, samples: Mapping[str, Any], context: OptimizeContext) -> Any:
    """Return the ranges of activations.

    Raises:
        StageFailed: the model cannot be run as it is calibrated: axes that vary are 1 long at first.
    """
    try:
        return quantizer.calibrate(samples, num_threads=1)
    except RuntimeError as exc:
        if not any(one.pad is not None for one in context.dataset.facts.inputs):
            raise
        msg = (
            f"{context.model.path}: ai-edge-quantizer begins with a sample that is 1 long, which the model cannot take: {' '.join(str(exc).split())}\n"
            "  use a dynamic or weight_only recipe, or int8 instead; or let the network pad what is shorter"
        )
        raise StageFailed(msg) from exc


def _quantize(quantizer: Any, ranges: Any, context: OptimizeContext, before: int) -> bytes:
    try:
        data = bytes(quantizer.quantize(ranges).quantized_model)
    except (ValueError, RuntimeError, NotImplementedError) as exc:
        msg = (
            f"{context.model.path}: ai-edge-quantizer refuses it: {' '.join(str(exc).split())}\n"
            "  leave the operator that it names in float32 with skip, or use another recipe"
        )
        raise StageFailed(msg) from exc
    if len(data) > 0.95 * before:
        msg = (
            f"{context.model.path}: the recipe quantized next to nothing: {len(data):,} of {before:,} bytes are left\n"
            "  use another recipe, or skip less"
        )
        raise StageFailed(msg)
    return data


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "edge-quantize",
        edge_quantize,
        accepts=("tflite",),
        produces="tflite",
        check=check,
        tools=("ai-edge-quantizer", "ai-edge-litert", "numpy"),
        preload=("ai_edge_quantizer.quantizer", "ai_edge_quantizer.recipe"),
        deterministic=True,  # it computes on the CPU
    )
