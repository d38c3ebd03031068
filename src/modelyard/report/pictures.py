"""Small pictures of test samples and of large confusion matrices, as PNG data URIs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_SIDE = 96
"""The most pixels of a side; a larger sample is scaled down."""
_MATRIX_COLOURS = ((46, 125, 80), (201, 74, 66))
"""Right answers and mistakes, in RGB; their share of a row is the opacity, so that the page's own ground shines through."""


def is_picture(shape: Sequence[int]) -> bool:
    """Tell whether samples of this shape are grey or RGB pictures, channels last."""
    return len(shape) == 3 and shape[2] in (1, 3) and min(shape[:2]) >= 2


def sample_picture(sample: NDArray[np.generic], value_range: tuple[float, float]) -> tuple[str, int, int]:
    """Return a raw sample, shape `(height, width, 1 or 3)`, as a data URI, and its width and height in pixels."""
    import numpy as np
    from PIL import Image

    low, high = value_range
    scaled = (np.asarray(sample, np.float64) - low) / ((high - low) or 1.0) * 255
    pixels = np.clip(np.nan_to_num(scaled), 0, 255).round().astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return _data_uri(image), image.width, image.height


def matrix_picture(confusion: Sequence[Sequence[int]]) -> str:
    """Return a confusion matrix as a data URI, a pixel a cell; each row is scaled by its number of samples."""
    import numpy as np
    from PIL import Image

    counts = np.asarray(confusion, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    cells = np.zeros((*counts.shape, 4), np.uint8)
    cells[right, :3], cells[~right, :3] = _MATRIX_COLOURS
    # a mistake that is rare is what one looks for: the square root makes 1 % visible
    opacity = np.where(right, shares, np.sqrt(shares))
    cells[..., 3] = np.where(counts > 0, 40 + 215 * opacity, 0).round()
    return _data_uri(Image.fromarray(cells))


def _data_uri(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
