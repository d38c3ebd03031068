"""What is below `/v2`: each path with its methods, and a request to infer from its body to its answer."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from tests.serving.small_models import LIMITS, TEXT, served

from modelyard.serving import __version__
from modelyard.serving.errors import RequestError
from modelyard.serving.limits import FREELY_BYTES
from modelyard.serving.messages import Request, Response
from modelyard.serving.oip.describe import metadata
from modelyard.serving.oip.http import Infer, OpenInference
from modelyard.serving.sequences import Step
from modelyard.serving.served import Served
from modelyard.serving.tensors import TensorError

INFER = "/v2/models/net/infer"
ANSWER = {"scores": np.array([[0.5, 0.25, 0.25]], np.float32)}
TENSOR = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2]}


def protocol(model: Served | None = None, *, ready: bool = True) -> OpenInference:
    return OpenInference(model or served(), LIMITS, lambda: ready)


def got(path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
    answer = protocol(**more).answer(Request(method, path, {}))
    assert isinstance(answer, Response)
    return answer.status, json.loads(answer.body)


def infer(body: bytes, model: Served | None = None, **headers: str) -> Infer:
    fields = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    one = protocol(model).answer(Request("POST", INFER, fields, body=body))
    assert isinstance(one, Infer)
    return one


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_said_of_the_server_and_the_model(method: str) -> None:
    extensions = ["binary_tensor_data", "classification", "schedule_policy"]
    assert got("/v2", method) == (200, {"name": "modelyard", "version": __version__, "extensions": extensions})
    assert got("/v2/models/net", method) == (200, json.loads(json.dumps(metadata(served()))))
    assert got("/v2/models/net/versions/1", method)[1]["name"] == "net"


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_who_is_not_ready_lives_and_says_what_it_is(ready: bool, status: int) -> None:
    assert got("/v2/health/ready", ready=ready) == (status, {"ready": ready})
    for path in ("/v2/models/net/ready", "/v2/models/net/versions/1/ready"):
        assert got(path, ready=ready) == (status, {"name": "net", "ready": ready})
    assert got("/v2/health/live", ready=ready) == (200, {"live": True})
    assert got("/v2/models/net", ready=ready)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/health", 404, "Not Found: GET /v2/health"),
        ("GET", "/v2/models/net/", 404, "Not Found: GET /v2/models/net/"),
        ("GET", "/v2/models/net/versions/1/x", 404, "Not Found: GET /v2/models/net/versions/1/x"),
        ("GET", "/v2/models/ten", 404, "unknown model 'ten'; served: 'net'"),
        ("GET", "/v2/models/net/versions/2", 404, "model 'net' has no version '2'; served: '1'"),
        ("POST", "/v2/models/ten/infer", 404, "unknown model 'ten'; served: 'net'"),
        ("POST", "/v2", 405, "Method Not Allowed: POST /v2"),
        ("POST", "/v2/models/net/ready", 405, "Method Not Allowed: POST /v2/models/net/ready"),
        ("DELETE", "/v2/models/net", 405, "Method Not Allowed: DELETE /v2/models/net"),
        ("HEAD", INFER, 405, f"Method Not Allowed: HEAD {INFER}"),
        ("PUT", INFER, 405, f"Method Not Allowed: PUT {INFER}"),
    ],
)
def test_what_is_not_there_and_what_may_not_be_done(method: str, path: str, status: int, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        protocol().answer(Request(method, path, {}))
    assert (caught.value.status, caught.value.message) == (status, message)


def test_a_request_is_read_and_answered_as_it_asks() -> None:
    body = {"id": "7", "inputs": [TENSOR | {"data": [3, 4]}], "parameters": {"timeout": 1000, "sequence_id": "a"}}
    one = infer(json.dumps(body).encode(), served(no_sequences=""))
    assert (one.small, one.timeout_s, one.step) == (True, None, None), "it is not read yet"
    assert one.read()["pixels"].tolist() == [[3, 4]]
    assert (one.timeout_s, one.step) == (0.001, Step("a"))
    said = json.loads(one.answer(ANSWER).body)
    assert (said["id"], said["outputs"][0]["data"]) == ("7", [0.5, 0.25, 0.25])


def test_bytes_behind_the_json_are_read_by_the_header_that_says_where_it_ends() -> None:
    head = json.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": 2}}]}).encode()
    one = infer(head + b"\3\4", inference_header_content_length=str(len(head)))
    assert one.read()["pixels"].tolist() == [[3, 4]]


def test_a_compressed_body_is_read_and_a_large_answer_compressed_for_who_takes_it() -> None:
    body = gzip.compress(json.dumps({"inputs": [TENSOR | {"data": [3, 4]}]}).encode())
    one = infer(body, content_encoding="gzip", accept_encoding="gzip")
    assert not one.small, "it may become large"
    one.read()
    answer = one.answer({"scores": np.zeros((1000, 3), np.float32)})
    assert (b"content-encoding", b"gzip") in answer.headers
    assert json.loads(gzip.decompress(answer.body))["outputs"][0]["shape"] == [1000, 3]


def test_a_large_body_is_read_elsewhere() -> None:
    assert infer(bytes(FREELY_BYTES)).small
    assert not infer(bytes(FREELY_BYTES + 1)).small


def test_where_a_sample_is_one_text_the_body_may_be_it() -> None:
    one = infer("w\u00f6rd".encode(), served([TEXT]), content_type="text/plain; charset=utf-8")
    assert one.read()["text"].tolist() == ["w\u00f6rd".encode()]
    assert one.step is None
    with pytest.raises(TensorError, match="the request is not JSON"):
        infer(b"word", content_type="text/plain").read()


def test_what_went_wrong_is_said_in_the_protocols_form() -> None:
    answer = infer(b"{").refuse(TensorError("no tensor"))
    assert (answer.status, json.loads(answer.body)) == (400, {"error": "no tensor"})
