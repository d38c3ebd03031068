"""The tensors of an answer."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..messages import Response, json_response
from ..tensor_facts import BYTES
from ..tensors import TensorError, texts, to_bytes
from .describe import datatype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..engine import Samples
    from ..served import Served
    from .wanted import Output, Wanted

HEADER_LENGTH = b"inference-header-content-length"


def response(model: Served, wanted: Wanted, outputs: Samples) -> Response:
    """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`.

    Raises:
        TensorError: they hold what JSON cannot carry.
    """
    said, data = [], []
    for output in wanted.of(model):
        about, values = told(model, output, outputs[output.name])
        if output.binary:
            data.append(to_bytes(values))
            about["parameters"] = {"binary_data_size": len(data[-1])}
        else:
            about["data"] = _json_values(output.name, values)
        said.append(about)
    head = json_response({**_named(model, wanted), "outputs": said})
    if b"null" in head.body:  # what orjson makes of NaN; looking for it here takes a tenth of looking at every number
        for about in said:
            _check_finite(about["name"], about.get("data"))
    if not data:
        return head
    headers = ((HEADER_LENGTH, b"%d" % len(head.body)),)
    return Response(200, b"".join((head.body, *data)), b"application/octet-stream", headers)


def json_document(model: Served, wanted: Wanted, outputs: Samples) -> dict[str, Any]:
    """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`, as a JSON value.

    Raises:
        TensorError: they hold what JSON cannot carry.
    """
    said = []
    for output in wanted.of(model):
        about, values = told(model, output, outputs[output.name])
        said.append({**about, "data": _json_values(output.name, values)})
        _check_finite(output.name, said[-1]["data"])
    return {**_named(model, wanted), "outputs": said}


def told(model: Served, output: Output, array: NDArray[Any]) -> tuple[dict[str, Any], NDArray[Any]]:
    """Return what is said of an output, and its values."""
    spec = model.outputs[output.name]
    if output.classes:
        array = likeliest(model, output, array)
        return {"name": spec.name, "datatype": "BYTES", "shape": list(array.shape)}, array
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": list(array.shape)}, array


def _json_values(name: str, array: NDArray[Any]) -> Any:
    """Return an output's values, row-major, as orjson writes them."""
    if array.dtype == BYTES:
        try:
            return [one.decode() for one in array.ravel().tolist()]
        except UnicodeDecodeError as exc:
            msg = (
                f"output {name!r} holds bytes that are no text, which JSON cannot carry; ask for it with 'binary_data'"
            )
            raise TensorError(msg) from exc
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype == np.float16 else array).ravel()


def _check_finite(name: str, values: Any) -> None:
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isfinite(values).all():
        msg = f"output {name!r} holds NaN, which JSON cannot carry; ask for it with 'binary_data'"
        raise TensorError(msg)


def _named(model: Served, wanted: Wanted) -> dict[str, Any]:
    named = {"model_name": model.name, "model_version": model.version}
    return named if wanted.id is None else {**named, "id": wanted.id}


def likeliest(model: Served, output: Output, array: NDArray[Any]) -> NDArray[Any]:
    """Return the likeliest classes as texts `value:index:name`, shape `(N, classes)`.

    Source: Triton, extension_classification.md.
    """
    names = model.labels.get(output.name)
    best = np.argsort(-array.astype(np.float64), axis=1, kind="stable")[:, : output.classes]
    found = [
        f"{row[one]:f}:{one}" + (f":{names[one]}" if names else "")
        for row, ones in zip(array, best.tolist(), strict=True)
        for one in ones
    ]
    return texts([one.encode() for one in found]).reshape(best.shape)
