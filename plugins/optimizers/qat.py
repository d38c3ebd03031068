"""The model optimizer `qat`: train with the rounding of int8 in place (tensorflow-model-optimization)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import ConfigError, StageFailed
from modelyard.params import PositiveFloat, PositiveInt
from modelyard_plugins.support.keras.fine_tuning import fine_tune
from modelyard_plugins.support.keras.heads import bound
from modelyard_plugins.support.keras.kernels import (
    check_sparse,
    check_zeros,
    leave_out,
    model_kernels,
    sparsity,
    unique_weights,
)
from modelyard_plugins.support.keras.layer_choice import check_any, check_refused, not_skipped
from modelyard_plugins.support.keras.quantized import (
    load_quantized,
    quantize,
    quantized_kernels,
    refused_layers,
    save_quantized,
)
from modelyard_plugins.support.keras_files import load_keras
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.tensorflow import QAT, TENSORFLOW, start

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer
    from modelyard_plugins.support.keras.kernels import Kernels

Preserved = Literal["sparsity", "clusters"]

_CLUSTERED = 256
"""A kernel of more different values than int8 has is not clustered."""
_CONVOLUTION = 4
"""The axes of a Conv2D's kernel."""


def qat(
    context: OptimizeContext,
    *,
    preserve: tuple[Preserved, ...] = (),
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0001,
    skip: tuple[str, ...] = (),
) -> ModelFacts | None:
    """Quantization-aware training: fine-tune with weights and activations rounded as int8 will round them.

    The model stays in float until the model optimizer `int8` converts it, with the ranges that were learned here.

    Args:
        context: the parent model and the data set.
        preserve: what earlier steps of the chain did to the weights and training must not undo: `sparsity` (PQAT),
            `clusters` (CQAT), or both (PCQAT).
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        skip: names of layers that are not trained for int8.
    """
    start(context.seed)
    parent = load_keras(context.model.path)
    names = quantizable_layers(parent, skip)
    kernels = model_kernels(parent)
    before = {name: kernel for name, kernel in kernels.items() if name.partition("/")[0] in names}
    check_preservable(before, preserve)
    model = quantize(parent, names, _scheme(preserve))
    context.log(f"training {', '.join(names)} for int8, preserving {' and '.join(preserve) or 'nothing'}")
    figures = fine_tune(context, model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    path = context.out / format_file(QAT)
    save_quantized(model, path)
    written = load_quantized(path)
    check_same_answers(model, written, context)
    after = by_the_names_of(kernels, model_kernels(written))
    check_preserved(before, after, preserve)
    context.metrics.update(quantized_kernels=quantized_kernels(written), sparsity=sparsity(after.values()), **figures)
    context.metrics["unique_weights_per_kernel"] = {name: unique_weights(kernel) for name, kernel in after.items()}
    return bound(context.model.facts, written)


def quantizable_layers(model: Any, skip: tuple[str, ...]) -> list[str]:
    """Return the names of the layers to train for int8: all but those to skip.

    Raises:
        ConfigError: `skip` names no layer, a layer cannot be quantized, or no layer with weights is left.
    """
    layers = not_skipped(model, skip, "qat")
    advice = "normalize with the data set's `normalize` instead of a layer, and right behind a linear convolution"
    check_refused(refused_layers(layers), model, skip, optimizer="qat", verb="quantized", advice=advice)
    check_any([layer.name for layer in layers if layer.weights], model, skip, optimizer="qat", verb="quantized")
    return [layer.name for layer in layers]


def _scheme(preserve: tuple[Preserved, ...]) -> Any:
    """Return the scheme of tensorflow-model-optimization that preserves what is asked for."""
    from tensorflow_model_optimization import experimental
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_scheme

    if "clusters" in preserve:
        return experimental.combine.Default8BitClusterPreserveQuantizeScheme("sparsity" in preserve)
    if "sparsity" in preserve:
        return experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    return default_8bit_quantize_scheme.Default8BitQuantizeScheme()


def check_preservable(kernels: Kernels, preserve: tuple[Preserved, ...]) -> None:
    """Check that the parent has what is to be preserved.

    Raises:
        ConfigError: it has not.
    """
    if "sparsity" in preserve:
        check_sparse(kernels, 'qat: preserve = ["sparsity"]')
    if "clusters" in preserve and not any(map(is_clustered, kernels.values())):
        msg = (
            f'qat: preserve = ["clusters"]: no kernel of the parent model has {_CLUSTERED} different weights or fewer\n'
            '  put { use = "cluster" } before it in the variant\'s chain, or leave "clusters" out'
        )
        raise ConfigError(msg)


def by_the_names_of(before: Kernels, after: Kernels) -> Kernels:
    """Return `after` with the names of `before`: a separable convolution becomes two layers with names of their own.

    Raises:
        StageFailed: it cannot be told which kernel became which.
    """
    gone, new = ([name for name in one if name not in other] for one, other in ((before, after), (after, before)))
    if [before[name].shape for name in gone] != [after[name].shape for name in new]:
        msg = (
            f"qat: cannot tell what became of the kernels {', '.join(gone)}\n  {leave_out(gone[0] if gone else new[0])}"
        )
        raise StageFailed(msg)
    names = dict(zip(new, gone, strict=True))
    return {names.get(name, name): kernel for name, kernel in after.items()}


def is_clustered(kernel: NDArray[np.generic]) -> bool:
    """Whether a kernel, or each channel of a convolution's, holds few different values."""
    most = min(_CLUSTERED + 1, kernel.size)
    return unique_weights(kernel) < most or (
        kernel.ndim == _CONVOLUTION and unique_weights(kernel, per_channel=True) < min(most, kernel[..., 0].size)
    )


def check_preserved(before: Kernels, after: Kernels, preserve: tuple[Preserved, ...]) -> None:
    """Check that zeros are where they were, and that no clustered kernel holds more different values than it did.

    Raises:
        StageFailed: training undid one of them.
    """
    if "sparsity" in preserve:
        check_zeros(before, after, "qat")
    if "clusters" in preserve:
        for name, kernel in before.items():
            if is_clustered(kernel) and not _still_clustered(kernel, after[name]):
                counts = f"{unique_weights(after[name]):,} different weights, before it {unique_weights(kernel):,}"
                msg = f"qat: after training {name!r} holds {counts}\n  {leave_out(name)}"
                raise StageFailed(msg)


def _still_clustered(before: NDArray[np.generic], after: NDArray[np.generic]) -> bool:
    """Whether `after` holds no more values than `before`: in all, or in each channel of a convolution.

    The scheme decides for each convolution which of the two it preserves.
    """
    ways = (False, True) if before.ndim == _CONVOLUTION else (False,)
    return any(unique_weights(after, per_channel=way) <= unique_weights(before, per_channel=way) for way in ways)


def check_same_answers(trained: Any, written: Any, context: OptimizeContext) -> None:
    """Check that the model that was written, and read back, answers as the one that was trained.

    Raises:
        StageFailed: it does not.
    """
    import numpy as np

    from modelyard_plugins.support.keras.inputs import given

    inputs = given(context.model.facts.inputs, context.dataset.tensors("train", slice(0, 32)))
    before, after = (_flat(model.predict(inputs, verbose=0)) for model in (trained, written))
    difference = float(np.abs(before - after).max())
    if difference > 1e-4 * max(1.0, float(np.abs(before).max())):
        msg = (
            f"qat: the model that was written differs from the one that was trained, by {difference:.3g} in an answer\n"
            "  this is a defect of tensorflow-model-optimization with a layer of this model; find it with skip"
        )
        raise StageFailed(msg)


def _flat(answers: Any) -> NDArray[Any]:
    """Return every number that a model answers, of all its outputs."""
    import numpy as np
    import tensorflow as tf

    return np.concatenate([np.ravel(one) for one in tf.nest.flatten(answers)])


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "qat",
        qat,
        accepts=("tf_keras",),
        produces=QAT,
        trains_like="fine-tune",
        losses=LOSSES,
        trains_several=True,
        **TENSORFLOW,
    )
