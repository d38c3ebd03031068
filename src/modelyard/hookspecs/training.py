"""Hooks for what makes models: networks, trainers and model optimizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits, Gives, Takes

if TYPE_CHECKING:
    from modelyard.artifacts import Output
    from modelyard.tensors import Loss


class GivesByParameters(TypedDict):
    """What gives a model of one of several formats may say which by a function of its parameters: `produces(**params)`."""

    produces: str | Callable[..., str]


class ModelTraits(Gives, ComponentTraits, total=False):
    """Traits of a model: `produces` is the format that the trainer must give.

    `answers` says what the model answers, `logits` or `probabilities`; left out, its file says it where it ends in a
    softmax, and it answers logits where it does not.
    """

    answers: Output


class TrainerTraits(GivesByParameters, ComponentTraits, total=False):
    """Traits of a trainer: `produces` is the format that it gives.

    `takes_model` is false if it trains no model of the project's: it brings one, which was trained elsewhere. The project
    then has no `[tool.modelyard.model]`, and `context.build_model` is not to be called.

    `learns` is false if what it gives was trained before, so that no sample of the data set shapes it: to cross-validate it
    is refused when the project is loaded.

    `losses` are those that it can make small (`modelyard.tensors.Loss`), "" among them if it trains for tasks that name
    none; left out, cross-entropy alone. A task with another loss is refused when the project is loaded. One that takes no
    model is not asked.

    `trains_several` says that it trains networks of several outputs, too: see `TrainContext.loss_weights`.
    """

    takes_model: bool
    learns: bool
    losses: Sequence[Loss]
    trains_several: bool


class OptimizerTraits(Takes, Gives, ComponentTraits, total=False):
    """Traits of a model optimizer: it takes one of the formats `accepts` and gives `produces`.

    One that trains the model further names in `trains_like` the model optimizer that trains as it does, given the
    parameters of the same names, and changes nothing else (which names itself). Its variants are compared with a
    baseline that went through that one, so that extra training is not taken for the optimizer's gain. It says in
    `losses` and `trains_several` what a trainer says there.
    """

    trains_like: str
    losses: Sequence[Loss]
    trains_several: bool


class RegisterModel(Protocol):
    """Registers a model."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[ModelTraits]) -> None: ...


class RegisterTrainer(Protocol):
    """Registers a trainer."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TrainerTraits]) -> None: ...


class RegisterOptimizer(Protocol):
    """Registers a model optimizer."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[OptimizerTraits]) -> None: ...


@hookspec
def modelyard_register_models(register: RegisterModel) -> None:
    """Register models: `function(input_shape, classes, *, ...)` returns a new, untrained model for the trainer.

    `input_shape` leaves the batch axis out, a dict of shapes by name where samples have several arrays; `classes` is the
    number of outputs, a dict of numbers by name where several outputs are learnt. The model answers logits, or probabilities where it ends in a softmax.
    """


@hookspec
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register trainers: `function(context: TrainContext, *, ...)` trains `context.build_model(...)` and saves it.

    The trainer writes the file of its format (see `modelyard.artifacts.format_file`) and `history.json` below `context.out`.
    It returns nothing; or `ModelFacts`, made from `context.facts`, where the model takes or answers something else.
    """


@hookspec
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register model optimizers: `function(context: OptimizeContext, *, ...)` reads `context.model` and writes a new model.

    It writes the file of the format it produces below `context.out`; modelyard writes `model.json` beside it. It returns
    nothing; or `ModelFacts`, made from `context.model.facts`, where the new model takes or answers something else than
    its parent did (see `modelyard.artifacts.self_contained`).
    """
