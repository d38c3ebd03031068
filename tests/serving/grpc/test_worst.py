"""The worst messages that are known, against a server in a real control group: it stays within its memory, and answers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.serving.fuzz import MIB, Box, Watched, peak_bytes, serving, write_model

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import wire  # noqa: E402 - it needs hpack

INFER = "/inference.GRPCInferenceService/ModelInfer"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
SAMPLES = 1024
VALUES = SAMPLES * 3072
BODY = 8 * MIB
STILL_S = 2.0  # on a machine with others on it


def infer(
    contents: bytes = b"", shape: Sequence[Any] = (SAMPLES, 32, 32, 3), name: str = "digits", more: bytes = b""
) -> Any:
    said = wire.text(1, "input") + wire.text(2, "UINT8") + wire.whole_numbers(3, shape) + wire.blob(5, contents)
    return wire.text(1, name) + wire.blob(5, said) + more


def predict(values: Any, size: int = SAMPLES) -> Any:
    shape = b"".join(wire.blob(2, wire.whole(1, one)) for one in (size, 32, 32, 3))
    tensor = wire.whole(1, 4) + wire.blob(2, shape) + wire.blob(7, values)
    return wire.blob(1, wire.text(1, "digits")) + wire.blob(2, wire.text(1, "input") + wire.blob(2, tensor))


LONGEST = b"\xff" * 9 + b"\1"
MESSAGES = {
    "as many values as there may be": (INFER, infer(wire.blob(4, b"\xff\1" * VALUES)), {"OK"}),
    "one of them too large": (INFER, infer(wire.blob(4, b"\xff\1" * (VALUES - 1) + b"\x80\2")), {"INVALID_ARGUMENT"}),
    "more values than fit": (INFER, infer(wire.blob(4, b"\1" * (BODY - 200)), (1, 32, 32, 3)), {"INVALID_ARGUMENT"}),
    "long numbers": (INFER, infer(wire.blob(4, LONGEST * 800_000), (260, 32, 32, 3)), {"INVALID_ARGUMENT"}),
    "long numbers, counted right": (
        INFER,
        infer(wire.blob(4, LONGEST * 3072 * 260), (260, 32, 32, 3)),
        {"INVALID_ARGUMENT"},
    ),
    "a number without an end": (INFER, infer(wire.blob(4, b"\xff" * (BODY - 200))), {"INVALID_ARGUMENT"}),
    "values that are not packed": (INFER, infer(b"\x20\1" * (BODY // 2 - 100)), {"INVALID_ARGUMENT"}),
    "inputs without anything": (INFER, b"\x2a\0" * (BODY // 2), {"INVALID_ARGUMENT"}),
    "a name of eight megabytes": (INFER, infer(name="x" * (BODY - 200)), {"NOT_FOUND"}),
    "parameters": (INFER, infer(more=wire.blob(4, wire.text(1, "k" * 2000)) * 4000), {"INVALID_ARGUMENT"}),
    "one value that goes on": (PREDICT, predict(b"\7"), {"OK"}),
    "none, for very many": (PREDICT, predict(b"", 2**62), {"INVALID_ARGUMENT"}),
    "zeros, compressed": (INFER, gzip.compress(bytes(24 * MIB)), {"RESOURCE_EXHAUSTED"}),
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    model = write_model(tmp_path_factory.mktemp("worst") / "model")
    with serving(model, Box(), GRPC_PORT="0") as one:
        yield one


@pytest.mark.parametrize("name", MESSAGES)
def test_the_worst_messages_neither_stop_nor_fill_the_server(watched: Watched, name: str) -> None:
    path, message, codes = MESSAGES[name]
    watched.longest_s = 0.0
    watched.sends(name)
    packed = message[:2] == b"\x1f\x8b"
    data, compression = (gzip.decompress(message), grpc.Compression.Gzip) if packed else (message, None)

    def ask(_: Any) -> Any:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{watched.server.grpc_port}", options=options) as channel:
            try:
                channel.unary_unary(path)(data, timeout=60, compression=compression)
            except grpc.RpcError as exc:
                return exc.code().name if len(exc.details()) < 1100 else "a long message"
        return "OK"

    alone = ask(0)
    with ThreadPoolExecutor(16) as threads:
        together = set(threads.map(ask, range(16)))

    assert {alone} == codes
    assert together <= codes | {"UNAVAILABLE"}, "more at once than there is room for"
    assert watched.server.process.poll() is None
    assert watched.longest_s < STILL_S, watched.longest_of
    assert peak_bytes(watched) < watched.box.memory_mib * MIB
