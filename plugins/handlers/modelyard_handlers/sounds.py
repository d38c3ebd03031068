"""WAV to samples of sound."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.serving.handlers import Handler, Place, Tensors


def audio_decode(
    place: Place,
    *,
    rate: int,
    length: int,
    pad: bool,
    channel: str,
    input: str,  # noqa: A002 - the word of the configuration
    output: str,
) -> Handler:
    """Return what decodes WAV with PCM samples to one channel, float32, -1 to 1: longer ones are cut, shorter ones padded, or left as long as they are.

    Args:
        place: where it stands.
        rate: samples a second that a sound must have.
        length: how many samples it gives, at most.
        pad: whether shorter ones are padded to as many.
        channel: where the axis of the one channel is: `first`, `last`, or `none`.
        input: what the tensor that it takes is called.
        output: what the one is called that it gives.
    """
    axis = length if pad else "samples"
    shape = {"none": (axis,), "first": (1, axis), "last": (axis, 1)}[channel]

    def samples(data: bytes) -> NDArray[Any]:
        found = _decoded(data, rate, length)
        if pad:
            found = np.pad(found, (0, length - len(found)))
        if not len(found):
            msg = "the sound is empty"
            raise ValueError(msg)
        return found.reshape([len(found) if one == axis else 1 for one in shape])

    def run(tensors: Tensors) -> dict[str, Any]:
        return {output: [samples(data) for data in tensors[input]]}

    return place.handler(run, [place.tensor(input, "bytes")], [place.tensor(output, "float32", shape)], cacheable=True)


def _decoded(data: bytes, rate: int, most: int) -> NDArray[Any]:
    """Return at most `most` samples of a sound, the mean of its channels."""
    try:
        with wave.open(io.BytesIO(data)) as sound:
            channels, width, found, frames = sound.getparams()[:4]
            raw = sound.readframes(min(frames, most))
    except (wave.Error, EOFError, RuntimeError) as exc:
        msg = f"not a WAV with PCM samples: {' '.join(str(exc).split()) or 'it ends too early'}"
        raise ValueError(msg) from exc
    if found != rate:
        msg = f"{found} samples a second; allowed: {rate}"
        raise ValueError(msg)
    if len(raw) < min(frames, most) * channels * width:
        msg = f"it ends too early: its header says {frames} samples"
        raise ValueError(msg)
    mono: NDArray[Any] = _floats(raw, width).reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono


def _floats(raw: bytes, width: int) -> NDArray[Any]:
    """Return PCM samples of `width` bytes as float32, -1 to 1.

    Source: Microsoft, Multimedia Programming Interface 1.0: samples of 8 bits are unsigned, wider ones signed.
    """
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view("<i4").astype(np.float32) / np.float32(1 << 31)
    return np.frombuffer(raw, f"<i{width}").astype(np.float32) / np.float32(1 << (8 * width - 1))
