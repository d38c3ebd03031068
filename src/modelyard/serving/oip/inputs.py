"""The tensors of a request: JSON values, or the bytes behind them."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..served import Sizes
from ..tensors import TensorError, TensorSpec, dense, from_bytes, nesting, text
from .describe import datatype
from .objects import as_object, names, parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..engine import Samples
    from ..served import Served

NOTHING = memoryview(b"")
NONE = object()
"""In place of data that is not there: `null` is there, but no data."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a request's JSON tells of an input.

    Attributes:
        shape: its shape, with the batch axis, as the model takes it.
        size: how many of the bytes behind the JSON it takes, not checked yet; None: its values are in the JSON.
        data: these values, not checked yet; `NONE` if there are none.
    """

    shape: tuple[int, ...]
    size: Any
    data: Any


def read_inputs(request: dict[str, Any], model: Served, *, literals: bool) -> Samples:
    """Return the samples of a request that is JSON alone by input, in the order of the model's.

    Args:
        request: the JSON.
        model: what they are for.
        literals: whether `true` or `false` may stand among its values.

    Raises:
        TensorError: they are not what `model` takes.
        RequestError: they would take too much memory.
    """
    return read_data(read_told(request.get("inputs"), model), model, NOTHING, literals=literals)


def read_told(inputs: Any, model: Served) -> dict[str, Told]:
    """Return what a request's `inputs` tell of each, in their order; the data is not looked at.

    Raises:
        TensorError: the model takes others.
        RequestError: they would take too much memory.
    """
    tensors = by_name(inputs, model)
    shapes = check_headers(tensors, model)
    return {
        name: Told(shapes[name], parameters_of(one).get("binary_data_size"), one.get("data", NONE))
        for name, one in tensors.items()
    }


def read_data(inputs: Mapping[str, Told], model: Served, binary: memoryview, *, literals: bool) -> Samples:
    """Return the samples of a request by input, in the order of the model's.

    Args:
        inputs: what its JSON tells of them.
        model: what they are for.
        binary: the bytes that follow the JSON.
        literals: whether `true` or `false` may stand among its values.

    Raises:
        TensorError: they are not what `model` takes.
    """
    found: dict[str, NDArray[Any]] = {}
    rest = binary
    for name, told in inputs.items():  # in the request's order, as the bytes behind it are
        spec = model.inputs[name]
        if told.size is None:
            found[name] = _from_json(told, spec, literals=literals)
        else:
            last = len(inputs) == 1 or _is_last(len(found), inputs)
            found[name] = _from_binary(told, rest, spec, last=last)
            rest = NOTHING if last else rest[told.size :]
    if rest:
        of = "no input has" if len(rest) == len(binary) else "all that the inputs have in"
        msg = f"{len(rest)} bytes follow the JSON, but {of} 'binary_data_size'"
        raise TensorError(msg)
    return in_order(found, model)


def _is_last(number: int, inputs: Mapping[str, Told]) -> bool:
    """Return whether no input behind that of this number is in the bytes."""
    return all(one.size is None for one in list(inputs.values())[number + 1 :])


def in_order(found: dict[str, NDArray[Any]], model: Served) -> Samples:
    """Return inputs whose shapes were checked in the order of the model's, once their values are in range.

    Raises:
        TensorError: one is not.
    """
    for name, spec in model.inputs.items():
        spec.check_values(found[name])
    return found if len(found) == 1 else {name: found[name] for name in model.inputs}


def by_name(inputs: Any, model: Served) -> dict[str, dict[str, Any]]:
    """Return a request's tensors by name, in its order.

    Raises:
        TensorError: they are not those that the model takes.
    """
    if not isinstance(inputs, list) or len(inputs) != len(model.inputs):
        count = "one tensor" if len(model.inputs) == 1 else f"{len(model.inputs)} tensors"
        msg = f"'inputs' must be a list of {count}, {names(model.inputs)}"
        raise TensorError(msg)
    found: dict[str, dict[str, Any]] = {}
    for one in inputs:
        tensor = as_object(one, "an input")
        name = tensor.get("name")
        if not isinstance(name, str) or name not in model.inputs:
            msg = f"unknown input {text(name)}; model {model.name!r} takes {names(model.inputs)}"
            raise TensorError(msg)
        if name in found:
            msg = f"input {name!r} is there twice; model {model.name!r} takes {names(model.inputs)}"
            raise TensorError(msg)
        found[name] = tensor
    return found


def check_headers(inputs: dict[str, dict[str, Any]], model: Served) -> dict[str, tuple[int, ...]]:
    """Return the tensors' shapes; their datatypes and shapes are checked before the data is looked at.

    Raises:
        TensorError: the model takes others.
        RequestError: they would take too much memory.
    """
    # of one input of one shape there is nothing to compare
    sizes = Sizes(model) if len(inputs) > 1 or model.facts.varies else None
    found = {name: _check_header(tensor, model.inputs[name], model, sizes) for name, tensor in inputs.items()}
    if sizes is not None:
        sizes.check_bytes()
    return found


def _check_header(tensor: dict[str, Any], spec: TensorSpec, model: Served, sizes: Sizes | None) -> tuple[int, ...]:
    wanted = datatype(spec.dtype)
    if tensor.get("datatype") != wanted:
        msg = f"input {spec.name!r} has datatype {text(tensor.get('datatype'))}, expected {wanted!r}"
        raise TensorError(msg)
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 31 for size in shape):
        msg = f"input {spec.name!r}: 'shape' is {text(shape)}, expected a list of whole numbers"
        raise TensorError(msg)
    if len(shape) != len(spec.dims) or (spec.is_fixed and shape[1:] != spec.dims[1:]):
        msg = f"input {spec.name!r} has shape {shape}, expected {spec.dims}"
        raise TensorError(msg)
    if shape[0] > model.max_batch:
        msg = f"input {spec.name!r} holds {shape[0]} samples; at most {model.max_batch} are taken"
        raise TensorError(msg)
    if sizes is not None:
        sizes.note(spec, tuple(shape))
    elif not shape[0]:
        msg = f"input {spec.name!r} holds no samples"
        raise TensorError(msg)
    return tuple(shape)


def _from_json(told: Told, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if not isinstance(told.data, list):
        msg = f"input {spec.name!r}: 'data' must be a list, nested or flat"
        raise TensorError(msg)
    found = nesting(told.data)
    if found not in (told.shape, (math.prod(told.shape),)):  # before anything is done once a value
        expected = f"{list(told.shape)}, or flat with {math.prod(told.shape)} values"
        msg = f"input {spec.name!r}: 'data' has shape {list(found)}, expected {expected}"
        raise TensorError(msg)
    try:
        return dense(told.data, spec.dtype, has_literals=literals, may_miss=spec.may_miss).reshape(told.shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc


def _from_binary(told: Told, rest: memoryview, spec: TensorSpec, *, last: bool) -> NDArray[Any]:
    """Return an input whose bytes are the first of `rest`, or all of it if no other input has some."""
    size = told.size
    if told.data is not NONE:
        msg = f"input {spec.name!r} has both 'data' and 'binary_data_size'"
        raise TensorError(msg)
    if type(size) is not int or not 0 <= size <= len(rest) or (last and size != len(rest)):
        msg = f"input {spec.name!r}: 'binary_data_size' is {text(size)}, but {len(rest)} bytes follow the JSON"
        raise TensorError(msg)
    try:
        return from_bytes(rest if last else rest[:size], spec.dtype, told.shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc
