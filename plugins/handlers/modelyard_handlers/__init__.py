"""The built-in handlers as they ship: numpy, and what each imports when it is opened. Nothing of modelyard is imported here."""

from .boxes import nms
from .pictures import image_decode
from .ranges import normalize
from .scores import argmax, softmax, top_labels
from .sounds import audio_decode
from .tables import table_encode
from .texts import tokenize
from .transcripts import ctc_greedy

__all__ = [
    "argmax",
    "audio_decode",
    "ctc_greedy",
    "image_decode",
    "nms",
    "normalize",
    "softmax",
    "table_encode",
    "tokenize",
    "top_labels",
]
