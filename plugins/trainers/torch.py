"""The trainer `torch`: any torch.nn.Module that torch.export can follow, on any memory-mapped data set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import PluginError
from modelyard.tensors import input_dtype
from modelyard_plugins.support.data.augmenting import Augmenting
from modelyard_plugins.support.data.order import Mixing
from modelyard_plugins.support.heads import by_name, check_single, each_answer, widths
from modelyard_plugins.support.losses import ANY
from modelyard_plugins.support.own_function import own_function
from modelyard_plugins.support.own_training import own_step
from modelyard_plugins.support.torch.callbacks import Callbacks
from modelyard_plugins.support.torch.calling import Given, blank, call, example_shapes
from modelyard_plugins.support.torch.criteria import criterion_of
from modelyard_plugins.support.torch.facts import activation_of
from modelyard_plugins.support.torch.feed import Feed
from modelyard_plugins.support.torch.fitting import KeepBest, falling, fit, make_optimizer
from modelyard_plugins.support.torch.layout import Layout, check_inputs, module_shape, taking_samples
from modelyard_plugins.support.torch.program import export_program, first_line, save_program
from modelyard_plugins.support.torch.start import TORCH, device, start
from modelyard_plugins.support.training import (
    check_answer,
    problems,
    record,
    sample_weights,
    training_rows,
)
from modelyard_plugins.support.training_params import WithoutLion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.artifacts import DatasetFacts, ModelFacts, SampleShape, Shape
    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterTrainer
    from modelyard.tensors import Activation


class TorchParams(WithoutLion, frozen=True, kw_only=True):
    """What the trainer `torch` takes.

    Attributes:
        layout: how the module takes samples of two or more axes: with their channels first, as PyTorch's layers do,
            or last, as the data set has them; `input_shape` is said the same way.
    """

    layout: Layout = "channels-first"


def train(context: TrainContext, *, params: TorchParams) -> None:
    """Train with PyTorch.

    Args:
        context: the data set and the untrained model.
        params: the configuration.
    """
    start(context.seed)
    said = params.loss or params.step
    criterion_of(context, context.facts, said=said)  # what has no loss is told before a network is built
    augmenting = Augmenting(params.flip, params.shift)
    augmenting.check(context.dataset.facts.inputs, context.dataset.facts.outputs)
    model, name, answers = _build(context, params.layout)
    rows, held_out = training_rows(context, params.validation_fraction)
    parameters = sum(p.numel() for p in model.parameters())
    context.log(f"{name}: {parameters:,} parameters, {len(rows):,} samples, {len(held_out):,} set apart for validation")
    where = device()
    model.to(where).train()
    mixing, sorting = Mixing(params.shuffle_block, params.buckets), Mixing(buckets=params.buckets)
    data, size = context.dataset, params.batch_size
    feed = Feed(data, rows, size, seed=context.seed, device=where, augmenting=augmenting, mixing=mixing)
    validation = Feed(data, held_out, size, seed=None, device=where, mixing=sorting) if len(held_out) else None
    keeper = KeepBest(params.early_stopping) if params.early_stopping else None
    moving = make_optimizer(params.optimizer, model, params.learning_rate)
    history = fit(
        model,
        feed,
        moving,
        epochs=params.epochs,
        context=context,
        criterion=criterion_of(context, answers, own_function(params.loss, "loss"), said),
        validation=validation,
        keeper=keeper,
        after_step=falling(moving, params.epochs * len(feed)) if params.schedule == "cosine" else None,
        precision=params.precision,
        class_weights=sample_weights(context, rows, params.class_weights),
        step=own_step(params.step),
        callbacks=Callbacks.of(params.callbacks, context),
    )
    inputs = context.dataset.facts.inputs
    samples = blank(inputs, example_shapes(context.dataset))
    program = export_program(model.cpu().eval(), samples, name, context.log, inputs)
    save_program(program, context.out / format_file("torch"))
    record(context, history, parameters, best=None if keeper is None else keeper.epoch)


def _build(context: TrainContext, layout: Layout) -> tuple[Any, str, ModelFacts]:
    """Return the project's model, checked before time is spent on it, its name for messages, and what it answers."""
    import torch

    facts = context.dataset.facts
    check_inputs(facts.inputs)
    shape = module_shape(facts.sample_shape, layout)
    model = context.build_model(shape, widths(facts))
    if not isinstance(model, torch.nn.Module):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        msg = (
            f"[tool.modelyard.model]: got a {kind}, not a torch.nn.Module\n  return the module itself, not yet trained"
        )
        raise PluginError(msg)
    name = type(model).__name__
    names = [one.name for one in facts.outputs]
    answered = (partial(by_name, names=names),) if facts.losses else ()
    samples = blank(facts.inputs, example_shapes(context.dataset))
    whole = taking_samples(model, facts.sample_shape, layout, *answered).eval()
    _check_answer(whole, name, shape, samples, facts, context.log)
    program = export_program(whole, samples, name, context.log, facts.inputs)
    ends = [activation_of(f"torch.ops.{one.target}") for one in _answers(program)]
    torch.manual_seed(context.seed)  # however many numbers the checks drew
    return whole, name, _ending_in(context.facts, dict(zip(names, ends, strict=True)))


def _answers(program: Any) -> Sequence[Any]:
    """Return the nodes that make what `program` answers."""
    found: Sequence[Any] = next(node for node in program.graph.nodes if node.op == "output").args[0]
    return found


def _ending_in(facts: ModelFacts, ends: Mapping[str, Activation | None]) -> ModelFacts:
    """Return facts with what the program shows: what each output ends in."""
    if len(facts.outputs) > 1:
        return facts.each_ending_in(ends)
    activation = ends[facts.answer.name]
    return facts.ending_in(activation) if activation else facts


def _check_answer(model: Any, name: str, shape: SampleShape, samples: Given, facts: DatasetFacts, log: Any) -> None:
    """Check with two samples of zeros that `model` takes them, and answers what the data set wants.

    Args:
        model: takes samples of the data set's shape.
        name: what to call it in messages.
        shape: what its own part takes.
        samples: two.
        facts: what the data set wants.
        log: called with the whole of torch's complaint.

    Raises:
        PluginError: it does not.
    """
    import torch

    shapes = shape if isinstance(shape, dict) else {facts.input.name: shape}
    try:
        with torch.no_grad():
            answer = call(model, samples)
    except PluginError as exc:  # of what it answers
        msg = f"the model {name!r}: {exc}"
        raise PluginError(msg) from exc
    except Exception as exc:  # it is the project's code
        log(f"{type(exc).__name__}: {exc}")
        msg = (
            f"the model {name!r} cannot take {_described(facts, shapes)} (None: the batch): {first_line(exc)}\n"
            "  use the function's arguments input_shape and classes; [tool.modelyard.train] layout says where channels are"
        )
        raise PluginError(msg) from exc
    if not facts.losses:  # before shapes: of an answer that may be anything none is known
        check_single(answer, f"the model {name!r}")
    for output, wanted in each_answer(facts).items():
        what, one = (f"{name}.{output}", answer[output]) if facts.losses else (name, answer)
        _check_floats(one, what, wanted)
        check_answer(what, (None, *one.shape[1:]) if one.shape[:1] == (2,) else tuple(one.shape), wanted)


def _check_floats(answer: Any, name: str, shape: Shape) -> None:
    import torch

    if not isinstance(answer, torch.Tensor) or not answer.is_floating_point():
        found = answer.dtype if isinstance(answer, torch.Tensor) else type(answer).__name__
        wanted = ", ".join(["N", *("any length" if axis is None else str(axis) for axis in shape)])
        msg = f"the model {name!r} answers {found}, not one tensor of floats\n  return one of the shape ({wanted})"
        raise PluginError(msg)


def _described(facts: DatasetFacts, shapes: Mapping[str, Shape]) -> str:
    """Return what samples are, for a message; several inputs by their names."""
    each = [
        (one.name, f"{input_dtype(one.dtype)} samples of the shape {(None, *shapes[one.name])}") for one in facts.inputs
    ]
    return each[0][1] if len(each) == 1 else ", ".join(f"{name}: {text}" for name, text in each)


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register("torch", train, produces="torch", losses=ANY, trains_several=True, check=problems, **TORCH)
