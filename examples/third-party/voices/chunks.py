"""A sound in the chunks that the model takes one after another, and what it says of each as two classes."""

import numpy as np

CHUNK = 512


def chunks(place):
    """Cut sounds into chunks; what is left at the end of one is less than 32 ms."""
    taken, given = place.tensor("sound", shape=["samples"]), place.tensor("input", shape=["time", CHUNK])
    return place.handler(cut, [taken], [given])


def cut(tensors):
    return {"input": [sound[: len(sound) // CHUNK * CHUNK].reshape(-1, CHUNK) for sound in tensors["sound"]]}


def classes(place):
    """Make of how likely it is that somebody speaks how likely each of the two is."""
    taken, given = place.tensor("output", shape=["time", 1]), place.tensor("probabilities", shape=["time", 2])
    return place.handler(both, [taken], [given])


def both(tensors):
    return {"probabilities": np.concatenate([1 - tensors["output"], tensors["output"]], axis=-1)}
