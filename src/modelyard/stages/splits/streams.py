"""Samples that come one after another, written down as they come: one sample is in memory at a time."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.artifacts import ONLY_INPUT, Splits
from modelyard.errors import DataError
from modelyard.stages.splits.spool import BytesSpool, NumbersSpool, Spool
from modelyard.stages.splits.texts import is_text

if TYPE_CHECKING:
    from modelyard.artifacts import Streams
    from modelyard.contexts import Progress

_IGNORED = -1
"""What labels of positions that are no part of a sample are: they do not count."""
_TELL_EVERY = 256
_Part = tuple[str, str | None]
"""`x` or `y`, and the name of the input or output; None: it has none."""


class _Written(NamedTuple):
    """One split: its columns by input, and its labels by output, if it has some; None for a single one without a name."""

    inputs: dict[str | None, Spool]
    labels: dict[str | None, Spool]


def splits_of(streams: Streams, cache: Path, progress: Progress) -> Splits:
    """Write down what `streams` gives, in files in `cache` that have no names, and return it as splits.

    Raises:
        DataError: a sample is none, or not like those before it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    sources = {"train": streams.train, "test": streams.test, **_sets(streams)}
    written = {split: _write(source, split, cache, progress) for split, source in sources.items()}
    train = written["train"]
    for split, one in written.items():
        if train.inputs.keys() != one.inputs.keys():
            msg = f"train has {_names(train)}, but {split} has {_names(one)}\n  give samples of both the same inputs"
            raise DataError(msg)
    longest = _longest(*written.values())
    given = {split: _arrays(one, longest, streams) for split, one in written.items()}
    (train_x, train_y), (test_x, test_y) = given.pop("train"), given.pop("test")
    ranges = _ranges(streams.value_range, train_x)
    return Splits(
        train_x,
        train_y,
        test_x,
        test_y,
        streams.class_names,
        ranges,
        streams.slices,
        given,
        streams.groups,
        streams.test_set_slices,
    )


def _ranges(given: Any, samples: Any) -> Any:
    """Return the value range of what has got a name only since there is a mask beside it."""
    is_one = isinstance(samples, Mapping) and ONLY_INPUT in samples and isinstance(given, tuple | list)
    return {ONLY_INPUT: given} if is_one else given


def _sets(streams: Streams) -> Mapping[str, Any]:
    """Return what gives further test sets; their names are looked at with those of `Splits`.

    Raises:
        DataError: it is no dict, or one is called as a split is.
    """
    sets: Any = streams.test_sets
    if not isinstance(sets, Mapping) or {"train", "test"} & sets.keys():
        what = "holds train or test" if isinstance(sets, Mapping) else f"is a {type(sets).__name__}"
        msg = f"test_sets: {what}\n  give a dict with what gives the samples of each further set by its name"
        raise DataError(msg)
    return sets


def _write(source: Any, split: str, cache: Path, progress: Progress) -> _Written:
    total = operator.length_hint(source) or None  # a tf.data.Dataset may have `__len__` and no length
    spools: dict[_Part, Spool] = {}
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
    inputs, labels = ({part[1]: one for part, one in spools.items() if part[0] == side} for side in "xy")
    return _Written(inputs, labels)


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


def _parts(sample: Any, place: str) -> Iterator[tuple[_Part, Any]]:
    """Yield each part of a sample: `("x", input)`, and `("y", output)` if there is a label; without a name None stands for it."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        what = f"{len(sample)} values" if isinstance(sample, tuple | list) else f"a {type(sample).__name__}"
        msg = f"{place} is {what}, not a pair (x, y)\n  give pairs; y is None where there is nothing to be learnt"
        raise DataError(msg)
    x, y = sample
    named = x if isinstance(x, Mapping) else {None: x}
    yield from ((("x", name), value) for name, value in named.items())
    if y is not None:
        labels = y if isinstance(y, Mapping) else {None: y}
        yield from ((("y", name), value) for name, value in labels.items())


def _spool(value: Any, cache: Path) -> Spool:
    return BytesSpool(cache) if is_text(value) else NumbersSpool(cache)


def _longest(*written: _Written) -> dict[_Part, int]:
    """Return how long the longest sample is of each part whose samples are of several lengths."""
    found: dict[_Part, list[NumbersSpool]] = {}
    for split in written:
        sides = {"x": split.inputs, "y": split.labels}
        for part, spool in (((side, name), one) for side, spools in sides.items() for name, one in spools.items()):
            if isinstance(spool, NumbersSpool):
                found.setdefault(part, []).append(spool)
    longest = {part: max(one.longest for one in spools) for part, spools in found.items()}
    return {part: length for part, length in longest.items() if any(one.shortest < length for one in found[part])}


def _arrays(written: _Written, longest: Mapping[_Part, int], streams: Streams) -> tuple[Any, Any]:
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
    labels = {name: _labels(spool, longest.get(("y", name))) for name, spool in written.labels.items()}
    return inputs.get(None, inputs), labels.get(None, labels) if labels else None


def _labels(spool: Spool, length: int | None) -> Any:
    if isinstance(spool, NumbersSpool):
        return spool.array() if length is None else spool.padded(length, _IGNORED)[:]
    return spool.texts()


def _pad(name: str | None, spool: NumbersSpool, length: int, streams: Streams) -> float:
    if streams.pad is not None:
        return streams.pad
    what = "samples" if name is None else f"those of the input {name!r}"
    msg = (
        f"{what} are of several lengths, {spool.shortest} to {length}\n"
        "  set Streams.pad to what follows a shorter one, for instance pad=0, and masks=True if the model wants to know"
    )
    raise DataError(msg)


def _told(parts: Iterable[_Part]) -> str:
    return ", ".join(str(side) if name is None else f"{side}[{name!r}]" for side, name in parts)


def _names(written: _Written) -> str:
    return _told(("x", name) for name in written.inputs)
