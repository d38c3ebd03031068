"""Train a program further, for the model optimizers that change its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import format_file
from modelyard.files.json import write_json
from modelyard_plugins.support.torch.criteria import criterion_of
from modelyard_plugins.support.torch.feed import Feed
from modelyard_plugins.support.torch.fitting import fit, make_optimizer
from modelyard_plugins.support.torch.program import load_program, save_program, trainable
from modelyard_plugins.support.torch.start import device, start
from modelyard_plugins.support.training import last_figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import OptimizeContext


def fine_tune(
    context: OptimizeContext,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    watch: Callable[[Any, Any, int], Callable[[], None]] | None = None,
) -> Any:
    """Train the parent program on all training samples with Adam, and write it and its history.

    Args:
        context: the optimizer's context; the last epoch's figures are put into its metrics.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        watch: `watch(program, module, steps)`, called before the first of `steps` steps, returns what to call after
            each step; `module` is what is trained.

    Returns:
        The program with its new weights, on the CPU.
    """
    import numpy as np
    from torch.export.passes import move_to_device_pass

    start(context.seed)
    program, where = load_program(context.model.path), device()
    if where.type != "cpu":
        program = move_to_device_pass(program, where)
    module = trainable(program)
    samples = context.dataset.facts.splits["train"].samples
    inputs = context.model.facts.inputs
    feed = Feed(context.dataset, np.arange(samples), batch_size, seed=context.seed, device=where, inputs=inputs)
    after_step = None if watch is None else watch(program, module, epochs * len(feed))
    optimizer = make_optimizer("adam", module, learning_rate)
    criterion = criterion_of(context, context.model.facts)
    history = fit(module, feed, optimizer, epochs=epochs, context=context, criterion=criterion, after_step=after_step)
    if where.type != "cpu":
        program = move_to_device_pass(program, "cpu")
    context.metrics.update(last_figures(history))
    save_program(program, context.out / format_file("torch"))
    write_json(context.out / "history.json", history)
    return program
