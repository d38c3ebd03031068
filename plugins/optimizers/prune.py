"""The model optimizer `prune`: set the smallest weights to zero while fine-tuning (tensorflow-model-optimization)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.errors import ConfigError, StageFailed
from modelyard.params import OpenFraction, PositiveFloat, PositiveInt
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

Pattern = Literal["unstructured", "2:4"]

_UPDATES = 20
"""How often the mask is chosen anew while the sparsity grows."""
_2_BY_4 = (2, 4)
_RANKS_2_BY_4 = (2, 4)
"""The axes of the kernels that the pattern is defined for: dense and 2-D convolutions."""


def prune(
    context: OptimizeContext,
    *,
    sparsity: OpenFraction = 0.5,
    pattern: Pattern = "unstructured",
    schedule: Literal["polynomial", "constant"] = "polynomial",
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0005,
    skip: tuple[str, ...] = (),
) -> None:
    """Prune by magnitude and fine-tune: this fraction of each layer's weights becomes zero.

    The file keeps its size; compression (an image's layers, gzip) is where pruning shows.

    Args:
        context: the parent model and the data set.
        sparsity: fraction of each pruned layer's weights that end as zero.
        pattern: where the zeros may be: anywhere, or `2:4`, two in every four that follow each other along the input
            channels, which some hardware computes faster; it goes with a sparsity of 0.5 and the schedule `constant`.
        schedule: `polynomial` grows the sparsity over the first three quarters of the steps, `constant` has it at once.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        skip: names of layers to leave as they are.
    """
    import tensorflow_model_optimization as tfmot

    from modelyard.artifacts import format_file
    from modelyard_plugins.support.keras import fine_tuning
    from modelyard_plugins.support.keras_files import load_keras, save_keras

    start(context.seed)
    check_pattern(pattern, sparsity)
    parent = load_keras(context.model.path)
    names = prunable_layers(parent, skip, pattern)
    steps = fine_tuning.steps(context, epochs, batch_size)
    model = _wrap(parent, names, _schedule("constant" if pattern == "2:4" else schedule, sparsity, steps), pattern)
    context.log(f"pruning {', '.join(names)} to {sparsity:.0%}, {steps:,} steps")
    figures = fine_tuning.fine_tune(
        context,
        model,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
    )
    stripped = tfmot.sparsity.keras.strip_pruning(model)
    check_2_by_4(stripped, names) if pattern == "2:4" else check_sparsity(stripped, names, sparsity)
    save_keras(stripped, context.out / format_file("tf_keras"))
    context.metrics.update(reached(stripped, names), **figures)


def check_pattern(pattern: Pattern, sparsity: float) -> None:
    """Check that the sparsity goes with the pattern.

    Raises:
        ConfigError: it does not.
    """
    if pattern == "2:4" and sparsity != 0.5:
        msg = f'prune: pattern = "2:4" has a sparsity of 0.5, not {sparsity}\n  leave sparsity out, or the pattern'
        raise ConfigError(msg)


def prunable_layers(model: Any, skip: tuple[str, ...], pattern: Pattern = "unstructured") -> list[str]:
    """Return the names of the layers to prune: those with a kernel, without those to skip.

    Raises:
        ConfigError: `skip` names no layer, a layer with weights cannot be pruned, or no layer is left.
    """
    from modelyard_plugins.support.keras.layer_choice import check_any, check_refused, not_skipped

    wanted = [layer for layer in not_skipped(model, skip, "prune") if layer.weights]
    refused = {layer.name: why for layer in wanted if (why := _refusal(layer, pattern))}
    advice = "give them a get_prunable_weights method" if pattern == "unstructured" else "leave the pattern out"
    check_refused(refused, model, skip, optimizer="prune", verb="pruned", advice=advice)
    names = [layer.name for layer in wanted if _kernels(layer)]
    check_any(names, model, skip, optimizer="prune", verb="pruned")
    return names


def _refusal(layer: Any, pattern: Pattern) -> str:
    """Return why a layer cannot be pruned, or an empty string."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    if not hasattr(layer, "get_prunable_weights") and not PruneRegistry.supports(layer):
        return type(layer).__name__
    ranks = {len(kernel.shape) for kernel in _kernels(layer)}
    if pattern == "2:4" and not ranks <= set(_RANKS_2_BY_4):
        return f"{type(layer).__name__}, whose kernel has {max(ranks)} axes: 2:4 is for kernels of 2 or 4"
    return ""


def _kernels(layer: Any) -> list[Any]:
    """Return the weights of a supported layer that pruning acts on."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    if not hasattr(layer, "get_prunable_weights"):
        PruneRegistry.make_prunable(layer)
    return list(layer.get_prunable_weights())


def _wrap(parent: Any, names: list[str], schedule: Any, pattern: Pattern) -> Any:
    """Return `parent` with the layers `names` wrapped for pruning; they share their weights with it."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    options = {"pruning_schedule": schedule} | ({"sparsity_m_by_n": _2_BY_4} if pattern == "2:4" else {})

    def wrap(layer: Any) -> Any:
        return tfmot.sparsity.keras.prune_low_magnitude(layer, **options) if layer.name in names else layer

    return tf_keras.models.clone_model(parent, clone_function=wrap)


def _schedule(kind: str, sparsity: float, steps: int) -> Any:
    """Return the schedule for `steps` steps; the last update of the mask falls on a step that is reached."""
    from tensorflow_model_optimization.sparsity import keras as sparse

    if kind == "constant":
        return sparse.ConstantSparsity(sparsity, begin_step=1, frequency=max(1, steps // _UPDATES))
    ramp = max(1, steps * 3 // 4)
    frequency = max(1, ramp // _UPDATES)
    end = ramp // frequency * frequency
    return sparse.PolynomialDecay(0.0, sparsity, begin_step=0, end_step=end, frequency=frequency)


def check_sparsity(model: Any, names: list[str], wanted: float) -> None:
    """Check that every pruned layer has the zeros that were asked for.

    Raises:
        StageFailed: a layer has fewer.
    """
    from modelyard_plugins.support.keras.kernels import sparsity

    for name, kernels in _arrays(model, names).items():
        found = sparsity(kernels)
        # the fraction is rounded to whole weights, in each kernel
        if found < wanted - len(kernels) / sum(kernel.size for kernel in kernels):
            msg = (
                f"prune: the layer {name!r} reached a sparsity of {found:.3f}, not {wanted}\n"
                "  give it more steps: raise epochs, or lower batch_size"
            )
            raise StageFailed(msg)


def check_2_by_4(model: Any, names: list[str]) -> None:
    """Check that of every four weights along the input channels two are zero; of a last group of fewer, all but two.

    Raises:
        StageFailed: a group has fewer.
    """
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_utils import is_pruned_m_by_n

    from modelyard_plugins.support.keras.kernels import leave_out

    for name in names:
        if not all(is_pruned_m_by_n(kernel, _2_BY_4) for kernel in _kernels(model.get_layer(name))):
            msg = f"prune: the layer {name!r} does not keep the pattern 2:4\n  {leave_out(name)}"
            raise StageFailed(msg)


def reached(model: Any, names: list[str]) -> dict[str, Any]:
    """Return the sparsity over all pruned layers and for each of them."""
    from modelyard_plugins.support.keras.kernels import sparsity

    arrays = _arrays(model, names)
    each = {name: sparsity(kernels) for name, kernels in arrays.items()}
    return {"sparsity": sparsity([k for kernels in arrays.values() for k in kernels]), "sparsity_per_layer": each}


def _arrays(model: Any, names: list[str]) -> Mapping[str, list[NDArray[np.float32]]]:
    return {name: [kernel.numpy() for kernel in _kernels(model.get_layer(name))] for name in names}


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "prune",
        prune,
        accepts=("tf_keras",),
        produces="tf_keras",
        trains_like="fine-tune",
        losses=LOSSES,
        trains_several=True,
        **TENSORFLOW,
    )
