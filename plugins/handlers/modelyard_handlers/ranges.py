"""Pixels to the range that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.serving.handlers import Handler, Place, Tensors


def normalize(
    place: Place,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: str,
    layout: str,
    input: str,  # noqa: A002 - the word of the configuration
    output: str,
) -> Handler:
    """Return what makes `(x - mean) / std` of pixels, float32.

    Args:
        place: where it stands.
        mean: one number, or one for each channel.
        std: one number above 0, or one for each channel.
        dtype: the type of what comes in.
        layout: `channels-last` or `channels-first`.
        input: what the tensor that it takes is called.
        output: what the one is called that it gives.
    """
    middle, spread = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    channels = max(len(middle), len(spread))

    axes: list[int | str] = ["height", "width"]
    axes.insert(2 if layout == "channels-last" else 0, channels if channels > 1 else "channels")
    spare = () if layout == "channels-last" else (1, 1)

    def run(tensors: Tensors) -> dict[str, Any]:
        numbers = tensors[input].astype(np.float32)
        numbers -= middle.reshape(-1, *spare)
        numbers /= spread.reshape(-1, *spare)
        return {output: numbers}

    return place.handler(run, [place.tensor(input, dtype, axes)], [place.tensor(output, shape=axes)])
