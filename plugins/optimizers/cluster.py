"""The model optimizer `cluster`: few different weights a layer (tensorflow-model-optimization)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.contexts import Problem
from modelyard.errors import StageFailed
from modelyard.params import PositiveFloat, PositiveInt
from modelyard_plugins.support.keras.fine_tuning import fine_tune
from modelyard_plugins.support.keras.kernels import check_sparse, check_zeros, leave_out, sparsity, unique_weights
from modelyard_plugins.support.keras.layer_choice import check_any, check_refused, not_skipped
from modelyard_plugins.support.keras_files import load_keras, save_keras
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.contexts import CheckContext, OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer
    from modelyard_plugins.support.keras.kernels import Kernels

Clusters = Annotated[int, Meta(ge=2, description="a whole number from 2")]
Initialization = Literal["linear", "kmeans++", "density", "random"]

_INITIALIZATIONS = {
    "linear": "LINEAR",
    "kmeans++": "KMEANS_PLUS_PLUS",
    "density": "DENSITY_BASED",
    "random": "RANDOM",
}


def cluster(
    context: OptimizeContext,
    *,
    clusters: Clusters = 16,
    initialization: Initialization = "linear",
    per_channel: bool = False,
    preserve_sparsity: bool = False,
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0005,
    skip: tuple[str, ...] = (),
) -> None:
    """Share weights and fine-tune: each layer's kernel holds this many different values at most.

    The file keeps its size; compression (an image's layers, gzip) is where clustering shows.

    Args:
        context: the parent model and the data set.
        clusters: how many different values a kernel may hold.
        initialization: where the values start: evenly between the smallest and the largest weight (`linear`), by
            k-means++, by the weights' density, or at random.
        per_channel: `clusters` values for each output channel of a Conv2D instead of for the whole kernel.
        preserve_sparsity: weights that `prune` set to zero stay zero; zero is one of the values.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        skip: names of layers to leave as they are.
    """
    import tensorflow_model_optimization as tfmot

    start(context.seed)
    parent = load_keras(context.model.path)
    places = clusterable_weights(parent, skip)
    before = _kernels(parent, places)
    if preserve_sparsity:
        check_sparse(before, "cluster: preserve_sparsity")
    model = _wrap(parent, places, _options(clusters, initialization, per_channel, preserve_sparsity))
    context.log(f"clustering {', '.join(places)}: {clusters} values each")
    figures = fine_tune(context, model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    stripped = tfmot.clustering.keras.strip_clustering(model)
    after = _kernels(stripped, places)
    channelwise = _convolutions(stripped) if per_channel else set()
    check_clusters(after, clusters, channelwise)
    if preserve_sparsity:
        check_zeros(before, after, "cluster")
    save_keras(stripped, context.out / format_file("tf_keras"))
    counts = {name: unique_weights(kernel) for name, kernel in after.items()}
    context.metrics.update(unique_weights=max(counts.values()), sparsity=sparsity(after.values()), **figures)
    context.metrics["unique_weights_per_kernel"] = counts


def check(_context: CheckContext, *, preserve_sparsity: bool, clusters: int, **_: Any) -> Iterator[Problem]:
    """Yield that there is no room for a value beside zero and one more."""
    if preserve_sparsity and clusters == 2:
        yield Problem("clusters", "preserve_sparsity takes one of the values, which is zero", "allowed: 3 or more")


def clusterable_weights(model: Any, skip: tuple[str, ...]) -> dict[str, list[int]]:
    """Return for each layer to cluster where among its weights those are that clustering acts on.

    Raises:
        ConfigError: `skip` names no layer, a layer with weights cannot be clustered, or no layer is left.
    """
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import ClusteringRegistry

    wanted = [layer for layer in not_skipped(model, skip, "cluster") if layer.trainable_weights]
    refused = {
        layer.name: type(layer).__name__
        for layer in wanted
        if not hasattr(layer, "get_clusterable_weights") and not ClusteringRegistry.supports(layer)
    }
    advice = "give them a get_clusterable_weights method"
    check_refused(refused, model, skip, optimizer="cluster", verb="clustered", advice=advice)
    places = {}
    for layer in wanted:
        if not hasattr(layer, "get_clusterable_weights"):
            ClusteringRegistry.make_clusterable(layer)
        chosen = [weight for _, weight in layer.get_clusterable_weights()]
        found = [place for place, weight in enumerate(layer.weights) if any(weight is one for one in chosen)]
        if found:
            places[layer.name] = found
    check_any(list(places), model, skip, optimizer="cluster", verb="clustered")
    return places


def _kernels(model: Any, places: Mapping[str, list[int]]) -> Kernels:
    """Return the weights to cluster by layer; by layer and number where a layer has several."""
    found: Kernels = {}
    for name, numbers in places.items():
        weights = model.get_layer(name).get_weights()
        found |= {name if len(numbers) == 1 else f"{name}/{number}": weights[number] for number in numbers}
    return found


def _options(clusters: int, initialization: Initialization, per_channel: bool, preserve: bool) -> dict[str, Any]:
    """Return the arguments of tensorflow-model-optimization's function."""
    import tensorflow_model_optimization as tfmot

    kinds = tfmot.clustering.keras.CentroidInitialization
    return {
        "number_of_clusters": clusters,
        "cluster_centroids_init": getattr(kinds, _INITIALIZATIONS[initialization]),
        "cluster_per_channel": per_channel,
        "preserve_sparsity": preserve,
    }


def _wrap(parent: Any, places: Mapping[str, list[int]], options: Mapping[str, Any]) -> Any:
    """Return `parent` with the layers of `places` wrapped for clustering; they share their weights with it."""
    import tf_keras

    def wrap(layer: Any) -> Any:
        return _wrapped(layer, options) if layer.name in places else layer

    return tf_keras.models.clone_model(parent, clone_function=wrap)


def _wrapped(layer: Any, options: Mapping[str, Any]) -> Any:
    """Return `layer` wrapped, or as it is if it is a convolution that holds no more weights than there are clusters.

    Raises:
        StageFailed: the tool drops the layer.

    Source: tensorflow-model-optimization 0.8.1, `layer_has_enough_weights_to_cluster`, which takes a convolution's last
        weight for its bias, so that it leaves one without a bias as it is where each channel has clusters of its own.
    """
    import tf_keras
    from tensorflow_model_optimization.python.core.clustering.keras.cluster_wrapper import ClusterWeights
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    if isinstance(layer, tf_keras.layers.Conv2D):
        *rest, channels = layer.kernel.shape
        shared = math.prod(rest) * (1 if options["cluster_per_channel"] else channels)
        return ClusterWeights(layer, **options) if shared > options["number_of_clusters"] else layer
    wrapped = cluster_weights(layer, **options)
    if wrapped is None:  # what it gives for anything that is no layer of the Keras 2 API
        msg = (
            f"cluster: tensorflow-model-optimization does not take the layer {layer.name!r} ({type(layer)})\n"
            f'  leave it as it is with skip = ["{layer.name}"]'
        )
        raise StageFailed(msg)
    return wrapped


def _convolutions(model: Any) -> set[str]:
    """Return the names of the layers that `per_channel` acts on."""
    import tf_keras

    return {layer.name for layer in model.layers if isinstance(layer, tf_keras.layers.Conv2D)}


def check_clusters(kernels: Kernels, clusters: int, channelwise: set[str]) -> None:
    """Check that no kernel, or no channel of those in `channelwise`, holds more than `clusters` different values.

    Raises:
        StageFailed: one does.
    """
    for name, kernel in kernels.items():
        found = unique_weights(kernel, per_channel=name in channelwise)
        if found > clusters:
            msg = f"cluster: {name!r} holds {found:,} different weights, not {clusters} at most\n  {leave_out(name)}"
            raise StageFailed(msg)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "cluster",
        cluster,
        accepts=("tf_keras",),
        produces="tf_keras",
        trains_like="fine-tune",
        losses=LOSSES,
        trains_several=True,
        check=check,
        **TENSORFLOW,
    )
