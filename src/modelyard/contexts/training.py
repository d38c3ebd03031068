"""What trainers and model optimizers are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.contexts.stages import StageContext

if TYPE_CHECKING:
    from modelyard.artifacts import Dataset, Model, ModelFacts, SampleShape


class TrainContext(StageContext, frozen=True, kw_only=True):
    """For trainers: the data, and the model to train.

    Attributes:
        dataset: the data set.
        build_model: call it to get a new, untrained model: `build_model(input_shape, classes)` with its parameters filled in;
            `input_shape` is `dataset.facts.sample_shape`, a dict of shapes by name where samples have several inputs, and
            `classes` is how many numbers it answers, whatever the task, at each position if it answers at several:
            `dataset.facts.classes`; None where the task leaves that to the model, as `retrieval` does; where several outputs are
            learnt `dataset.facts.widths`, a dict of these by their names.
        facts: what `model.json` will say of the trained model, if the trainer returns nothing and the file shows nothing else.
        loss_weights: where several outputs are learnt, what the loss of each counts in their sum; 0: it is not learnt.
    """

    dataset: Dataset
    facts: ModelFacts
    build_model: Callable[[SampleShape, Any], Any]
    loss_weights: Mapping[str, float] = {}


class OptimizeContext(StageContext, frozen=True, kw_only=True):
    """For model optimizers: the parent model, read from disk, and the data set (for calibration and fine-tuning).

    Attributes:
        model: the parent model.
        dataset: the data set.
        loss_weights: as in `TrainContext`, for those that train further.
    """

    model: Model
    dataset: Dataset
    loss_weights: Mapping[str, float] = {}
