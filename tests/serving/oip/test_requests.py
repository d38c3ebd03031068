"""A body is JSON and the bytes behind it; JSON that came before is not read again, and says the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modelyard.serving.body import parse_json
from modelyard.serving.limits import Limits
from modelyard.serving.model import Facts
from modelyard.serving.oip import requests
from modelyard.serving.oip.requests import Requests
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import Input, Output
from modelyard.serving.tensors import TensorError

A = Input("a", np.dtype("uint8"), (2,), value_range=(0, 9))
B = Input("b", np.dtype("float32"), (1,))
OUT = Output("out", np.dtype("float32"), (1,))


def reader(*inputs: Input) -> Requests:
    model = Served("m", "1", Facts(Path("m"), "onnx", inputs, (OUT,)))
    return Requests(model, Limits(1 << 20, 1 << 20, 1 << 20))


def told(one: Input, **said: object) -> dict[str, object]:
    return {"name": one.name, "datatype": {"a": "UINT8", "b": "FP32"}[one.name], "shape": [1, *one.shape], **said}


def sized(one: Input, size: object) -> dict[str, object]:
    return told(one, parameters={"binary_data_size": size})


def head(*inputs: dict[str, object], **more: object) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The texts that were parsed."""
    texts: list[bytes] = []
    monkeypatch.setattr(
        requests, "parse_json", lambda data, limits: texts.append(bytes(data)) or parse_json(data, limits)
    )
    return texts


def read(one: Requests, text: bytes, data: bytes) -> dict[str, list[object]]:
    samples, _ = one.read(text + data, str(len(text)))
    return {name: array.tolist() for name, array in samples.items()}


def test_the_same_json_is_read_once_and_the_bytes_behind_it_each_time(parsed: list[bytes]) -> None:
    one, text = reader(A), head(sized(A, 2))

    assert [read(one, text, data) for data in (b"\1\2", b"\3\4")] == [{"a": [[1, 2]]}, {"a": [[3, 4]]}]
    assert parsed == [text]


def test_what_is_wrong_with_the_bytes_is_told_each_time(parsed: list[bytes]) -> None:
    one, text = reader(A), head(sized(A, 2))

    for _ in range(2):
        with pytest.raises(TensorError, match="'binary_data_size' is 2, but 3 bytes follow the JSON"):
            read(one, text, b"\1\2\3")
        with pytest.raises(TensorError, match="input 'a' holds 10; allowed: 0 to 9"):
            read(one, text, b"\1\n")
    assert read(one, text, b"\1\2") == {"a": [[1, 2]]}
    assert parsed == [text]


def test_what_is_wrong_with_the_json_is_told_each_time(parsed: list[bytes]) -> None:
    one, text = reader(A), head(sized(A, 2), outputs=[{"name": "none"}])

    for _ in range(2):
        with pytest.raises(TensorError, match="unknown output"):
            read(one, text, b"\1\2")
    assert parsed == [text, text]


def test_one_input_may_be_in_the_json_and_another_behind_it() -> None:
    one = reader(A, B)
    for number in (1, 2):
        text = head(sized(A, 2), told(B, data=[number]))
        assert read(one, text, bytes([3, number])) == {"a": [[3, number]], "b": [[number]]}


def test_a_truth_value_in_json_that_is_known_is_still_none_of_the_models(parsed: list[bytes]) -> None:
    one, text = reader(A, B), head(sized(A, 2), told(B, data=[True]))

    for _ in range(2):
        with pytest.raises(TensorError, match="input 'b'"):
            read(one, text, b"\1\2")
    assert parsed == [text]


@pytest.mark.parametrize("size", [None, "2", True, -1, 2.0, 1 << 70])
def test_a_size_that_is_none_is_no_key_to_the_bytes(size: object) -> None:
    one = reader(A)
    for _ in range(2):
        with pytest.raises(TensorError, match="input 'a'"):
            read(one, head(sized(A, size)), b"\1\2")


def test_json_with_data_for_bytes_is_refused_even_if_it_is_null() -> None:
    with pytest.raises(TensorError, match="both 'data' and 'binary_data_size'"):
        read(reader(A), head({**sized(A, 2), "data": None}), b"\1\2")


def test_only_so_many_are_kept_and_none_that_is_long(parsed: list[bytes]) -> None:
    one = reader(A)
    first, long = head(sized(A, 2), id="0"), head(sized(A, 2), id="x" * 2000)
    for text in (first, long, long, *(head(sized(A, 2), id=str(number)) for number in range(1, 65)), first):
        assert read(one, text, b"\1\2") == {"a": [[1, 2]]}

    assert parsed.count(long) == 2
    assert parsed.count(first) == 2
    assert one.read(first + b"\1\2", str(len(first)))[1].id == "0"
