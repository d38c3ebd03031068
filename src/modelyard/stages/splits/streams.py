"""Samples that come one after another, written down as they come: one sample is in memory at a time."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.artifacts import ONLY_INPUT, Splits
from modelyard.errors import DataError
from modelyard.stages.splits.spool import BytesSpool, NumbersSpool, Spool

if TYPE_CHECKING:
    from modelyard.artifacts import Streams
    from modelyard.contexts import Progress

_IGNORED = -1
"""What labels of positions that are no part of a sample are: they do not count."""
_TELL_EVERY = 256


class _Written(NamedTuple):
    """One split: its columns by input, None for a single one without a name, and its labels, if it has some."""

    inputs: dict[str | None, Spool]
    labels: Spool | None


def splits_of(streams: Streams, cache: Path, progress: Progress) -> Splits:
    """Write down what `streams` gives, in files in `cache` that have no names, and return it as splits.

    Raises:
        DataError: a sample is none, or not like those before it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    train, test = (_write(getattr(streams, split), split, cache, progress) for split in ("train", "test"))
    if train.inputs.keys() != test.inputs.keys():
        msg = f"train has {_names(train)}, but test has {_names(test)}\n  give samples of both the same inputs"
        raise DataError(msg)
    longest = _longest(train, test)
    (train_x, train_y), (test_x, test_y) = (_arrays(split, longest, streams) for split in (train, test))
    ranges = _ranges(streams.value_range, train_x)
    return Splits(train_x, train_y, test_x, test_y, streams.class_names, ranges, streams.slices)


def _ranges(given: Any, samples: Any) -> Any:
    """Return the value range of what has got a name only since there is a mask beside it."""
    is_one = isinstance(samples, Mapping) and ONLY_INPUT in samples and isinstance(given, tuple | list)
    return {ONLY_INPUT: given} if is_one else given


def _write(source: Any, split: str, cache: Path, progress: Progress) -> _Written:
    total = operator.length_hint(source) or None  # a tf.data.Dataset may have `__len__` and no length
    spools: dict[tuple[str | None, ...], Spool] = {}
    done = 0
    for done, sample in enumerate(_samples(source, split), 1):
        parts = dict(_parts(sample, f"{split}: sample {done - 1}"))
        if done == 1:
            spools = {part: _spool(value, cache) for part, value in parts.items()}
        elif parts.keys() != spools.keys():
            msg = f"{split}: sample {done - 1} has {_told(parts)}, but those before it have {_told(spools)}\n  give all the same"
            raise DataError(msg)
        for part, value in parts.items():
            spools[part].add(value, f"{split}: sample {done - 1}: {_told([part])}")
        if done % _TELL_EVERY == 0:
            progress(done, total, unit="samples", note=split)
    if not done:
        msg = f"{split}: gives no sample\n  each split needs at least one; an iterator can be gone through once"
        raise DataError(msg)
    return _Written({part[1]: one for part, one in spools.items() if part[0] == "x"}, spools.get(("y",)))


def _samples(source: Any, split: str) -> Iterator[Any]:
    """Return an iterator over the samples of an iterable, a `tf.data.Dataset`, or what is asked for one by its number.

    Raises:
        DataError: it is nothing of these.
    """
    if hasattr(source, "as_numpy_iterator"):  # a tf.data.Dataset
        found: Iterator[Any] = source.as_numpy_iterator()
        return found
    if isinstance(source, Iterable) and not isinstance(source, Mapping | str | bytes):
        return iter(source)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, Mapping | str | bytes):
        return (source[number] for number in range(len(source)))  # a PyTorch Dataset
    msg = f"{split}: is a {type(source).__name__}, which gives no samples\n  give an iterator, a tf.data.Dataset or a torch Dataset of pairs (x, y)"
    raise DataError(msg)


def _parts(sample: Any, place: str) -> Iterator[tuple[tuple[str | None, ...], Any]]:
    """Yield each part of a sample: `("x", input)`, without a name `("x", None)`, and `("y",)` if there is a label."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        what = f"{len(sample)} values" if isinstance(sample, tuple | list) else f"a {type(sample).__name__}"
        msg = f"{place} is {what}, not a pair (x, y)\n  give pairs; y is None where there is nothing to be learnt"
        raise DataError(msg)
    x, y = sample
    named = x if isinstance(x, Mapping) else {None: x}
    yield from ((("x", name), value) for name, value in named.items())
    if y is not None:
        yield ("y",), y


def _spool(value: Any, cache: Path) -> Spool:
    return BytesSpool(cache) if isinstance(value, str | bytes | Path) else NumbersSpool(cache)


def _longest(*written: _Written) -> dict[tuple[str | None, ...], int]:
    """Return how long the longest sample is of each part whose samples are of several lengths."""
    found: dict[tuple[str | None, ...], list[NumbersSpool]] = {}
    for split in written:
        for part, spool in (*((("x", name), one) for name, one in split.inputs.items()), (("y",), split.labels)):
            if isinstance(spool, NumbersSpool):
                found.setdefault(part, []).append(spool)
    longest = {part: max(one.longest for one in spools) for part, spools in found.items()}
    return {part: length for part, length in longest.items() if any(one.shortest < length for one in found[part])}


def _arrays(written: _Written, longest: Mapping[tuple[str | None, ...], int], streams: Streams) -> tuple[Any, Any]:
    """Return the samples and the labels of a split as `Splits` has them."""
    inputs: dict[str | None, Any] = {}
    for name, spool in written.inputs.items():
        length = longest.get(("x", name))
        if length is None or not isinstance(spool, NumbersSpool):
            inputs[name] = spool.array()
            continue
        padded = spool.padded(None if streams.ragged else length, _pad(name, spool, length, streams))
        inputs[name] = padded
        if streams.masks:
            inputs[f"{name or ONLY_INPUT}_mask"] = padded.mask()
    if len(inputs) > 1 and None in inputs:
        inputs = {name or ONLY_INPUT: array for name, array in inputs.items()}
    return inputs.get(None, inputs), _labels(written.labels, longest.get(("y",)))


def _labels(spool: Spool | None, length: int | None) -> Any:
    if isinstance(spool, NumbersSpool):
        return spool.array() if length is None else spool.padded(length, _IGNORED)[:]
    return None if spool is None else spool.texts()


def _pad(name: str | None, spool: NumbersSpool, length: int, streams: Streams) -> float:
    if streams.pad is not None:
        return streams.pad
    what = "samples" if name is None else f"those of the input {name!r}"
    msg = (
        f"{what} are of several lengths, {spool.shortest} to {length}\n"
        "  set Streams.pad to what follows a shorter one, for instance pad=0, and masks=True if the model wants to know"
    )
    raise DataError(msg)


def _told(parts: Iterable[tuple[str | None, ...]]) -> str:
    return ", ".join("y" if part == ("y",) else "x" if part[1] is None else f"x[{part[1]!r}]" for part in parts)


def _names(written: _Written) -> str:
    return _told(("x", name) for name in written.inputs)
