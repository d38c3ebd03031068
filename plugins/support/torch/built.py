"""A program of a module that the project's own function builds, with weights that were trained elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError
from modelyard_plugins.support.own_function import own_function
from modelyard_plugins.support.torch.calling import blank, example_shapes
from modelyard_plugins.support.torch.program import export_program, save_program
from modelyard_plugins.support.torch.start import start
from modelyard_plugins.support.torch.weights import fill, read_weights

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import TrainContext


def write_built(context: TrainContext, builder: str, weights: Path, place: Path) -> None:
    """Write to `place` the module that `builder` returns, with the weights in a file, as a program of torch.export.

    Args:
        context: the data set, whose samples say which shapes the program takes.
        builder: `module:function` of the project's own code.
        weights: a file of the format safetensors.
        place: the program's file.

    Raises:
        DataError: the file cannot be read.
        PluginError: the function returns something else, or a module that the weights do not fit, or none that can be exported.
    """
    start(context.seed)
    found = own_function(builder, "builder")
    assert found is not None
    module: Any = found()
    _check(module, builder)
    fill(module, read_weights(weights), weights, context.log)
    inputs, name = context.dataset.facts.inputs, f"{type(module).__name__} of {builder}"
    samples = blank(inputs, example_shapes(context.dataset))
    program = export_program(module.eval(), samples, name, context.log, inputs)
    save_program(program, place)


def _check(module: Any, builder: str) -> None:
    import torch

    if not isinstance(module, torch.nn.Module):
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        msg = f"[tool.modelyard.train]: key 'builder': {builder} returned a {kind}, not a torch.nn.Module\n  return the module"
        raise PluginError(msg)
