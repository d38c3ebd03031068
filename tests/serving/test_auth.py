from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import Running

PATHS = [
    "/v1/models/digits",
    "/v1/models/digits/metadata",
    "/v2",
    "/v2/models/digits",
    "/v2/models/digits/ready",
    "/metrics",
]
PASSWORD = "p\u00e4ss:w\u00f6rd"


@pytest.fixture(scope="module")
def guarded(start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path) -> Iterator[Any]:
    with start(models / "float32", USERNAME="ann", PASSWORD=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def stranger(guarded: Any) -> Iterator[Any]:
    with guarded.client() as client:
        yield client


def basic(username: Any, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", PATHS)
def test_everything_but_the_probes_asks_for_the_password(stranger: Any, path: str) -> None:
    refused = stranger.get(path)

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Basic realm="modelyard", charset="UTF-8"'
    assert refused.json() == {"error": "a user name and a password are needed"}
    assert stranger.get(path, headers=basic("ann", PASSWORD)).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_the_probes_ask_for_nothing(stranger: Any, path: str) -> None:
    assert stranger.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/health/live/",
        "/v2/health/../models/digits",
        "/V2/health/live",
        "//v2/health/live",
        "/v2/health/ready%2f..%2f..",
        "/no",
    ],
)
def test_no_path_that_looks_like_a_probe_goes_round_the_password(guarded: Any, stranger: Any, path: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", guarded.port)
    connection.request("GET", path)
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        basic("ann", "wrong"),
        basic("ann", PASSWORD + "x"),
        basic("ann", PASSWORD[:-1]),
        basic("Ann", PASSWORD),
        basic("", ""),
        {"authorization": basic("ann", PASSWORD)["authorization"].replace("Basic", "Bearer")},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "ann:" + "x"},
    ],
)
def test_another_password_is_401(stranger: Any, headers: Any) -> None:
    assert stranger.get("/v2", headers=headers).status_code == 401


def test_two_authorization_headers_are_401(stranger: Any) -> None:
    good = ("authorization", basic("ann", PASSWORD)["authorization"])

    assert stranger.get("/v2", headers=[good]).status_code == 200
    assert stranger.get("/v2", headers=[good, ("authorization", "Basic eDp5")]).status_code == 401


def test_predictions_ask_and_are_given(stranger: Any, raw: np.ndarray) -> None:
    body = {"instances": raw.tolist()}

    assert stranger.post("/v1/models/digits:predict", json=body).status_code == 401
    assert stranger.post("/v1/models/digits:predict", json=body, headers=basic("ann", PASSWORD)).status_code == 200


ENCODED = st.binary(min_size=1, max_size=30).map(lambda data: b"Basic " + base64.b64encode(data))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=ENCODED | st.text("aB= :!", max_size=20).map(str.strip))
def test_no_header_is_a_server_error(stranger: Any, value: Any) -> None:
    assert stranger.get("/v2", headers={"authorization": value}).status_code == 401


def test_neither_the_password_nor_a_header_is_in_the_logs_or_the_metrics(guarded: Any, stranger: Any) -> None:
    headers = basic("ann", PASSWORD)
    metrics = stranger.get("/metrics", headers=headers).text
    logged = repr(guarded.logs)

    assert "request" in logged
    for text in (metrics, logged):
        assert PASSWORD not in text
        assert headers["authorization"].split()[1] not in text


def test_without_settings_no_password_is_asked_for(client: httpx.Client) -> None:
    for path in PATHS:
        assert client.get(path).status_code == 200
