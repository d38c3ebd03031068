"""The Open Inference Protocol over gRPC, asked by Triton's own client; answers are those of HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.grpc.asking import (
    SERVICE,
    StatusCode,
    channel,
    client_module,
    messages,
    over_http,
    refusal,
    request_of,
    stubs,
    tensor,
)


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path) -> Iterator[Any]:
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="32") as running:
        yield running


@pytest.fixture(scope="module")
def triton(server: Any) -> Iterator[Any]:
    with client_module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        yield client


@pytest.fixture(scope="module")
def stub(server: Any) -> Iterator[Any]:
    with channel(server) as one:
        yield stubs.GRPCInferenceServiceStub(one)


# What is answered


def test_health_and_metadata(triton: Any, server: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("digits")
    assert triton.is_model_ready("digits", "1")
    about, model = triton.get_server_metadata(), triton.get_model_metadata("digits")
    with server.client() as client:
        said, described = client.get("/v2").json(), client.get("/v2/models/digits").json()
    assert [about.name, about.version, list(about.extensions)] == list(said.values())
    assert [model.name, list(model.versions), model.platform] == [
        described[k] for k in ("name", "versions", "platform")
    ]
    for one, other in ((model.inputs, described["inputs"]), (model.outputs, described["outputs"])):
        assert [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in one] == other


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_bytes_are_answered_with_the_bytes_that_http_answers(
    server: Any, triton: Any, raw: np.ndarray, compression: str | None
) -> None:
    answer = triton.infer("digits", [tensor(raw)], request_id="é 7", compression_algorithm=compression)

    np.testing.assert_array_equal(answer.as_numpy("probabilities"), over_http(server, raw))
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("é 7", "digits", "1")
    assert len(response.raw_output_contents) == 1


def test_values_in_the_tensor_are_answered_alike(server: Any, stub: Any, raw: np.ndarray) -> None:
    answer = stub.ModelInfer(request_of(raw))

    assert not answer.raw_output_contents
    found = np.array(answer.outputs[0].contents.fp32_contents, np.float32).reshape(answer.outputs[0].shape)
    np.testing.assert_array_equal(found, over_http(server, raw))


def test_floats_come_as_bytes_or_values(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    with start(models / "float32-raw", GRPC_PORT="0") as running, channel(running) as one:
        values = raw.astype(np.float32) / np.float32(3)
        said = {"name": "input", "datatype": "FP32", "shape": values.shape}
        stub = stubs.GRPCInferenceServiceStub(one)
        filled = messages.ModelInferRequest(
            model_name="digits", inputs=[said | {"contents": {"fp32_contents": values.ravel().tolist()}}]
        )
        right = over_http(running, values, "FP32")
        answer = stub.ModelInfer(filled).outputs[0].contents.fp32_contents
        np.testing.assert_array_equal(np.array(answer, np.float32).reshape(right.shape), right)
        empty = messages.ModelInferRequest(model_name="digits", inputs=[said], raw_input_contents=[values.tobytes()])
        answer = stub.ModelInfer(empty).raw_output_contents[0]
        np.testing.assert_array_equal(np.frombuffer(answer, np.float32).reshape(right.shape), right)


def test_the_likeliest_classes_are_texts(triton: Any, raw: np.ndarray) -> None:
    wanted = client_module.InferRequestedOutput("probabilities", class_count=2)

    answer = triton.infer("digits", [tensor(raw)], outputs=[wanted]).as_numpy("probabilities")

    plain = triton.infer("digits", [tensor(raw)]).as_numpy("probabilities")
    assert answer.shape == (7, 2)
    assert [int(row[0].split(b":")[1]) for row in answer] == plain.argmax(1).tolist()


def test_many_calls_at_once_on_one_connection_are_each_their_own(server: Any, raw: np.ndarray) -> None:
    samples = np.random.default_rng(3).integers(0, 17, (24, 8, 8, 1)).astype(np.uint8)
    right = over_http(server, samples)
    with client_module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client, ThreadPoolExecutor(12) as pool:
        rows = [(start, 1 + start % 7) for start in range(17)] * 12
        answers = pool.map(lambda one: client.infer("digits", [tensor(samples[one[0] : sum(one)])]), rows)
        for (start_at, size), answer in zip(rows, answers, strict=True):
            np.testing.assert_array_equal(answer.as_numpy("probabilities"), right[start_at : start_at + size])


def test_a_message_of_many_frames_and_an_answer_of_many_windows(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    samples = np.random.default_rng(5).integers(0, 17, (4000, 8, 8, 1)).astype(np.uint8)  # 256 kB in, 160 kB out
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="4000") as running:
        # Only with this does Google's client keep to the window of 64 KiB for an answer.
        with channel(running, **{"grpc.http2.bdp_probe": 0}) as one:
            said = {"name": "input", "datatype": "UINT8", "shape": samples.shape}
            request = messages.ModelInferRequest(
                model_name="digits", inputs=[said], raw_input_contents=[samples.tobytes()]
            )
            answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request)
        found = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(4000, 10)
        np.testing.assert_array_equal(found[-32:], over_http(running, samples[-32:]))


# What is refused


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"name": "x"}, StatusCode.INVALID_ARGUMENT, 'unknown input "x"'),
        ({"datatype": "FP32"}, StatusCode.INVALID_ARGUMENT, "datatype"),
        ({"shape": [7, 8, 8, 2]}, StatusCode.INVALID_ARGUMENT, "has shape [7, 8, 8, 2], expected [-1, 8, 8, 1]"),
        ({"shape": [2**40, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "whole numbers"),
        ({"shape": [33, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "holds 33 samples; at most 32"),
        ({"shape": [6, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "holds 448 values of UINT8, expected 384"),
        ({"contents": {"int_contents": [1] * 448}}, StatusCode.INVALID_ARGUMENT, "holds 0 values of UINT8"),
        ({"contents": {"uint_contents": [256] * 448}}, StatusCode.INVALID_ARGUMENT, "256 is no uint8"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_http(
    stub: Any, raw: np.ndarray, changes: dict[str, Any], code: Any, words: str
) -> None:
    found, details = refusal(stub.ModelInfer, request_of(raw, **changes))

    assert (found, words in details) == (code, True), details


def test_names_and_versions_that_are_not_served(stub: Any, raw: np.ndarray) -> None:
    other = request_of(raw)
    other.model_name = "other"
    assert refusal(stub.ModelInfer, other) == (StatusCode.NOT_FOUND, "unknown model 'other'; served: 'digits'")
    assert refusal(stub.ModelReady, messages.ModelReadyRequest(name="digits", version="2"))[0] == StatusCode.NOT_FOUND
    code, details = refusal(stub.RepositoryIndex, messages.RepositoryIndexRequest())
    assert (code, "unknown method 'RepositoryIndex'" in details) == (StatusCode.UNIMPLEMENTED, True)


def test_sequences_are_refused_not_ignored(triton: Any, raw: np.ndarray) -> None:
    with pytest.raises(client_module.InferenceServerException, match="keeps nothing from one request to the next"):
        triton.infer("digits", [tensor(raw)], sequence_id=5, sequence_start=True)


def test_a_priority_is_refused_not_ignored(triton: Any, raw: np.ndarray) -> None:
    with pytest.raises(client_module.InferenceServerException, match="requests wait in one line here"):
        triton.infer("digits", [tensor(raw)], priority=2)
    assert triton.infer("digits", [tensor(raw)], timeout=5_000_000).as_numpy("probabilities").shape == (7, 10)


def test_bytes_of_another_length_and_both_ways_at_once(stub: Any, raw: np.ndarray) -> None:
    request = request_of(raw)
    request.raw_input_contents.append(raw.tobytes())
    assert "both 'contents' and 'raw_input_contents'" in refusal(stub.ModelInfer, request)[1]
    request.inputs[0].ClearField("contents")
    request.raw_input_contents[0] += b"\0"
    assert "449 bytes do not fit" in refusal(stub.ModelInfer, request)[1]


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\xff" * 300, b"\x2a\0" * 100_000])
def test_rubbish_is_an_invalid_argument(server: Any, data: bytes) -> None:
    with channel(server) as one:
        call = one.unary_unary(f"/{SERVICE}/ModelInfer")
        assert refusal(call, data)[0] in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


def test_a_message_larger_than_the_largest_batch_is_refused_before_it_has_come(server: Any, stub: Any) -> None:
    request = messages.ModelInferRequest(model_name="digits", raw_input_contents=[b"\0" * 20_000_000])

    code, details = refusal(stub.ModelInfer, request)

    limit = 32 * 64 * 10 + 1024 * 1024  # ten bytes a number, and the slack
    assert (code, details) == (StatusCode.RESOURCE_EXHAUSTED, f"the request's message is larger than {limit} bytes")
