"""What an evaluation says, in two files: what is the same every time, and the latency, which is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from modelyard.jsonfiles import read_json

if TYPE_CHECKING:
    from pathlib import Path


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation.json`: how well a model does on the test split, and how large it is.

    Attributes:
        samples: number of test samples.
        accuracy: fraction of them that the model labels rightly.
        per_class: the same for each class; None where the test split has no sample of it.
        confusion: `confusion[i][j]` samples of class `i` were labelled `j`.
        size_bytes: size of the model's file as it is.
        gzip_bytes: its size after gzip at level 9, near to what a registry keeps and a node pulls.
    """

    samples: int
    accuracy: float
    per_class: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    size_bytes: int
    gzip_bytes: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """`latency.json`: how long one sample takes on the machine that measured, in milliseconds.

    Attributes:
        p50_ms: half of the calls took no longer.
        p99_ms: 99 of 100 calls took no longer.
        mean_ms: the mean.
        samples: calls that were measured.
        warmup: calls before that.
    """

    p50_ms: float
    p99_ms: float
    mean_ms: float
    samples: int
    warmup: int


@dataclass(frozen=True)
class Measured:
    """What the `evaluate` stage found out about one variant."""

    evaluation: Evaluation
    latency: Latency


def read_measured(folder: Path) -> Measured:
    """Read what the `evaluate` stage left in `folder`.

    Raises:
        DataError: a file is missing or damaged.
    """
    return Measured(read_json(folder / "evaluation.json", Evaluation), read_json(folder / "latency.json", Latency))
