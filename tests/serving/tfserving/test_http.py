"""TF Serving's REST API, against the codes and messages of TF Serving's own sources and tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.tfserving.asking import PREDICT, SAMPLE, error


@pytest.mark.parametrize("path", ["/v1/models/digits/versions/1:predict", "/V1/MODELS/digits:PREDICT"])
def test_other_paths_to_predict(client: httpx.Client, raw: np.ndarray, path: str) -> None:
    assert client.post(path, json={"instances": raw.tolist()}).status_code == 200


PATHS = [
    ("GET", "/v1/models/half", 404, "Could not find any versions of model half"),
    ("GET", "/v1/models/Digits", 404, "Could not find any versions of model Digits"),
    ("GET", "/v1/models/digits/versions/2", 404, "Could not find version 2 of model digits"),
    ("GET", "/v1/models/half/metadata", 404, "Servable not found for request: Latest(half)"),
    ("GET", "/v1/models/digits/versions/2/metadata", 404, "Servable not found for request: Specific(digits, 2)"),
    ("POST", "/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
    ("POST", "/v1/models/digits/versions/2:predict", 404, "Servable not found for request: Specific(digits, 2)"),
    ("POST", "/v1/models/digits/labels/canary:predict", 400, "Unrecognized servable version label: canary"),
    ("GET", "/v1/models/digits/labels/canary", 400, "Unrecognized servable version label: canary"),
    ("GET", f"/v1/models/digits/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
    ("POST", f"/v1/models/digits/versions/{'9' * 5000}:predict", 400, "Failed to convert version: 999"),
    ("GET", "/v1/models", 400, "Missing model name in request."),
    ("GET", "/v1/models/digits:predict", 400, "Malformed request: GET /v1/models/digits:predict"),
    ("POST", "/v1/models/digits", 400, "Malformed request: POST /v1/models/digits"),
    ("POST", "/v1/models/digits:explain", 400, "Malformed request: POST /v1/models/digits:explain"),
    (
        "POST",
        "/v1/models/digits/versions/one:predict",
        400,
        "Malformed request: POST /v1/models/digits/versions/one:predict",
    ),
    ("DELETE", "/v1/models/digits", 400, "Malformed request: DELETE /v1/models/digits"),
    ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
    ("POST", "/v1/models/digits:classify", 400, "Was: tensorflow/serving/predict"),
    ("POST", "/v1/models/digits:regress", 400, "Was: tensorflow/serving/predict"),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), PATHS)
def test_paths_that_do_not_answer(client: httpx.Client, method: str, path: str, status: int, message: str) -> None:
    body = json.dumps({"instances": [SAMPLE]}) if method == "POST" else None

    answer = client.request(method, path, content=body)

    assert answer.status_code == status
    assert message in error(answer)


def test_a_large_body_is_413(client: httpx.Client) -> None:
    text = b" " * 200_001

    for headers in ({}, {"transfer-encoding": "chunked"}):
        answer = client.post(PREDICT, content=iter([text]) if headers else text, headers=headers)
        assert (answer.status_code, error(answer)) == (413, "the request's body is larger than 200000 bytes")


def test_a_body_of_the_largest_size_is_read(client: httpx.Client) -> None:
    text = json.dumps({"instances": [SAMPLE]}).encode()

    assert client.post(PREDICT, content=text.ljust(200_000)).status_code == 200


def test_gzip(
    client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    body, headers = gzip.compress(json.dumps({"instances": raw.tolist()}).encode()), {"content-encoding": "gzip"}

    answer = client.post(PREDICT, content=body, headers=headers)
    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "float32", raw), atol=1e-6)

    bomb = client.post(PREDICT, content=gzip.compress(bytes(10_000_000)), headers=headers)
    assert (bomb.status_code, error(bomb)) == (413, "the request's body is larger than 200000 bytes when decompressed")
    for damaged in (body[:-9], b"text", body + b"more"):
        answer = client.post(PREDICT, content=damaged, headers=headers)
        assert answer.status_code == 400
        assert "not gzip" in error(answer)
    assert client.post(PREDICT, content=body, headers={"content-encoding": "br"}).status_code == 415


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), path=st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_bytes_and_no_path_is_a_server_error(client: httpx.Client, body: Any, path: Any) -> None:
    assert client.post(PREDICT, content=body).status_code == 400
    assert client.post(f"/v1/models/{quote(path, safe='')}:predict", content=body).status_code in (400, 404)
