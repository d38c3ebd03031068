"""The samples of a request, in rows or in columns."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensors import TensorError, TensorSpec, check_count, dense, from_b64, is_b64, shape_text, text

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ..engine import Samples
    from ..served import Served


def read_document(document: dict[str, Any], model: Served, *, literals: bool) -> tuple[bool, Samples]:
    """Return whether `document` asks by `instances`, in rows, and the samples that it holds, by input.

    Raises:
        TensorError: it has neither, both, or one that holds no samples of the model's.
        RequestError: they would take too much memory.
    """
    if "instances" in document and "inputs" in document:
        message = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise TensorError(f"JSON Value: {text(document)} {message}")  # noqa: EM102
    if "instances" in document:
        return True, model.check(_instances(document, model, literals=literals))
    if "inputs" in document:
        return False, model.check(_inputs(document["inputs"], model, literals=literals))
    msg = "Missing 'inputs' or 'instances' key"
    raise TensorError(msg)


def _instances(document: dict[str, Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    instances = document["instances"]
    if not isinstance(instances, list):
        msg = f"JSON Value: {text(document)} Excepting 'instances' to be an list/array"
        raise TensorError(msg)
    if not instances:
        msg = f"JSON Value: {text(document)} No values in 'instances' array"
        raise TensorError(msg)
    check_count(len(instances), model.max_batch)  # before anything is done once an instance
    try:
        found = _at_once(instances, model, literals=literals)
    except TensorError:
        found = None  # one by one, to say which
    return _one_by_one(instances, model, literals=literals) if found is None else found


def _at_once(instances: list[Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]] | None:
    """Return what is in `instances`, by input; None: it is not all of one form, or there are bytes among it."""
    specs, kinds = model.inputs, set(map(type, instances))
    if len(specs) == 1 and dict not in kinds:
        ((name, spec),) = specs.items()
        return {name: _dense(instances, spec, literals=literals)}
    if kinds != {dict} or not all(item.keys() == specs.keys() for item in instances):
        return None
    columns = {name: [item[name] for item in instances] for name in specs}
    if any(not specs[name].is_text and dict in set(map(type, column)) for name, column in columns.items()):
        return None
    return {name: _dense(column, specs[name], literals=literals) for name, column in columns.items()}


def _one_by_one(instances: list[Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    named = _is_object(instances[0])
    if not named and len(model.inputs) > 1:
        wanted = "expecting list of objects as multiple input tensors required as per tensorinfo_map"
        msg = f"instances is a plain list, but {wanted}: {{{', '.join(model.inputs)}}}"
        raise TensorError(msg)
    arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in model.inputs}
    for number, item in enumerate(instances):
        if _is_object(item) != named:
            wanted = "Expecting object but got list" if named else "Expecting value/list but got object"
            msg = f"{wanted} at item {number} of input list"
            raise TensorError(msg)
        for name, array in _element(item, number, model, literals=literals).items():
            _check_alike(array, arrays[name], number)
            arrays[name].append(array)
    return {name: np.stack(each) for name, each in arrays.items()}


def _element(item: Any, number: int, model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    """Return one sample of `instances`, by input: its value, or the values under the inputs' names."""
    where = f"Failed to process element: {number}"
    if not _is_object(item):
        ((name, spec),) = model.inputs.items()
        return {name: _value(item, where, spec, literals=literals)}
    _check_keys(item, where, model.inputs)
    return {
        name: _value(item[name], f"{where} key: {name}", spec, literals=literals) for name, spec in model.inputs.items()
    }


def _value(item: Any, where: str, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    try:
        if is_b64(item) and not spec.is_text:
            _check_has_bytes(spec)
            return from_b64(item, spec.dtype, spec.shape)
        return _dense(item, spec, literals=literals)
    except TensorError as exc:
        msg = f"{where} of 'instances' list. Error: INVALID_ARGUMENT: {exc}"
        raise TensorError(msg) from exc


def _check_has_bytes(spec: TensorSpec) -> None:
    if not spec.is_fixed:
        msg = f"bytes do not say the shape, which varies: {shape_text(spec.expected)}; write the values as lists"
        raise TensorError(msg)


def _check_keys(item: dict[str, Any], where: str, names: Collection[str]) -> None:
    for key in item:
        if key not in names:
            error = f"INVALID_ARGUMENT: JSON object: does not have named input: {key}"
            msg = f"{where} key: {key} of 'instances' list. Error: {error}"
            raise TensorError(msg)
    if len(item) < len(names):
        known = ",".join(names)
        msg = f"{where} of 'instances' list. JSON object: {text(item)} keys must be equal to: {known}"
        raise TensorError(msg)


def _check_alike(array: NDArray[Any], arrays: list[NDArray[Any]], number: int) -> None:
    if not arrays or array.shape == arrays[0].shape:
        return
    first, shapes = arrays[0], [str(list(a.shape)).replace(" ", "") for a in (arrays[0], array)]
    detail = f"Expecting tensor size: {first.size} but got: {array.size}"
    if array.size == first.size:
        detail = f"Expecting shape {shapes[0]} but got: {shapes[1]}"
    msg = f"Failed to process element: {number} of 'instances' list. Error: INVALID_ARGUMENT: {detail}"
    raise TensorError(msg)


def _inputs(value: Any, model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    if not _is_object(value):
        if len(model.inputs) > 1:
            wanted = "expecting an object as multiple input tensors required as per tensorinfo_map"
            msg = f"inputs is a plain value/list, but {wanted}: {{{', '.join(model.inputs)}}}"
            raise TensorError(msg)
        ((name, spec),) = model.inputs.items()
        return {name: _column(value, spec, literals=literals)}
    for name in model.inputs:
        if name not in value:
            msg = f"Missing named input: {name} in 'inputs' object."
            raise TensorError(msg)
    found = {}
    for name, spec in model.inputs.items():
        try:
            found[name] = _column(value[name], spec, literals=literals)
        except TensorError as exc:
            msg = f"input {name!r}: {exc}" if len(model.inputs) > 1 else str(exc)
            raise TensorError(msg) from exc
    return found


def _column(value: Any, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if is_b64(value) and not spec.is_text:
        _check_has_bytes(spec)
        return from_b64(value, spec.dtype, (-1, *spec.shape))
    return _dense(value, spec, literals=literals)


def _dense(value: Any, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    return dense(value, spec.dtype, has_literals=literals, may_miss=spec.may_miss)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)
