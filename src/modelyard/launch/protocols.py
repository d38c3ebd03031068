"""What a server is asked through each of its protocols, and what its answers hold: named tensors, both ways."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.tensors import OutputFacts

Exchange = Callable[[str, object], Any]
"""Asks a path, with a body (None: by GET), and returns what `answered` makes of the answer; the body is a JSON value."""
Ask = Callable[[Exchange, str, Mapping[str, "NDArray[Any]"], Sequence["OutputFacts"]], dict[str, "NDArray[Any]"]]
"""Asks the model of a name for raw samples by input, and returns its outputs by name."""


HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header with the length of an answer's JSON, where tensors follow it as bytes."""
_BODY_BYTES = 4 * 1024 * 1024
"""The largest body that is sent, roughly, unless a single sample is larger: a half of what targets let in by default."""
_AS_JSON = 5
"""Bytes that a byte of a number takes in JSON, at most: 20 characters of a float32."""


def parts(inputs: Mapping[str, NDArray[Any]], most: int | None = None) -> Iterator[slice]:
    """Yield the rows that are sent in one request each: of one shape, and so few that no body is too large for a server.

    Args:
        inputs: samples by input.
        most: how many rows may go together; None: any number.
    """
    start = size = row = 0
    before: object = None
    for row, (more, shapes) in enumerate(_sizes(inputs)):
        if row > start and (size + more > _BODY_BYTES or shapes != before or row - start == most):
            yield slice(start, row)
            start, size = row, 0
        size, before = size + more, shapes
    yield slice(start, row + 1)


def _sizes(inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
    """Yield how many bytes each sample takes in a body, and the shapes of its arrays."""
    import numpy as np

    def size(held: NDArray[Any]) -> int:
        return sum(map(len, held.flat)) * 4 // 3 if held.dtype.kind == "O" else held.nbytes * _AS_JSON

    for row in range(len(next(iter(inputs.values())))):
        each = [np.asarray(array[row : row + 1]) for array in inputs.values()]
        yield sum(map(size, each)), [one.shape for one in each]


def predict(
    exchange: Exchange, name: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[OutputFacts]
) -> dict[str, NDArray[Any]]:
    """Ask by TensorFlow Serving's REST, in rows: of several inputs, each row is an object."""
    columns = {key: listed(array) for key, array in inputs.items()}
    (first, *others) = columns.values()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] if others else first
    found = exchange(f"/v1/models/{name}:predict", {"instances": rows})["predictions"]
    if len(outputs) == 1:
        return {outputs[0].name: _array(found, outputs[0])}
    return {one.name: _array([row[one.name] for row in found], one) for one in outputs}


def infer(
    exchange: Exchange,
    name: str,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[OutputFacts],
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """Ask by the Open Inference Protocol, with the datatypes that the server's metadata say, and `parameters`."""
    kinds = {one["name"]: one["datatype"] for one in exchange(f"/v2/models/{name}", None)["inputs"]}
    tensors = [
        {
            "name": key,
            "shape": list(array.shape),
            "datatype": kinds.get(key),
            "data": listed(array.ravel(), texts=True),
        }
        for key, array in inputs.items()
    ]
    wanted = [_wanted(one) for one in outputs]
    said = {"parameters": parameters} if parameters else {}
    answer = exchange(f"/v2/models/{name}/infer", {"inputs": tensors, "outputs": wanted, **said})
    found = {one["name"]: one for one in answer["outputs"]}
    return {one.name: _array(found[one.name]["data"], one).reshape(found[one.name]["shape"]) for one in outputs}


def _wanted(one: OutputFacts) -> dict[str, Any]:
    """Return how an output is asked for: bytes, such as pictures, behind the JSON, which carries texts alone."""
    return {"name": one.name, "parameters": {"binary_data": one.dtype == "bytes"}}


def answered(body: bytes, json_length: str | None) -> Any:
    """Return the JSON value that was answered, in which the tensors that follow it have their elements, `bytes`, as `data`.

    Args:
        body: the answer's body.
        json_length: its header `HEADER_LENGTH`; None: nothing follows the JSON.

    Source: Triton, extension_binary_data.md.
    """
    if json_length is None:
        return json.loads(body)
    end = int(json_length)
    answer = json.loads(body[:end])
    for one in answer["outputs"]:
        size = one.get("parameters", {}).get("binary_data_size")
        if size is not None:
            one["data"], end = list(_elements(body[end : end + size])), end + size
    return answer


def _elements(data: bytes) -> Iterator[bytes]:
    """Yield the elements of a tensor of bytes: the length of each stands before it, four bytes, the lowest first."""
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("<I", data, start)
        yield data[start + 4 : start + 4 + length]
        start += 4 + length


def infer_in_sequences(
    exchange: Exchange, name: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[OutputFacts]
) -> dict[str, NDArray[Any]]:
    """Ask by the Open Inference Protocol for streams, each a sequence of two requests: the second goes on where the first ended."""
    import numpy as np

    (count, steps, *_), *_ = (array.shape for array in inputs.values())
    middle = -(-steps // 2)
    found: dict[str, list[NDArray[Any]]] = {one.name: [] for one in outputs}
    for number in range(count):
        for rows in (slice(0, middle), slice(middle, steps))[: 1 + (middle < steps)]:
            said = {"sequence_id": number + 1, "sequence_start": not rows.start, "sequence_end": rows.stop == steps}
            part = {key: array[number : number + 1, rows] for key, array in inputs.items()}
            for key, answer in infer(exchange, name, part, outputs, said).items():
                found[key].append(answer[0])
    return {key: np.concatenate(parts).reshape(count, steps, *parts[0].shape[1:]) for key, parts in found.items()}


SEQUENCES = "Open Inference Protocol, in sequences"
"""What the check calls it."""
PROTOCOLS: dict[str, tuple[str, Ask]] = {
    "v1": ("TensorFlow Serving REST", predict),
    "v2": ("Open Inference Protocol", infer),
}


def listed(array: NDArray[Any], *, texts: bool = False) -> Any:
    """Return values as JSON has them: `bytes` as base64, or as texts where they are some and a protocol takes these; NaN is `null`."""
    import numpy as np

    if array.dtype.kind == "f" and np.isnan(array).any():
        return np.where(np.isnan(array), None, array.astype(object)).tolist()  # type: ignore[call-overload]
    if array.dtype.kind != "O":
        return array.tolist()
    written = np.empty(array.size, object)
    written[:] = [_text(one) if texts else _encoded(one) for one in array.ravel().tolist()]
    return written.reshape(array.shape).tolist()


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _encoded(value)


def _encoded(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _array(values: Any, one: OutputFacts) -> NDArray[Any]:
    import numpy as np

    if one.dtype != "bytes":
        return np.asarray(values, one.dtype)
    held = np.asarray(values, object)
    found = np.empty(held.size, object)
    found[:] = [_bytes(one) for one in held.ravel()]
    return found.reshape(held.shape)


def _bytes(value: dict[str, str] | str | bytes) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value
