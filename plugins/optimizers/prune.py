"""The model optimizer `prune`: set the smallest weights to zero while fine-tuning (tensorflow-model-optimization)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import ConfigError, StageFailed, did_you_mean
from modelyard.jsonfiles import write_json
from modelyard.params import OpenFraction, PositiveFloat, PositiveInt
from modelyard_plugins.support.feed import batches
from modelyard_plugins.support.fitting import compile_classifier, fit
from modelyard_plugins.support.keras_files import load_keras, save_keras
from modelyard_plugins.support.tensorflow import TENSORFLOW, start
from modelyard_plugins.support.training import last_figures

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

_UPDATES = 20
"""How often the mask is chosen anew while the sparsity grows."""


def prune(
    context: OptimizeContext,
    *,
    sparsity: OpenFraction = 0.5,
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
        schedule: `polynomial` grows the sparsity over the first three quarters of the steps, `constant` has it at once.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        skip: names of layers to leave as they are.
    """
    import numpy as np
    import tensorflow_model_optimization as tfmot
    import tf_keras

    start(context.seed)
    parent = load_keras(context.model.path)
    names = prunable_layers(parent, skip)
    samples = context.dataset.facts.splits["train"].samples
    steps = epochs * math.ceil(samples / batch_size)
    model = _wrap(parent, names, _schedule(schedule, sparsity, steps))
    compile_classifier(model, tf_keras.optimizers.Adam(learning_rate))
    context.log(f"pruning {', '.join(names)} to {sparsity:.0%}, {steps:,} steps")
    feed = batches(context.dataset, np.arange(samples), batch_size, seed=context.seed)
    callbacks = [tfmot.sparsity.keras.UpdatePruningStep()]
    history = fit(model, feed, epochs=epochs, context=context, callbacks=callbacks)
    stripped = tfmot.sparsity.keras.strip_pruning(model)
    context.metrics.update(last_figures(history), **check_sparsity(stripped, names, sparsity))
    save_keras(stripped, context.out / format_file("tf_keras"))
    write_json(context.out / "history.json", history)


def prunable_layers(model: Any, skip: tuple[str, ...]) -> list[str]:
    """Return the names of the layers to prune: those with a kernel, without those to skip.

    Raises:
        ConfigError: `skip` names no layer, a layer with weights cannot be pruned, or no layer is left.
    """
    known = [layer.name for layer in model.layers]
    for name in skip:
        if name not in known:
            msg = (
                f"[tool.modelyard.variants]: prune: skip: there is no layer {name!r}{did_you_mean(name, known)}\n"
                f"  layers: {', '.join(known)}"
            )
            raise ConfigError(msg)
    wanted = [layer for layer in model.layers if layer.weights and layer.name not in skip]
    refused = [layer for layer in wanted if not _supports(layer)]
    if refused:
        what = ", ".join(f"{layer.name!r} ({type(layer).__name__})" for layer in refused)
        listed = ", ".join(f'"{layer.name}"' for layer in (*(m for m in model.layers if m.name in skip), *refused))
        msg = (
            f"prune: these layers cannot be pruned: {what}\n"
            f"  leave them as they are with skip = [{listed}], or give them a get_prunable_weights method"
        )
        raise ConfigError(msg)
    names = [layer.name for layer in wanted if _kernels(layer)]
    if not names:
        msg = (
            f"prune: no layer of {model.name!r} has weights to prune\n"
            f"  layers: {', '.join(known)}; skipped: {', '.join(skip) or '(none)'}"
        )
        raise ConfigError(msg)
    return names


def _supports(layer: Any) -> bool:
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    return hasattr(layer, "get_prunable_weights") or PruneRegistry.supports(layer)


def _kernels(layer: Any) -> list[Any]:
    """Return the weights of a supported layer that pruning acts on."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    if not hasattr(layer, "get_prunable_weights"):
        PruneRegistry.make_prunable(layer)
    return list(layer.get_prunable_weights())


def _wrap(parent: Any, names: list[str], schedule: Any) -> Any:
    """Return `parent` with the layers `names` wrapped for pruning; they share their weights with it."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    def wrap(layer: Any) -> Any:
        if layer.name not in names:
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

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


def check_sparsity(model: Any, names: list[str], wanted: float) -> dict[str, Any]:
    """Return the sparsity reached, over all pruned layers and for each of them.

    Raises:
        StageFailed: a layer has fewer zeros than asked for.
    """
    zeros, sizes = {}, {}
    for name in names:
        kernels = [kernel.numpy() for kernel in _kernels(model.get_layer(name))]
        sizes[name] = sum(kernel.size for kernel in kernels)
        zeros[name] = sum(int((kernel == 0).sum()) for kernel in kernels)
        # the fraction is rounded to whole weights, in each kernel
        if zeros[name] < wanted * sizes[name] - len(kernels):
            reached = zeros[name] / sizes[name]
            msg = (
                f"prune: the layer {name!r} reached a sparsity of {reached:.3f}, not {wanted}\n"
                "  give it more steps: raise epochs, or lower batch_size"
            )
            raise StageFailed(msg)
    each = {name: zeros[name] / sizes[name] for name in names}
    return {"sparsity": sum(zeros.values()) / sum(sizes.values()), "sparsity_per_layer": each}


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("prune", prune, accepts=("tf_keras",), produces="tf_keras", **TENSORFLOW)
