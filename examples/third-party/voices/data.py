"""Two people who read English, with hiss before, under and after what they say, as WAV."""

import io
from pathlib import Path

import numpy as np
from chunks import CHUNK
from scipy.io import wavfile

from modelyard.artifacts import Splits
from modelyard.params import InputPath

RATE, SPOKEN = 16000, 24


def voices(context, *, path: InputPath):
    """Return sounds of one and a half seconds, and for each chunk of them whether somebody speaks: is louder than the hiss.

    Args:
        context: the seed decides the hiss.
        path: the folder with the two people's sounds.
    """
    random, parts = np.random.default_rng(context.seed), []
    for name in ("cards", "librivox"):
        spoken = np.concatenate([wavfile.read(file)[1] for file in sorted(Path(path, name).glob("*.wav"))]) / 32768
        clean = np.pad(np.resize(spoken, (spoken.size // (SPOKEN * CHUNK), SPOKEN, CHUNK)), ((0, 0), (12, 12), (0, 0)))
        parts += [wav(one) for one in clean + random.normal(0, 0.003, clean.shape)], (clean.std(axis=2) > 0.006) * 1
    return Splits(*parts, ["nobody", "somebody"])


def wav(samples):
    """Return samples, -1 to 1, as a file."""
    wavfile.write(file := io.BytesIO(), RATE, (samples.ravel().clip(-1, 1) * 32767).astype(np.int16))
    return file.getvalue()
