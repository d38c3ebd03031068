"""What metrics and gates are given, and what a runtime opens for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from modelyard.contexts.stages import StageContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset, Model
    from modelyard.component import Use
    from modelyard.metrics import Metric


class Predictor(Protocol):
    """A model that is loaded and ready: what a runtime's `open` returns. Of several inputs or outputs it is a `NamedPredictor`."""

    def predict(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what clients get, shape `(N, *output.shape)`, for raw samples of shape `(N, *input_shape)`.

        Of a classification these are class probabilities, float32, shape `(N, classes)`.
        """
        ...


class NamedPredictor(Predictor, Protocol):
    """A model of several inputs or outputs, which have names; one of a single input and output may be it, too."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return every output by name, each of shape `(N, *shape)`, for raw samples by input, each of shape `(N, *shape)`."""
        ...


class MetricContext(StageContext, frozen=True, kw_only=True):
    """For metrics: a variant as it ships, and what it answers to the test split.

    Attributes:
        model: the model.
        dataset: the data set; `dataset.y("test")` are the labels, of a classification int64, shape `(samples,)`.
        answers: what the variant answers, shape `(samples, ...)`; of a classification the class probabilities, float32,
            shape `(samples, classes)`.
        open_model: opens the model anew with the runtime that serves it.
        runtime: that runtime with its parameters; a metric with the trait `starts_server` may start its server:
            `modelyard.launch.local_server.serving(context.runtime, context.model)`.
        side_by_side: how many models that predict at once keep every processor busy.
    """

    model: Model
    dataset: Dataset
    answers: NDArray[Any]
    open_model: Callable[[], Predictor]
    runtime: Use
    side_by_side: int = 1


class GateContext(msgspec.Struct, frozen=True, kw_only=True):
    """For gates: what was measured of a variant, and of the baseline.

    Attributes:
        variant: the variant's name.
        metrics: its metrics by name: `metrics["accuracy"].value`.
        baseline: those of the baseline.
        details: what the task says beside; of a classification `class_names`, in the order of the labels, and `confusion`:
            `confusion[i][j]` test samples of class `i` were labelled `j`.
        answers: what the variant answers to the test samples, shape `(samples, ...)`, memory-mapped; of a classification
            the class probabilities, float32, shape `(samples, classes)`.
        baseline_answers: those of the baseline.
    """

    variant: str
    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Metric]
    details: Mapping[str, Any]
    answers: NDArray[Any]
    baseline_answers: NDArray[Any]
