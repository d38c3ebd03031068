"""Models on small machines: a unit for systemd and Podman, and weights that compress well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from modelyard import hookimpl
from modelyard.targets import template_target
from modelyard_plugins.support.keras_files import load_keras, save_keras
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import MetricContext, OptimizeContext
    from modelyard.hookspecs import RegisterMetric, RegisterOptimizer, RegisterTarget

Levels = Annotated[int, Meta(ge=2, le=65536, description="a whole number from 2 to 65536")]
Bins = Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100")]


def round_weights(context: OptimizeContext, *, levels: Levels = 32) -> None:
    """Round the weights of each layer to a few evenly spaced values: the same size, but it compresses better.

    Args:
        context: the parent model.
        levels: how many values between a layer's smallest and largest weight.
    """
    model = load_keras(context.model.path)
    for kernel in (weight for weight in model.trainable_weights if weight.shape.rank > 1):
        values = kernel.numpy()
        step = (values.max() - values.min()) / (levels - 1) or 1.0
        kernel.assign((values / step).round() * step)
    save_keras(model, context.out / "model.keras")


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("round-weights", round_weights, accepts=("tf_keras",), produces="tf_keras", **TENSORFLOW)


def calibration(context: MetricContext, *, bins: Bins = 10) -> float:
    """Measure how far the answers' confidence lies from how often they are right: the expected calibration error.

    Args:
        context: the answers to the test split.
        bins: how many ranges of confidence are looked at.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    import numpy as np

    confidence = context.answers.max(axis=1).astype("float64")
    right = context.answers.argmax(axis=1) == context.dataset.y("test")
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, confidence - right, bins)
    return float(abs(gaps).sum() / len(right))


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric."""
    register("calibration", calibration, better="lower", unit="fraction")


@hookimpl
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register the target."""
    template_target(
        register,
        "quadlet",
        templates=("quadlet/model.container.j2",),
        parameters={"host_port": 8443, "memory_mb": 256},
        doc=QUADLET,
    )


QUADLET = """A Podman container as a systemd service: a Quadlet unit, hardened like the Kubernetes objects.

Args:
    host_port: the port of the machine, on its loopback interface.
    memory_mb: the memory that the container may use, in MB.
"""
