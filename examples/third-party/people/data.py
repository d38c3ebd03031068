"""Pieces of photographs, with people and without, as scikit-image ships them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from modelyard.artifacts import Splits
from modelyard.params import InputPath

NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


def photographs(context, *, folder: InputPath, size: int = 256, pieces: int = 60):
    """Cut pieces out of photographs, as JPEG.

    Args:
        context: the seed decides where.
        folder: where they are.
        size: height and width of a piece, in pixels.
        pieces: how many.
    """
    random = np.random.default_rng(context.seed)
    whole = [Image.open(Path(folder) / name).convert("RGB") for name in NAMES]

    def piece(number):
        picture, file = whole[number % len(whole)], io.BytesIO()
        left, top = random.integers(0, picture.width - size), random.integers(0, picture.height - size)
        picture.crop((left, top, left + size, top + size)).save(file, "JPEG", quality=90)
        return file.getvalue()

    found = [piece(number) for number in range(pieces)]
    return Splits(found[: pieces // 2], None, found[pieces // 2 :], None)
