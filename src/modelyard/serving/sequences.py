"""Sequences: streams whose steps come in requests of their own, each going on where the one before ended.

Source: Triton, extension_sequence.md: the parameters `sequence_id`, `sequence_start` and `sequence_end`.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import Overloaded, RequestError
from .shares import MIB
from .tensors import TensorError, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from .streams import Kept

    Samples = Mapping[str, NDArray[Any]]

NOTHING_KEPT = "this model keeps nothing from one request to the next"
SEVERAL_WORKERS = "what it keeps is in one process, and here are several; send whole streams, or have the server set MODELYARD_WORKERS=1"
_ID_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Step:
    """What a request says of the sequence that it is part of.

    Attributes:
        id: which sequence, a whole number or a text.
        start: whether it begins with this request.
        end: whether it ends with it.
    """

    id: int | str
    start: bool = False
    end: bool = False


def read_step(parameters: Mapping[str, Any], why_not: str) -> Step | None:
    """Return what the parameters of a request say of a sequence; None: it is part of none.

    Args:
        parameters: the request's.
        why_not: why there are no sequences; empty: there are.

    Raises:
        TensorError: it is no sequence, or there are none.
    """
    given = {key: parameters.get(key) for key in ("sequence_id", "sequence_start", "sequence_end")}
    if not any(given.values()):
        return None
    if why_not:
        key = next(key for key, value in given.items() if value)
        msg = f"{key!r} is {text(given[key])}, but {why_not}"
        raise TensorError(msg)
    start, end = given["sequence_start"], given["sequence_end"]
    name = _id(given["sequence_id"])
    for key, value in (("sequence_start", start), ("sequence_end", end)):
        if value is not None and not isinstance(value, bool):
            msg = f"{key!r} is {text(value)}, expected true or false"
            raise TensorError(msg)
    return Step(name, bool(start), bool(end))


def _id(value: Any) -> int | str:
    """Return which sequence it is.

    Raises:
        TensorError: it is none that there can be.
    """
    if type(value) is int and 0 < value < 1 << 64:
        return value
    if isinstance(value, str) and 0 < len(value) <= _ID_CHARACTERS:
        return value
    msg = (
        f"'sequence_id' is {text(value)}, expected a whole number from 1, or a text of 1 to {_ID_CHARACTERS} characters"
    )
    raise TensorError(msg)


def why_none(kept: Sequence[Kept], workers: int) -> str:
    """Return why a server has no sequences; empty if it has them."""
    if not kept:
        return NOTHING_KEPT
    return SEVERAL_WORKERS if workers > 1 else ""


class Sequences:
    """What is kept of each sequence that is open, for so many of them, and for so long.

    It belongs to one engine, which asks from one thread at a time.
    """

    def __init__(
        self,
        kept: Sequence[Kept],
        most: int,
        idle_s: float,
        draining: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: float = math.inf,
    ) -> None:
        self._kept, self._most, self._idle_s, self._most_bytes = kept, most, idle_s, most_bytes
        self._draining, self._clock = draining, clock
        self._open: OrderedDict[int | str, tuple[float, Samples]] = OrderedDict()  # the one that rests longest is first
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def given(self, step: Step, samples: Samples, size: int) -> Samples:
        """Return a step's samples with what is kept of its sequence.

        Raises:
            TensorError: they are several streams.
            RequestError: the sequence is not open.
            Overloaded: there is no room for another.
        """
        if size != 1:
            msg = f"a sequence is one stream, but the request holds {size}"
            raise TensorError(msg)
        self._forget_idle()
        left = {} if step.start else self._left(step)
        self._check_bytes(step, left)
        if not step.start:
            return {**samples, **left}
        if step.id not in self._open:
            self._check_room()
        return {**samples, **{one.name: one.first() for one in self._kept}}

    def split(self, found: Samples) -> tuple[dict[str, NDArray[Any]], Samples]:
        """Return what the model answered without what is to be kept, and this."""
        names = {one.name for one in self._kept}
        return {name: one for name, one in found.items() if name not in names}, {name: found[name] for name in names}

    def keep(self, step: Step, left: Samples) -> None:
        """Keep what a step left, or forget its sequence if that was the last one."""
        self._forget(step.id)
        if not step.end:
            # of a batch of several, a part would keep all
            kept = {name: one.copy() for name, one in left.items()}
            self._open[step.id] = self._clock(), kept
            self._bytes += _bytes(kept)

    def _left(self, step: Step) -> Samples:
        try:
            return self._open[step.id][1]
        except KeyError:
            why = f"begin it with 'sequence_start'; one that rests for {self._idle_s:g} s is forgotten"
            raise RequestError(400, f"the sequence {text(step.id)} is not open here: {why}") from None

    def _check_room(self) -> None:
        if self._draining():
            msg = "the server is about to stop, and begins no sequence; begin it elsewhere"
            raise Overloaded(msg)
        if len(self._open) >= self._most:
            msg = f"{self._most} sequences are open already, as many as are kept; end one with 'sequence_end', or try again later"
            raise Overloaded(msg)

    def _check_bytes(self, step: Step, left: Samples) -> None:
        """Refuse a step if what is kept has grown beyond its memory; it is a step's growth beyond that at most.

        Raises:
            RequestError: 413: this sequence alone has.
            Overloaded: all of them have.
        """
        given = f"{self._most_bytes / MIB:.3g} MiB are given to all sequences"
        if (own := _bytes(left)) > self._most_bytes:
            msg = f"the sequence {text(step.id)} keeps {own / MIB:.3g} MiB, and {given}; end it with 'sequence_end', and begin a shorter one"
            raise RequestError(413, msg)
        if self._bytes > self._most_bytes:
            msg = f"the {len(self._open)} sequences that are open keep {self._bytes / MIB:.3g} MiB, and {given}; end one with 'sequence_end', or try again later"
            raise Overloaded(msg)

    def _forget(self, name: int | str) -> None:
        if name in self._open:
            self._bytes -= _bytes(self._open.pop(name)[1])

    def _forget_idle(self) -> None:
        oldest = self._clock() - self._idle_s
        while self._open and next(iter(self._open.values()))[0] < oldest:
            self._forget(next(iter(self._open)))


def _bytes(kept: Samples) -> int:
    return sum(one.nbytes for one in kept.values())


def as_many_as_fit(kept: Sequence[Kept], most: int, size_bytes: int) -> int:
    """Return how many sequences may be open: `most`, or as many as fit into `size_bytes` before they grow."""
    return max(1, min(most, size_bytes // max(1, sum(one.size_bytes for one in kept))))
