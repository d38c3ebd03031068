"""Handwritten digits as a camera sends them: PNG files of 8 x 8 pixels."""

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from modelyard.artifacts import Splits

TRAIN = 1_438


def digits(_):
    """scikit-learn's digits, each a PNG file, with a label from 0 to 9."""
    pixels, labels = load_digits(return_X_y=True)
    files = [png(one) for one in pixels]
    names = [str(digit) for digit in range(10)]
    return Splits(files[:TRAIN], labels[:TRAIN], files[TRAIN:], labels[TRAIN:], class_names=names)


def png(pixels):
    """Return the PNG file of 64 pixels from 0 to 16."""
    file = io.BytesIO()
    Image.fromarray((pixels.reshape(8, 8) * 255 / 16).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()
