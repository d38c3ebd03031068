"""The model optimizer `onnx-static`: int8 weights and activations in ONNX (QDQ), calibrated on training samples."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import ConfigError, StageFailed, did_you_mean, listing
from modelyard.params import PositiveInt
from modelyard_plugins.support.data.calibration import fed, rows_to_measure
from modelyard_plugins.support.onnx.files import graph_file, graph_to_write
from modelyard_plugins.support.onnx.model import ONNX, load_graph, prepare, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

_BINS = 2048
"""Bins of a histogram of an activation's values."""


def onnx_static(
    context: OptimizeContext,
    *,
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax",
    calibration_samples: PositiveInt = 200,
    per_channel: bool = True,
    activations: Literal["int8", "uint8"] = "int8",
    reduce_range: bool = False,
    skip: tuple[str, ...] = (),
) -> None:
    """Quantize an ONNX model to int8 with ranges measured on training samples.

    The ranges of activations become part of the model (QuantizeLinear and DequantizeLinear), which ONNX Runtime
    turns into integer kernels when it loads it.

    Args:
        context: the parent model and the data set.
        calibration: how an activation's range is chosen: the extremes, the least loss of information, or all but
            0.001 % at either end.
        calibration_samples: training samples that the ranges are measured on; 100 to 500 are usual.
        per_channel: one scale a channel of a weight instead of one for all of it.
        activations: type of the activations; int8 suits ARM, on x86 both are about as fast.
        reduce_range: 7 bits for weights, which avoids overflow on x86 processors without VNNI.
        skip: names of operators to leave in float32.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    methods = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
    rows = rows_to_measure(context, calibration_samples)
    target, external = context.out / format_file("onnx"), context.model.path.is_dir()
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(context, Path(scratch))
        model, graph = load_graph(prepared), graph_file(prepared)
        _check_skip(model, skip)
        reader, ranges = _Reader(context, model.graph.input, rows), Path(scratch) / "ranges.json"
        with _calibrating_on(context.threads):
            if calibration == "entropy":
                _measure_entropy(graph, reader, ranges, external=external)
            with _refusal_in_words(context, per_channel=per_channel):
                quantize_static(
                    graph,
                    graph_to_write(target, external=external),
                    reader,
                    quant_format=QuantFormat.QDQ,
                    per_channel=per_channel,
                    reduce_range=reduce_range,
                    activation_type=QuantType.QInt8 if activations == "int8" else QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    nodes_to_exclude=list(skip),
                    calibrate_method=CalibrationMethod[methods[calibration]],
                    calibration_cache_path=ranges,
                    use_external_data_format=external,
                )
    context.metrics["calibration_samples"] = len(rows)
    report(context, target)


@contextmanager
def _refusal_in_words(context: OptimizeContext, *, per_channel: bool) -> Iterator[None]:
    """Say what to do where ONNX Runtime's quantizer fails on a model, for instance on a bias of more than one axis.

    Raises:
        StageFailed: it failed.
    """
    try:
        yield
    except Exception as exc:  # its errors have no other class in common
        import traceback

        context.log(traceback.format_exc())
        line = " ".join(f"{type(exc).__name__}: {exc}".split())
        first = "set per_channel = false, or name" if per_channel else "name"
        msg = (
            f"{context.model.path}: ONNX Runtime's quantizer fails: {line:.300}\n"
            f"  {first} operators to leave in float32 with skip; the log has its traceback"
        )
        raise StageFailed(msg) from exc


@contextmanager
def _calibrating_on(threads: int) -> Iterator[None]:
    """Let ONNX Runtime calibrate with `threads` threads: by itself it takes as many as the machine has cores.

    How a convolution or a mean is split between threads decides in which order its numbers are added up, and so their last
    digit, and the ranges.
    """
    from onnxruntime import SessionOptions
    from onnxruntime.quantization import calibrate

    def options() -> Any:
        made = SessionOptions()
        made.intra_op_num_threads = threads
        return made

    runtime = calibrate.onnxruntime
    runtime.SessionOptions = options
    try:
        yield
    finally:
        runtime.SessionOptions = SessionOptions


def _measure_entropy(model: Path, reader: _Reader, ranges: Path, *, external: bool) -> None:
    """Measure the ranges that lose the least information and write them to `ranges`, where `quantize_static` takes them.

    Left to itself it makes a histogram of as many bins as the quantized type has steps, so that there is no range to
    choose and the result is that of `minmax`.

    Source: Migacz 2017, "8-bit Inference with TensorRT", with 2048 bins.
    """
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator, save_tensors_data

    calibrator = create_calibrator(
        model,
        augmented_model_path=str(ranges.with_name("augmented.onnx")),
        calibrate_method=CalibrationMethod.Entropy,
        use_external_data_format=external,
        extra_options={"num_bins": _BINS},
    )
    calibrator.collect_data(reader)
    save_tensors_data(calibrator.compute_data(), ranges)


class _Reader:
    """Gives ONNX Runtime the calibration samples, preprocessed, one by one or in the model's own fixed batches."""

    def __init__(self, context: OptimizeContext, tensors: Sequence[Any], rows: NDArray[np.int64]) -> None:
        from onnx import helper

        types = {one.name: helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type) for one in tensors}
        fixed = max(one.type.tensor_type.shape.dim[0].dim_value for one in tensors)
        self._batches = self._read(context, types, rows, fixed)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch by the inputs' names, or None after the last."""
        return next(self._batches, None)

    def _read(
        self, context: OptimizeContext, types: Mapping[str, Any], rows: NDArray[np.int64], fixed: int
    ) -> Iterator[dict[str, NDArray[Any]]]:
        import numpy as np

        step = fixed or 1  # all batches must have the same size, or the histograms fail
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            context.progress(start, len(rows), unit="samples", note="calibrating")
            yield fed(context, np.resize(chosen, step), types)  # the last is filled with its own


def _check_skip(model: Any, skip: tuple[str, ...]) -> None:
    known = [node.name for node in model.graph.node]
    for name in skip:
        if name not in known:
            msg = (
                f"[tool.modelyard.variants]: onnx-static: skip: there is no operator {name!r}"
                f"{did_you_mean(name, known)}\n  operators: {listing(known)}"
            )
            raise ConfigError(msg)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("onnx-static", onnx_static, accepts=("onnx",), produces="onnx", **ONNX)
