"""The tensors of a request: JSON values, or the bytes behind them."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..served import Sizes
from ..tensors import TensorError, TensorSpec, dense, from_bytes, nesting, text
from .describe import datatype
from .objects import as_object, names, parameters_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine import Samples
    from ..served import Served

NOTHING = memoryview(b"")


def read_inputs(request: dict[str, Any], model: Served, binary: memoryview = NOTHING, *, literals: bool) -> Samples:
    """Return the samples of a request by input, in the order of the model's.

    Args:
        request: the JSON.
        model: what they are for.
        binary: the bytes that follow it.
        literals: whether `true` or `false` may stand among its values.

    Raises:
        TensorError: they are not what `model` takes.
        RequestError: they would take too much memory.
    """
    inputs = by_name(request.get("inputs"), model)
    shapes = check_headers(inputs, model)
    found: dict[str, NDArray[Any]] = {}
    rest = binary
    for name, tensor in inputs.items():  # in the request's order, as the bytes behind it are
        size, spec = parameters_of(tensor).get("binary_data_size"), model.inputs[name]
        if size is None:
            found[name] = _from_json(tensor, shapes[name], spec, literals=literals)
        else:
            last = len(inputs) == 1 or _is_last(len(found), inputs)
            found[name] = _from_binary(tensor, shapes[name], size, rest, spec, last=last)
            rest = rest[size:]
    if rest:
        of = "no input has" if len(rest) == len(binary) else "all that the inputs have in"
        msg = f"{len(rest)} bytes follow the JSON, but {of} 'binary_data_size'"
        raise TensorError(msg)
    return in_order(found, model)


def _is_last(number: int, inputs: dict[str, dict[str, Any]]) -> bool:
    """Return whether no input behind that of this number is in the bytes."""
    return not any("binary_data_size" in parameters_of(one) for one in list(inputs.values())[number + 1 :])


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


def _from_json(tensor: dict[str, Any], shape: tuple[int, ...], spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if not isinstance(tensor.get("data"), list):
        msg = f"input {spec.name!r}: 'data' must be a list, nested or flat"
        raise TensorError(msg)
    found = nesting(tensor["data"])
    if found not in (shape, (math.prod(shape),)):  # before anything is done once a value
        expected = f"{list(shape)}, or flat with {math.prod(shape)} values"
        msg = f"input {spec.name!r}: 'data' has shape {list(found)}, expected {expected}"
        raise TensorError(msg)
    try:
        return dense(tensor["data"], spec.dtype, has_literals=literals).reshape(shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc


def _from_binary(
    tensor: dict[str, Any], shape: tuple[int, ...], size: Any, rest: memoryview, spec: TensorSpec, *, last: bool
) -> NDArray[Any]:
    """Return an input whose bytes are the first of `rest`, or all of it if no other input has some."""
    if "data" in tensor:
        msg = f"input {spec.name!r} has both 'data' and 'binary_data_size'"
        raise TensorError(msg)
    if type(size) is not int or not 0 <= size <= len(rest) or (last and size != len(rest)):
        msg = f"input {spec.name!r}: 'binary_data_size' is {text(size)}, but {len(rest)} bytes follow the JSON"
        raise TensorError(msg)
    try:
        return from_bytes(rest[:size], spec.dtype, shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc
