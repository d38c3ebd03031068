"""Handlers: what stands around the model, for clients that send texts, pictures or sounds, and want names or boxes.

A handler turns named tensors into others. Those before the model make its inputs of what a client sends, those after it
make the client's answer of its outputs. The same code runs where a model is evaluated, where its image is checked, and in
the server; so a handler imports nothing of modelyard when it runs: all that it is given is described here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import HandlerError, InputError
from .groups import Group, alike, merged
from .handler_tensor import Tensor
from .tensor_facts import DTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tensors = Mapping[str, "NDArray[Any]"]
"""Tensors by name, each with as many samples along its first axis as the others."""
Run = Callable[[Tensors], Mapping[str, Any]]


@dataclass(frozen=True)
class Handler:
    """What a handler's function returns; `Place.handler` makes one.

    Attributes:
        run: makes of the tensors that it takes those that it gives; a `ValueError` says that a sample is none.
        takes: the tensors that it takes; they are gone behind it unless it gives them, too.
        gives: the tensors that it gives.
        name: what messages call it.
        file: where its code is, for messages; empty in a server, which has a traceback.
        cacheable: whether what it makes of a sample may be kept, see `Place.handler`.
    """

    run: Run
    takes: tuple[Tensor, ...]
    gives: tuple[Tensor, ...]
    name: str = ""
    file: str = ""
    cacheable: bool = False

    def __call__(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Return the tensors behind it for those before it; what it does not take goes by.

        Raises:
            InputError: a sample is not what it takes; the message says which.
            HandlerError: it does not give what it says, or samples of several lengths.
        """
        groups = self.groups(tensors)
        if len(groups) > 1:
            msg = f"{self.who}: gave samples of several lengths; only what stands before the model may"
            raise HandlerError(msg)
        return {**groups[0].tensors}

    def groups(self, tensors: Tensors) -> list[Group]:
        """Return the same, where it may give each sample a length of its own: those of one shape go together.

        Raises:
            InputError: a sample is not what it takes; the message says which.
            HandlerError: it does not give what it says.
        """
        taken = {one.name: tensors[one.name] for one in self.takes}
        rows = len(next(iter(taken.values())))
        found = self._found(taken, rows)
        rest = {name: array for name, array in tensors.items() if name not in taken}
        try:
            return self._grouped(rest, found, rows)
        except HandlerError as exc:
            msg = f"{self.who}: {exc}"
            raise HandlerError(msg) from exc

    def _found(self, taken: Tensors, rows: int) -> Mapping[str, Any]:
        """Return what it gives, which is not looked at yet."""
        try:
            found = self.run(taken)
        except ValueError as exc:
            raise self._refusal(taken, rows, exc) from exc
        if not isinstance(found, Mapping) or found.keys() != {one.name for one in self.gives}:
            said = ", ".join(repr(one.name) for one in self.gives)
            given = ", ".join(map(repr, found)) if isinstance(found, Mapping) else f"a {type(found).__name__}"
            msg = f"{self.who}: gave {given}; it says {said}"
            raise HandlerError(msg)
        return found

    def _grouped(self, rest: Tensors, found: Mapping[str, Any], rows: int) -> list[Group]:
        """Return what it gives beside what goes by, in groups of one shape."""
        listed = {one.name: each for one in self.gives if (each := one.each(found[one.name], rows)) is not None}
        parts = alike(listed.values(), rows) if listed else []
        if len(parts) < 2:
            return [Group(np.arange(rows), {**rest, **self._arrays(found, rows)})]
        arrays = {one.name: one.array(found[one.name], rows, {}) for one in self.gives if one.name not in listed}
        rest = {**rest, **arrays}
        return [
            Group(
                part, {name: array[part] for name, array in rest.items()} | self._arrays(_some(listed, part), len(part))
            )
            for part in parts
        ]

    def _arrays(self, found: Mapping[str, Any], rows: int) -> dict[str, NDArray[Any]]:
        """Return what it gave as it says, of samples of one shape."""
        lengths: dict[str, int] = {}
        return {one.name: one.array(found[one.name], rows, lengths) for one in self.gives if one.name in found}

    @property
    def who(self) -> str:
        """What messages begin with."""
        return who(self.name, self.file)

    def _refusal(self, taken: Tensors, rows: int, whole: ValueError) -> Refused:
        """Return what is wrong with the first sample that is refused by itself; where none is, with all of them."""
        names = ", ".join(repr(name) for name in taken)
        for row in range(rows if rows > 1 else 0):
            try:
                self.run({name: array[row : row + 1] for name, array in taken.items()})
            except ValueError as exc:
                return Refused(names, row, str(exc))
        return Refused(names, 0 if rows == 1 else None, str(whole))


class Refused(InputError):
    """A sample is not what a handler takes.

    Attributes:
        names: the inputs, for messages.
        row: which sample; None: all of them together.
        why: what is wrong with it.
    """

    def __init__(self, names: str, row: int | None, why: str) -> None:
        sample = "" if row is None else f", sample {row}"
        super().__init__(f"input {names}{sample}: {why}")
        self.names, self.row, self.why = names, row, why

    def after(self, rows: int) -> Refused:
        """Return the same with `rows` samples before it."""
        return Refused(self.names, None if self.row is None else self.row + rows, self.why)

    def among(self, rows: NDArray[np.int64]) -> Refused:
        """Return the same of samples that are `rows` of a larger whole."""
        return Refused(self.names, None if self.row is None else int(rows[self.row]), self.why)


@dataclass(frozen=True)
class Place:
    """Where a handler stands: the first argument of its function.

    Attributes:
        labels: the names of what the last axis of each of the model's outputs holds, for instance of classes, by output;
            there are none before there is a model.
    """

    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def tensor(
        self,
        name: str,
        dtype: str = "float32",
        shape: Iterable[int | str] = (),
        *,
        may_miss: bool = False,
        pad: float = 0,
    ) -> Tensor:
        """Return a tensor for `handler`, see `Tensor`.

        Raises:
            HandlerError: there is no such dtype; or a number may be missing that is no float.
        """
        if dtype not in DTYPES:
            from difflib import get_close_matches  # a server that starts needs none of it

            near = get_close_matches(str(dtype), DTYPES, 1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            msg = f"tensor {name!r}: there is no dtype {dtype!r}{meant}\n  allowed: {', '.join(DTYPES)}"
            raise HandlerError(msg)
        if may_miss and not dtype.startswith("float"):
            msg = f"tensor {name!r}: may_miss: a number of {dtype} cannot be NaN\n  take it as float32, or say that none is missing"
            raise HandlerError(msg)
        return Tensor(name, dtype, tuple(shape), may_miss, pad)

    def handler(
        self, run: Run, takes: Sequence[Tensor], gives: Sequence[Tensor], *, cacheable: bool = False
    ) -> Handler:
        """Return a handler.

        Args:
            run: makes of the tensors that it takes, by name, those that it gives, by name: arrays with the samples along
                their first axis, or lists. Of a tensor whose shape has a name in it the arrays in a list may be of
                several lengths: what stands behind gets those of one shape together. It raises a `ValueError` where a sample is not what it takes: the client is
                told the message, and which sample. Any other error is the handler's own.
            takes: one or more tensors.
            gives: one or more tensors.
            cacheable: whether what it makes of a sample is the same to the last bit whatever comes beside it, and costs
                more than to read it from a disk, as decoding does: where a data set changes, the samples that were there
                before are not asked for again.

        Raises:
            HandlerError: one of the two is empty.
        """
        if not takes or not gives:
            msg = "a handler takes one tensor or more, and gives one or more"
            raise HandlerError(msg)
        return Handler(run, tuple(takes), tuple(gives), cacheable=cacheable)


@dataclass(frozen=True)
class Chain:
    """The handlers of a project, each list in the order in which they run."""

    before: tuple[Handler, ...] = ()
    after: tuple[Handler, ...] = ()

    def arrays(self, samples: Mapping[str, Sequence[Any] | NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return what a client sends as arrays, for samples as lists or arrays: texts, `bytes`, or rows of numbers.

        Raises:
            HandlerError: they are not what the first handlers take.
        """
        lengths: dict[str, int] = {}
        return {name: one.array(samples[name], len(samples[name]), lengths) for name, one in self.inputs().items()}

    def model_inputs(self) -> dict[str, Tensor]:
        """Return the tensors that those before the model leave for it, by name."""
        there: dict[str, Tensor] = {}
        for one in self.before:
            there = _behind(one, there)
        return there

    def inputs(self) -> dict[str, Tensor]:
        """Return the tensors that those before the model want of the client, by name."""
        return _wanted(self.before)

    def model_outputs(self) -> dict[str, Tensor]:
        """Return the tensors that those after the model want of it, by name."""
        return _wanted(self.after)

    def outputs(self) -> dict[str, Tensor]:
        """Return the tensors that those after the model leave for the client, by name, beside those that they let by."""
        there: dict[str, Tensor] = {}
        for one in self.after:
            there = _behind(one, there)
        return there

    def let_by(self, name: str) -> bool:
        """Whether the client gets the model's own output of this name."""
        return name not in self.model_outputs()

    def prepare(self, tensors: Tensors) -> list[Group]:
        """Return what the model takes for what a client sent, as `Handler` says: samples of one shape together."""
        groups = [Group(np.arange(len(next(iter(tensors.values())))), tensors)]
        for one in self.before:
            groups = [made for group in groups for made in _behind_group(one, group)]
        return merged(groups)

    def finish(self, tensors: Tensors) -> Tensors:
        """Return what a client gets for what the model answered."""
        for one in self.after:
            try:
                tensors = one(tensors)
            except InputError as exc:  # the model's answers are no client's mistake
                msg = f"{one.who}: {exc}"
                raise HandlerError(msg) from exc
        return tensors


def who(name: str, file: str = "") -> str:
    """Return what messages call a handler: by its name, with the file that has its code."""
    return f"the handler {name!r} ({file})" if file else f"the handler {name!r}"


def _some(listed: Mapping[str, Sequence[Any]], rows: NDArray[np.int64]) -> dict[str, list[Any]]:
    return {name: [each[row] for row in rows] for name, each in listed.items()}


def _behind_group(one: Handler, group: Group) -> list[Group]:
    """Return what a handler gives for some of the samples that came together."""
    try:
        return [made.of(group.rows) for made in one.groups(group.tensors)]
    except Refused as exc:
        raise exc.among(group.rows) from exc


def _behind(one: Handler, there: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors behind a handler: what it takes is gone, unless it gives it again.

    An axis that it calls by one name in what it takes and in what it gives is as long behind it as before.
    """
    taken, lengths = {tensor.name: tensor for tensor in one.takes}, dict[str, int | str]()
    for name, tensor in taken.items():
        if (given := there.get(name)) is None:
            continue
        if not _alike(given, tensor):
            msg = f"{one.who} takes {_said(tensor)}, but the one before it gives {_said(given)}"
            raise HandlerError(msg)
        lengths |= {
            axis: length for axis, length in zip(tensor.shape, given.shape, strict=False) if isinstance(axis, str)
        }
    lengths.pop("...", None)
    kept = {name: tensor for name, tensor in there.items() if name not in taken}
    gives = (replace(made, shape=tuple(lengths.get(str(axis), axis) for axis in made.shape)) for made in one.gives)
    return kept | {tensor.name: tensor for tensor in gives}


def _wanted(handlers: Sequence[Handler]) -> dict[str, Tensor]:
    """Return what `handlers` take that none of those before them gives, by name."""
    wanted: dict[str, Tensor] = {}
    there: set[str] = set()
    for one in handlers:
        wanted |= {tensor.name: tensor for tensor in one.takes if tensor.name not in there}
        there |= {tensor.name for tensor in (*one.takes, *one.gives)}
    return wanted


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor may be taken for another."""
    return one.dtype == other.dtype and may_be(one.shape, other.shape)


def may_be(shape: tuple[Any, ...], axes: tuple[Any, ...]) -> bool:
    """Whether a tensor of `shape` may be one of `axes`: what varies fits any length, and `("...",)` anything."""
    if ("...",) in (shape, axes):
        return True
    pairs = zip(shape, axes, strict=False)
    return len(shape) == len(axes) and all(isinstance(a, str) or isinstance(b, str) or a == b for a, b in pairs)


def _said(tensor: Tensor) -> str:
    return f"{tensor.name!r} as {tensor.dtype}, shape ({', '.join(map(str, ('any', *tensor.shape)))})"
