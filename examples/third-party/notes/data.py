"""Sounds of three tones, and what the SavedModel of basic-pitch hears in them."""

import io
import wave

import numpy as np
from stacked import NAMES

from modelyard.artifacts import Splits
from modelyard.params import InputPath

RATE, LENGTH = 22050, 43844


def tones(context, *, model: InputPath, pieces: int = 64):
    """Return sounds, and what there is to be heard in each.

    Args:
        context: the seed decides which tones, and when they begin.
        model: the folder of the SavedModel.
        pieces: how many sounds.
    """
    import tensorflow as tf

    random, listen = np.random.default_rng(context.seed), tf.saved_model.load(model).signatures["serving_default"]
    time = np.arange(LENGTH) / RATE - random.uniform(0, 1.5, (pieces, 3, 1))
    pitches = 440 * 2 ** (random.integers(-30, 30, (pieces, 3, 1)) / 12)
    pcm = (8000 * (time > 0) * np.exp(-3 * time.clip(0)) * np.sin(2 * np.pi * pitches * time)).sum(1).astype(np.int16)
    heard = listen(tf.constant(pcm[..., None] / np.float32(32768)))
    sounds, labels = [wav(one) for one in pcm], np.concatenate([heard[name] for name in NAMES], axis=-1)
    return Splits(sounds[::2], labels[::2], sounds[1::2], labels[1::2])


def wav(pcm):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE, len(pcm), "NONE", ""))
        sound.writeframes(pcm.tobytes())
    return file.getvalue()
