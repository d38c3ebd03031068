"""The layout of samples: the data set and the server have channels last, PyTorch's modules take channels first."""

from __future__ import annotations

from typing import Any, Literal

Layout = Literal["channels-first", "channels-last"]
"""How a module takes samples of two or more axes: `(N, C, H, W)`, or as the data set has them, `(N, H, W, C)`."""


def module_shape(sample_shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """Return the shape of one sample as the module takes it; `sample_shape` is the data set's, channels last."""
    return (sample_shape[-1], *sample_shape[:-1]) if _moves(sample_shape, layout) else sample_shape


def _moves(sample_shape: tuple[int, ...], layout: Layout) -> bool:
    return layout == "channels-first" and len(sample_shape) > 1


def taking_samples(model: Any, sample_shape: tuple[int, ...], layout: Layout) -> Any:
    """Return a module that takes samples of the data set's shape and hands them to `model` as that takes them."""
    import torch

    class TakingSamples(torch.nn.Module):  # type: ignore[misc]  # torch is skipped by mypy
        """Puts the channels where the model wants them, so that what is exported takes what the server sends."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, samples: Any) -> Any:
            if moves:
                # a copy in memory's own order: a module may flatten with view(), which no permuted tensor allows, and
                # contiguous() would leave one channel permuted
                samples = samples.movedim(-1, 1).clone(memory_format=torch.contiguous_format)
            return self.model(samples)

    moves = _moves(sample_shape, layout)
    return TakingSamples()


def plain_name(name: str) -> str:
    """Return the name of a parameter or layer as the model's own code calls it."""
    return name.removeprefix("model.")
