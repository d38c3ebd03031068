"""Handler `audio-decode`: WAV to samples of sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelyard import hookimpl
from modelyard.params import PositiveInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def audio_decode(
    place: Place,
    *,
    rate: PositiveInt,
    length: PositiveInt,
    pad: bool = True,
    channel: Literal["none", "first", "last"] = "none",
    input: str = "audio",  # noqa: A002 - the word of the configuration
    output: str = "samples",
) -> Handler:
    """Decodes WAV with PCM samples to one channel, float32, -1 to 1: longer sounds are cut, shorter ones padded, or left as long as they are.

    Args:
        place: where it stands.
        rate: samples a second that a sound must have
        length: how many samples the model takes; at most, where no sound is padded
        pad: whether each sound becomes as long; false: it stays as long as it is, and the model's axis varies
        channel: where the model takes an axis of one channel: before the samples or behind them; none: it takes none
        input: what clients call a sound
        output: what the model calls its samples
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.audio_decode(
        place, rate=rate, length=length, pad=pad, channel=channel, input=input, output=output
    )


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("audio-decode", audio_decode, package=_PACKAGE, tools=("numpy",), deterministic=True)
