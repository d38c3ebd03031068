"""A program of what was trained elsewhere: of a module that the project's own function builds, or one that takes channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, StageFailed
from modelyard_plugins.support.own_function import own_function
from modelyard_plugins.support.torch.calling import blank, example_shapes
from modelyard_plugins.support.torch.layout import taking_samples
from modelyard_plugins.support.torch.program import export_program, load_program, save_program
from modelyard_plugins.support.torch.start import start
from modelyard_plugins.support.torch.weights import fill, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import TrainContext
    from modelyard_plugins.support.torch.layout import Layout


def write_built(context: TrainContext, builder: str, weights: Path, place: Path, layout: Layout) -> None:
    """Write to `place` the module that `builder` returns, with the weights in a file, as a program of torch.export.

    Args:
        context: the data set, whose samples say which shapes the program takes.
        builder: `module:function` of the project's own code.
        weights: a file of the format safetensors.
        place: the program's file.
        layout: how the module takes samples.

    Raises:
        DataError: the file cannot be read.
        PluginError: the function returns something else, or a module that the weights do not fit, or none that can be exported.
    """
    start(context.seed)
    found = own_function(builder, "builder")
    assert found is not None
    module: Any = found()
    _check(module, builder)
    module.eval()
    fill(module, read_weights(weights), weights, context.log)
    _write(context, module, layout, f"{type(module).__name__} of {builder}", place)


def turn_program(context: TrainContext, place: Path, given: str) -> None:
    """Let the program in `place`, which takes its channels first, take the data set's samples.

    Args:
        context: the data set, whose samples say which shapes the program takes from then on.
        place: the program's file, which is written anew.
        given: the name of the file that it is from, for messages.

    Raises:
        StageFailed: it takes several tensors, or the samples have no channels.
        PluginError: it cannot be exported again, such as for another size of batch than the one that it was exported for.
    """
    start(context.seed)
    program, shape = load_program(place), context.dataset.facts.sample_shape
    taken = program.graph_signature.user_inputs
    if len(taken) != 1 or isinstance(shape, dict) or len(shape) < 2:
        what = (
            f"it takes {len(taken)} tensors" if len(taken) != 1 else "samples have no axis beside that of the channels"
        )
        msg = f"channels-first: {what}\n  only a single tensor of samples with channels, (N, C, ...), can be turned: leave layout out"
        raise StageFailed(msg)
    _write(context, program.module(check_guards=False), "channels-first", given, place)


def _write(context: TrainContext, module: Any, layout: Layout, name: str, place: Path) -> None:
    """Write `module`, which takes samples as `layout` says, as a program that takes those of the data set."""
    facts = context.dataset.facts
    whole = taking_samples(module, facts.sample_shape, layout) if layout == "channels-first" else module
    samples = blank(facts.inputs, example_shapes(context.dataset))
    program = export_program(whole, samples, name, context.log, facts.inputs)
    save_program(program, place)


def _check(module: Any, builder: str) -> None:
    import torch

    if not isinstance(module, torch.nn.Module):
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        msg = f"[tool.modelyard.train]: key 'builder': {builder} returned a {kind}, not a torch.nn.Module\n  return the module"
        raise PluginError(msg)
