"""Protobuf's wire format, against Google's own code: what that writes is read, and what is written it reads."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import RequestError
from modelyard.serving.grpc import wire

pytest.importorskip("hpack", reason="hpack is not installed")
messages = pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed").service_pb2

INTEGERS = {
    "int8": "int_contents",
    "int16": "int_contents",
    "int32": "int_contents",
    "int64": "int64_contents",
    "uint8": "uint_contents",
    "uint16": "uint_contents",
    "uint32": "uint_contents",
    "uint64": "uint64_contents",
    "bool": "bool_contents",
}


def contents(**values: Any) -> Any:
    return wire.Message(messages.InferTensorContents(**values).SerializeToString())


def extremes(dtype: Any) -> list[Any]:
    if dtype == "bool":
        return [False, True, True]
    limits = np.iinfo(dtype)
    return [0, 1, 127 % limits.max, limits.max, limits.min, limits.max // 3]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_packed_integers_are_what_google_wrote(dtype: str) -> None:
    values = extremes(dtype) * 40_000  # several pieces
    message = contents(**{INTEGERS[dtype]: values})
    number = list(messages.InferTensorContents.DESCRIPTOR.fields_by_name).index(INTEGERS[dtype]) + 1

    packed = message.packed(number, "u")

    assert wire.count(packed) == len(values)
    found = wire.integers(packed, np.dtype(dtype))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array(values, dtype))


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 256), ("int8", -129), ("int16", 40_000), ("bool", 2)])
def test_a_number_beyond_the_dtype_is_refused(dtype: str, value: int) -> None:
    with pytest.raises(RequestError, match=f"the number {value} is no {dtype}"):
        wire.integers(wire.Message(wire.whole_numbers(1, [1, value])).packed(1, "u"), np.dtype(dtype))


def test_a_list_of_one_or_none_need_not_be_packed() -> None:
    assert bytes(wire.Message(b"\x08\x05").packed(1, "u")) == b"\x05"
    assert bytes(wire.Message(b"\x0d" + struct.pack("<f", 1.5)).packed(1, "f4")) == struct.pack("<f", 1.5)
    assert bytes(wire.Message(b"").packed(1, "u")) == b""
    assert wire.Message(b"\x08\x05\x08\xff\x01").packed(1, "u") == b"\x05\xff\x01"


def test_a_list_in_several_packed_pieces_is_refused() -> None:
    with pytest.raises(RequestError, match="in several pieces"):
        wire.Message(wire.whole_numbers(1, [1]) * 2).packed(1, "u")


def test_scalars_are_what_google_wrote() -> None:
    request = messages.ModelInferRequest(model_name="né", id="7")
    request.parameters["a"].int64_param = -3
    request.parameters["b"].double_param = 0.25
    request.parameters["c"].bool_param = True
    request.inputs.add(name="x", shape=[-1, 3, 2**62])

    message = wire.Message(request.SerializeToString())

    assert (message.text(1), message.text(2), message.text(3)) == ("né", "", "7")
    entries = {one.text(1): inner for one in map(wire.Message, message.every(4)) if (inner := one.message(2))}
    signed = entries["a"].whole(2)
    assert signed is not None
    assert wire.signed(signed) == -3
    assert (entries["b"].float64(4), entries["c"].whole(1), entries["c"].whole(2)) == (0.25, 1, None)
    assert wire.Message(message.every(5)[0]).whole_numbers(3) == [-1, 3, 2**62]


def test_google_reads_what_is_written() -> None:
    tensor = wire.text(1, "x") + wire.text(2, "FP32") + wire.whole_numbers(3, [-1, 300])
    data = wire.text(1, "m") + wire.text(3, "") + wire.blob(5, tensor) + wire.blob(6, b"\0" * 200)

    answer = messages.ModelInferResponse.FromString(data)

    assert (answer.model_name, answer.id, list(answer.outputs[0].shape)) == ("m", "", [-1, 300])
    assert answer.raw_output_contents[0] == b"\0" * 200
    assert messages.ServerLiveResponse.FromString(wire.whole(1, 1)).live
    assert wire.whole(1, 0) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # a number that does not come
        b"\x08" + b"\xff" * 11,  # a number that does not end
        b"\x0a\x05abc",  # text that is cut short
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # text of nearly 2**63 bytes
        b"\x0b\x0c",  # a group
        b"\x09abc",  # a double that is cut short
    ],
)
def test_rubbish_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(RequestError, match="not a protobuf message") as caught:
        wire.Message(data)
    assert caught.value.status == 400


def test_a_message_of_very_many_fields_is_refused_before_they_are_kept() -> None:
    with pytest.raises(RequestError, match="more than 4096 fields"):
        wire.Message(b"\x2a\0" * 5_000_000)


@pytest.mark.parametrize("data", [b"\x05\xff", b"\xff" * 11 + b"\1", b"\xff" * 70_000 + b"\1"])
def test_packed_numbers_that_do_not_end_are_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match=r"cut short|longer than 10 bytes"):
        wire.integers(memoryview(data), np.dtype("uint64"))


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(RequestError, match="field 1 of a message is not UTF-8"):
        wire.Message(b"\x0a\x01\xff").text(1)
