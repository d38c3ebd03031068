"""Handlers that decode, asked for the samples alone of which it is not known yet what they make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from modelyard.files.decoded import Decoded
from modelyard.serving.errors import HandlerError
from modelyard.serving.groups import Group, alike, merged
from modelyard.serving.handlers import Chain, Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.execution.job import Job
    from modelyard.serving.handlers import Tensors

    Sample = Mapping[str, NDArray[Any]]

_AXIS = "<i8"


@contextmanager
def decoding(chain: Chain, job: Job) -> Iterator[Chain]:
    """Give the handlers of a stage: what those that decode make of a sample is kept, and found again in a later run.

    These are the first of those before the model, as many as say that they are `cacheable` and give numbers at last. The others
    are asked as they always are.
    """
    reach = _reach(chain)
    ways = [job.ways.get(f"before:{number}", "") for number in range(1, reach + 1)]
    if not ways or not all(ways):
        yield chain
        return
    way = hashlib.sha256("".join(ways).encode()).hexdigest()
    with Decoded(job.base.cache, way) as decoded:
        yield DecodingChain(chain.before, chain.after, decoded=decoded, reach=reach)
    job.base.log(f"handlers: samples that were not decoded before: {decoded.made:,}")


def _reach(chain: Chain) -> int:
    """Return how many of the first handlers decode."""
    reach = len(list(takewhile(lambda one: one.cacheable, chain.before)))
    while reach and not _gives_numbers(chain.before[:reach]):
        reach -= 1
    return reach


def _gives_numbers(handlers: Sequence[Any]) -> bool:
    try:
        return all(one.dtype != "bytes" for one in Chain(tuple(handlers)).model_inputs().values())
    except HandlerError:  # they do not fit each other: who looks at the whole chain says so
        return False


@dataclass(frozen=True)
class DecodingChain(Chain):
    """A chain whose first handlers decode.

    Attributes:
        decoded: what they made before.
        reach: how many they are.
    """

    decoded: Decoded = field(kw_only=True)
    reach: int = field(kw_only=True)

    @cached_property
    def _first(self) -> Chain:
        return Chain(self.before[: self.reach])

    @cached_property
    def _takes(self) -> tuple[str, ...]:
        return tuple(self._first.inputs())

    @cached_property
    def _types(self) -> dict[str, str]:
        return {name: one.dtype for name, one in self._first.model_inputs().items()}

    @cached_property
    def _rest(self) -> Chain:
        return Chain(self.before[self.reach :])

    def prepare(self, tensors: Tensors) -> list[Group]:
        """Return what the model takes for what a client sent, as `Chain.prepare` does."""
        by = {name: array for name, array in tensors.items() if name not in self._takes}
        groups = self._decode({name: tensors[name] for name in self._takes})
        return merged([made for one in groups for made in self._finished(one, by)])

    def _finished(self, group: Group, by: Tensors) -> list[Group]:
        """Return what the other handlers make of some of the samples, beside what goes by those that decode."""
        tensors = {**{name: array[group.rows] for name, array in by.items()}, **group.tensors}
        try:
            return [made.of(group.rows) for made in self._rest.prepare(tensors)]
        except Refused as exc:
            raise exc.among(group.rows) from exc

    def _decode(self, tensors: Tensors) -> list[Group]:
        """Return what those that decode make of samples, which are asked for those alone that were not there before."""
        digests = digests_of(tensors)
        known = self.decoded.known(digests)
        if not known:
            groups = self._first.prepare(tensors)
            self._keep(groups, digests)
            return groups
        values = {digest: self._unpacked(value) for digest, value in known.items()}
        values |= self._made(tensors, {digest: row for row, digest in enumerate(digests) if digest not in known})
        return _grouped([values[digest] for digest in digests])

    def _made(self, tensors: Tensors, missing: Mapping[bytes, int]) -> dict[bytes, Sample]:
        """Return what is made of the samples with the given digests and rows."""
        import numpy as np

        if not missing:
            return {}
        rows, digests = np.fromiter(missing.values(), np.int64), list(missing)
        try:
            groups = self._first.prepare({name: array[rows] for name, array in tensors.items()})
        except Refused as exc:
            raise exc.among(rows) from exc
        self._keep(groups, digests)
        return {digests[row]: sample for row, sample in _samples(groups)}

    def _keep(self, groups: Sequence[Group], digests: Sequence[bytes]) -> None:
        self.decoded.keep({digests[row]: self._packed(sample) for row, sample in _samples(groups)})

    def _packed(self, sample: Sample) -> bytes:
        """Return a sample as bytes: each tensor's axes, and behind them its values."""
        arrays = [sample[name] for name in self._types]
        return b"".join([part for array in arrays for part in (_head(array.shape), array.tobytes())])

    def _unpacked(self, value: bytes) -> Sample:
        import numpy as np

        sample, at = {}, 0
        for name, dtype in self._types.items():
            axes = int(np.frombuffer(value, _AXIS, 1, at)[0])
            shape = np.frombuffer(value, _AXIS, axes, at + 8)
            size = int(shape.prod())
            at += 8 + 8 * axes
            sample[name] = np.frombuffer(value, dtype, size, at).reshape(shape)
            at += sample[name].nbytes
        return sample


@lru_cache(maxsize=256)
def _head(shape: tuple[int, ...]) -> bytes:
    import numpy as np

    return np.array([len(shape), *shape], _AXIS).tobytes()


def digests_of(tensors: Tensors) -> list[bytes]:
    """Return a digest of each sample in its raw form, that is of what handlers take of it."""
    return [_digest(values) for values in zip(*tensors.values(), strict=True)]


def _digest(values: Sequence[Any]) -> bytes:
    """Return the digest of one sample: of each value what it is, how long, and its bytes."""
    found = hashlib.sha256()
    for value in values:
        told, raw = _raw(value)
        found.update(told)
        found.update(raw)
    return found.digest()


def _raw(value: Any) -> tuple[bytes, Any]:
    """Return what a value is, and its bytes; of an array of `bytes` objects the digest of these."""
    import numpy as np

    if isinstance(value, bytes):
        return b"%d;" % len(value), value
    array = np.ascontiguousarray(value)
    told = f"{array.dtype.str}{array.shape};".encode()
    return told, _digest(array.ravel().tolist()) if array.dtype == object else array.data


def _samples(groups: Sequence[Group]) -> Iterator[tuple[int, Sample]]:
    """Yield each sample with its row."""
    for group in groups:
        for at, row in enumerate(group.rows.tolist()):
            yield row, {name: array[at] for name, array in group.tensors.items()}


def _grouped(samples: Sequence[Sample]) -> list[Group]:
    """Return samples in groups of one shape."""
    import numpy as np

    columns = {name: [one[name] for one in samples] for name in samples[0]}
    return [
        Group(rows, {name: np.stack([values[row] for row in rows.tolist()]) for name, values in columns.items()})
        for rows in alike(columns.values(), len(samples))
    ]
