"""The layout of samples: the data set and the server have channels last, PyTorch's modules take channels first."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

from modelyard.errors import PluginError
from modelyard_plugins.support.training import NO_TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelyard.artifacts import SampleShape, Shape
    from modelyard.tensors import InputFacts

Layout = Literal["channels-first", "channels-last"]
"""How a module takes samples of two or more axes: `(N, C, H, W)`, or as the data set has them, `(N, H, W, C)`."""


def module_shape(sample_shape: SampleShape, layout: Layout) -> SampleShape:
    """Return the shape of one sample as the module takes it; `sample_shape` is the data set's, channels last."""
    if isinstance(sample_shape, dict):
        return {name: _turned(shape, layout) for name, shape in sample_shape.items()}
    return _turned(sample_shape, layout)


def _turned(shape: Shape, layout: Layout) -> Shape:
    return (shape[-1], *shape[:-1]) if _moves(shape, layout) else shape


def _moves(shape: Sequence[Any], layout: Layout) -> bool:
    return layout == "channels-first" and len(shape) > 1


def taking_samples(
    model: Any, sample_shape: SampleShape, layout: Layout, answered: Callable[[Any], Any] = lambda answer: answer
) -> Any:
    """Return a module that takes samples of the data set's shape and hands them to `model` as that takes them.

    Several inputs are taken, and handed on, by their names. What `model` answers goes through `answered`.
    """
    return (
        _taking_named(model, sample_shape, layout, answered)
        if isinstance(sample_shape, dict)
        else _taking_one(model, sample_shape, layout, answered)
    )


def _taking_one(model: Any, shape: Shape, layout: Layout, answered: Callable[[Any], Any]) -> Any:
    import torch

    class TakingSamples(torch.nn.Module):  # type: ignore[misc]  # torch is skipped by mypy
        """Puts the channels where the model wants them, so that what is exported takes what the server sends."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, samples: Any) -> Any:
            return answered(self.model(_first(samples) if moves else samples))

    moves = _moves(shape, layout)
    return TakingSamples()


def _taking_named(model: Any, shapes: Mapping[str, Shape], layout: Layout, answered: Callable[[Any], Any]) -> Any:
    import torch

    class TakingNamed(torch.nn.Module):  # type: ignore[misc]  # torch is skipped by mypy
        """The same for several inputs; torch.export calls the program's inputs as the signature of `forward` does."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, **samples: Any) -> Any:
            return answered(
                self.model(**{name: _first(one) if name in moved else one for name, one in samples.items()})
            )

    moved = {name for name, shape in shapes.items() if _moves(shape, layout)}
    names = ["self", *shapes]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    TakingNamed.forward.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return TakingNamed()


def _first(samples: Any) -> Any:
    """Return samples with their channels first.

    A copy in memory's own order: a module may flatten with view(), which no permuted tensor allows, and contiguous() would
    leave one channel permuted.
    """
    import torch

    return samples.movedim(-1, 1).clone(memory_format=torch.contiguous_format)


def check_inputs(inputs: Sequence[InputFacts]) -> None:
    """Check that inputs can be arguments of a module's `forward`.

    Raises:
        PluginError: one is texts, of which torch has no tensors; or the name of one of several cannot be one.
    """
    for one in inputs:
        if one.dtype == "bytes":
            msg = f"the data set's {one.name!r} is texts, of which torch has no tensors\n  {NO_TEXTS}"
            raise PluginError(msg)
        if len(inputs) > 1 and not one.name.isidentifier():
            msg = (
                f"the data set's array {one.name!r} cannot be an argument of a module's forward, which takes several by name\n"
                "  let the data set call it by a name of letters, digits and '_'"
            )
            raise PluginError(msg)


def plain_name(name: str) -> str:
    """Return the name of a parameter or layer as the model's own code calls it."""
    return name.removeprefix("model.")
