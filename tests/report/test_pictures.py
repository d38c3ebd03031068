from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelyard.report.pictures import is_picture, matrix_picture, sample_picture


def decoded(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("shape", "is_one"),
    [((8, 8, 1), True), ((32, 40, 3), True), ((8, 8, 4), False), ((8, 8), False), ((1, 9, 1), False), ((5,), False)],
)
def test_grey_and_rgb_samples_are_pictures(shape: tuple[Any, ...], is_one: bool) -> None:
    assert is_picture(shape) is is_one


@pytest.mark.parametrize(("dtype", "low", "high"), [("uint8", 0, 255), ("float32", -1.0, 1.0), ("uint8", 0, 16)])
def test_a_sample_keeps_its_pixels(dtype: str, low: float, high: float) -> None:
    sample = np.linspace(low, high, 8 * 6 * 3).reshape(8, 6, 3).astype(dtype)
    uri, width, height = sample_picture(sample, (low, high))
    assert (width, height) == (6, 8)
    expected = np.round((sample.astype(float) - low) / (high - low) * 255)
    np.testing.assert_array_equal(np.asarray(decoded(uri)), expected)


def test_a_large_sample_is_scaled_down_and_keeps_its_form() -> None:
    uri, width, height = sample_picture(np.zeros((400, 200, 1), "uint8"), (0, 255))
    assert (width, height) == decoded(uri).size == (48, 96)
    assert decoded(uri).mode == "L"


def test_values_that_are_none_are_black() -> None:
    uri, _, _ = sample_picture(np.full((2, 2, 1), np.nan, "float32"), (0.0, 1.0))
    assert np.asarray(decoded(uri)).max() == 0


def test_a_matrix_shows_rare_mistakes_and_leaves_zeros_clear() -> None:
    cells = np.asarray(decoded(matrix_picture([[99, 1, 0], [0, 50, 50], [0, 0, 0]])))
    assert cells.shape == (3, 3, 4)
    opacity = cells[..., 3]
    assert opacity[0, 0] > opacity[1, 1] > 0
    assert opacity[0, 1] > 40
    assert opacity[0, 2] == opacity[2, 2] == 0
    assert tuple(cells[0, 0, :3]) != tuple(cells[0, 1, :3])
