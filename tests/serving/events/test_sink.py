"""`POST /events` of a real server, asked as brokers ask it."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cloudevents.core.bindings import http as sdk
from tests.serving.conftest import Running

CAUSE = {"ce-specversion": "1.0", "ce-id": "17", "ce-source": "/camera/3", "ce-type": "com.example.picture"}
JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
RAW = {"content-type": "application/octet-stream"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def event(raw: Any, **attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "17",
        "source": "/camera/3",
        "type": "com.example.picture",
        "data": {"instances": raw.tolist()},
        **attributes,
    }


def post(client: Any, body: Any, headers: Any, path: str = "/events") -> Any:
    return client.post(path, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)


def outcomes(client: Any) -> dict[str, int]:
    lines = client.get("/metrics").text.splitlines()
    told = [line.partition("{")[2] for line in lines if line.startswith("modelyard_events_total{")]
    return {line.split('"')[1]: int(line.split()[-1]) for line in told}


@pytest.fixture
def right(models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]) -> Any:
    return expected(models / "float32", raw)


def test_a_binary_event_is_answered_by_one(client: httpx.Client, raw: np.ndarray, right: Any) -> None:
    answer = post(client, {"instances": raw.tolist()}, CAUSE | JSON | {"ce-subject": "d%C3%A9j%C3%A0%20vu"})

    assert answer.status_code == 200
    np.testing.assert_allclose(answer.json()["predictions"], right, atol=1e-6)
    headers = answer.headers
    assert headers["content-type"] == "application/json"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "dev.modelyard.inference.result"
    assert headers["ce-source"] == "urn:modelyard:digits:1"
    assert headers["ce-causationid"] == headers["ce-correlationid"] == "17"
    assert headers["ce-subject"] == "d%C3%A9j%C3%A0%20vu"
    assert (headers["ce-modelname"], headers["ce-modelversion"]) == ("digits", "1")
    assert "ce-datacontenttype" not in headers


def test_a_structured_event_is_answered_by_one(client: httpx.Client, raw: np.ndarray, right: Any) -> None:
    answer = post(client, event(raw, partitionkey="left", correlationid="order-7"), STRUCTURED)

    assert answer.headers["content-type"] == "application/cloudevents+json"
    result = answer.json()
    np.testing.assert_allclose(result["data"]["predictions"], right, atol=1e-6)
    assert (result["partitionkey"], result["correlationid"], result["causationid"]) == ("left", "order-7", "17")


def test_the_sdk_reads_what_is_answered(client: httpx.Client, raw: np.ndarray) -> None:
    for body, headers in (({"instances": raw.tolist()}, CAUSE | JSON), (event(raw), STRUCTURED)):
        answer = post(client, body, headers)
        message = sdk.HTTPMessage(dict(answer.headers), answer.content)
        read = sdk.from_http_event(message)
        data = read.get_data()
        assert read.get_id() == (answer.headers.get("ce-id") or answer.json()["id"])
        assert isinstance(data, dict)
        assert len(data["predictions"]) == len(raw)


@pytest.mark.parametrize("attributes", [CAUSE, CAUSE | {"ce-id": "18"}, CAUSE | {"ce-source": "/camera/4"}])
def test_the_same_event_is_answered_with_the_same_id(client: httpx.Client, raw: np.ndarray, attributes: Any) -> None:
    ids = {post(client, {"instances": raw.tolist()}, attributes | JSON).headers["ce-id"] for _ in range(2)}
    first = post(client, {"instances": raw.tolist()}, CAUSE | JSON).headers["ce-id"]

    assert len(ids) == 1
    assert (ids == {first}) == (attributes == CAUSE)
    assert len(first) == 32


def test_the_open_inference_protocols_json_is_answered_in_kind(
    client: httpx.Client, raw: np.ndarray, right: Any
) -> None:
    tensor = {"name": "input", "datatype": "UINT8", "shape": list(raw.shape), "data": raw.ravel().tolist()}
    for body, headers in (
        ({"id": "a", "inputs": [tensor]}, CAUSE | JSON),
        (event(raw, data={"id": "a", "inputs": [tensor]}), STRUCTURED),
    ):
        answer = post(client, body, headers).json()
        data = answer.get("data", answer)
        assert data["id"] == "a"
        np.testing.assert_allclose(np.reshape(data["outputs"][0]["data"], right.shape), right, atol=1e-6)


def test_raw_samples_and_columns_and_compressed_bodies_are_taken(
    client: httpx.Client, raw: np.ndarray, right: Any
) -> None:
    packed = base64.b64encode(raw.tobytes()).decode()
    structured = event(raw, datacontenttype="application/octet-stream", data_base64=packed)
    del structured["data"]
    answers = [
        post(client, raw.tobytes(), CAUSE | RAW).json()["predictions"],
        post(client, structured, STRUCTURED).json()["data"]["predictions"],
        post(client, {"inputs": raw.tolist()}, CAUSE | JSON).json()["outputs"],
        post(client, gzip.compress(raw.tobytes()), CAUSE | RAW | {"content-encoding": "gzip"}).json()["predictions"],
    ]

    for answer in answers:
        np.testing.assert_allclose(answer, right, atol=1e-6)


def test_a_batch_is_answered_by_one_and_no_event_fails_another(
    client: httpx.Client, raw: np.ndarray, right: Any
) -> None:
    before = outcomes(client)
    events = [event(raw[number : number + 1], id=str(number)) for number in range(len(raw))]
    events.insert(2, event(raw[:1, :3], id="poison"))
    events.append(event(raw, id="late", expirytime="2020-01-01T00:00:00Z"))
    answer = post(client, events, BATCH)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == BATCH["content-type"]
    by_cause = {one["causationid"]: one for one in answer.json()}
    assert sorted(by_cause) == sorted([*map(str, range(len(raw))), "poison"])
    wrong = by_cause.pop("poison")
    assert wrong["type"] == "dev.modelyard.inference.error"
    assert wrong["data"]["code"] == 400
    assert "shape" in wrong["data"]["error"]
    found = [by_cause[str(number)]["data"]["predictions"][0] for number in range(len(raw))]
    np.testing.assert_allclose(found, right, atol=1e-6)
    after = outcomes(client)
    assert {name: after[name] - before[name] for name in after} == {
        "done": 7,
        "expired": 1,
        "unprocessable": 1,
        "failed": 0,
        "returned": 0,
    }


def test_a_batch_of_more_events_than_may_wait_is_answered(slow: Any, raw: np.ndarray) -> None:
    with slow.client() as client:
        answer = post(client, [event(raw[:1] * 0, id=str(number)) for number in range(300)], BATCH)
        assert post(client, [], BATCH).json() == []

    assert answer.status_code == 200
    assert [one["causationid"] for one in answer.json()] == [str(number) for number in range(300)]


ONE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"instances": []}}
POISON = {
    "no attributes": ({}, JSON, 400, "'specversion' is missing"),
    "no id": ({}, {name: value for name, value in CAUSE.items() if name != "ce-id"} | JSON, 400, "'id' is missing"),
    "empty source": ({}, CAUSE | JSON | {"ce-source": ""}, 400, "'source' is missing or empty"),
    "another version": ({}, CAUSE | JSON | {"ce-specversion": "0.3"}, 400, "spoken here: '1.0'"),
    "a bad name": ({}, CAUSE | JSON | {"ce-my-key": "1"}, 400, "lower-case letters and digits"),
    "its own data": ({}, CAUSE | JSON | {"ce-data": "1"}, 400, "not 'data'"),
    "a type of its own": ({}, CAUSE | JSON | {"ce-datacontenttype": "text/plain"}, 400, "Content-Type"),
    "a time that is none": ({}, CAUSE | JSON | {"ce-time": "yesterday"}, 400, "a time of RFC 3339"),
    "a day that is none": ({}, CAUSE | JSON | {"ce-time": "2026-02-30T00:00:00Z"}, 400, "a time of RFC 3339"),
    "an overlong escape": ({}, CAUSE | JSON | {"ce-subject": "%C0%A0"}, 400, "percent-encoded UTF-8"),
    "half an escape": ({}, CAUSE | JSON | {"ce-subject": "100%"}, 400, "percent-encoded UTF-8"),
    "a line end": ({}, CAUSE | JSON | {"ce-subject": "a%0Ab"}, 400, "holds the character"),
    "no data": (b"", CAUSE | JSON, 400, "has no data"),
    "no JSON": (b"{", CAUSE | JSON, 400, "not JSON"),
    "no object": ([1], CAUSE | JSON, 400, "expected an object"),
    "no samples": ({"instances": []}, CAUSE | JSON, 400, "No values"),
    "another shape": ({"instances": [[1, 2]]}, CAUSE | JSON, 400, "shape"),
    "bytes that do not fit": (b"abc", CAUSE | RAW, 400, "do not fit"),
    "no bytes": (b"", CAUSE | RAW, 400, "has no data"),
    "a picture": (b"\x89PNG", CAUSE | {"content-type": "image/png"}, 415, "unsupported data of type 'image/png'"),
    "Avro": (b"", {"content-type": "application/cloudevents+avro"}, 415, "unsupported Content-Type"),
    "UTF-16": ({}, {"content-type": "application/cloudevents+json; charset=utf-16"}, 415, "in UTF-8"),
    "a list": ([], STRUCTURED, 400, "an event is a JSON object"),
    "a number": (b"1", STRUCTURED, 400, "an event is a JSON object"),
    "not UTF-8": (b'{"id": "\xff"}', STRUCTURED, 400, "not JSON"),
    "a list as an attribute": ({"x": [1]}, STRUCTURED, 400, "neither text"),
    "a large number": ({"x": 1 << 40}, STRUCTURED, 400, "neither text"),
    "a number as its id": ({"id": 1}, STRUCTURED, 400, "attribute 'id' is not text"),
    "no batch": ({}, BATCH, 400, "a batch is a JSON list"),
    "a batch of what is none": ([{}, 3], BATCH, 400, "specversion"),
    "a batch of too many": ([{**ONE, "id": str(number)} for number in range(33)], BATCH, 413, "at most 32"),
    "a compressed batch": (gzip.compress(b"[]"), BATCH | {"content-encoding": "gzip"}, 415, "not compressed"),
    "too large": (b" " * 300_000, CAUSE | JSON, 413, "larger than"),
}


@pytest.mark.parametrize("name", POISON)
def test_what_can_never_be_answered_is_said_with_a_status_that_nobody_tries_again(
    client: httpx.Client, name: str
) -> None:
    body, headers, status, words = POISON[name]
    answer = post(client, body, headers)

    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_base64": "AA=="}, "both"),
        ({"data": None, "data_base64": "?"}, "not base64"),
        ({"data": {"a": 1}, "datacontenttype": "text/plain"}, "is text"),
        ({"data": None}, "no data"),
        ({"data": 3}, "expected an object"),
        ({"data": {"instances": True}}, "instances"),
    ],
)
def test_a_structured_event_has_data_of_one_kind(
    client: httpx.Client, raw: np.ndarray, change: dict[str, Any], words: str
) -> None:
    answer = post(client, event(raw, **change), STRUCTURED)

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_header_that_came_twice_is_refused(client: httpx.Client, raw: np.ndarray) -> None:
    headers = [*(CAUSE | RAW).items(), ("ce-id", "18")]
    answer = client.post("/events", content=raw.tobytes(), headers=headers)

    assert answer.status_code == 400
    assert "'ce-id' came twice" in answer.json()["error"]


def test_our_own_answer_sent_back_is_refused(client: httpx.Client, raw: np.ndarray) -> None:
    own = {"ce-type": "dev.modelyard.inference.result", "ce-source": "urn:modelyard:digits:1"}
    assert "go round" in post(client, raw.tobytes(), CAUSE | RAW | own).json()["error"]
    assert post(client, raw.tobytes(), CAUSE | RAW | own | {"ce-source": "urn:other"}).status_code == 200


def test_an_answer_that_nobody_waits_for_is_not_given(client: httpx.Client, raw: np.ndarray) -> None:
    wanted = [
        post(client, raw.tobytes(), CAUSE | RAW, "/events?reply=none"),
        post(client, [event(raw)], BATCH, "/events?reply=none"),
    ]
    late = post(client, raw.tobytes(), CAUSE | RAW | {"ce-expirytime": "2020-01-01T00:00:00Z"})

    assert [answer.status_code for answer in (*wanted, late)] == [202] * 3
    assert [answer.content for answer in (*wanted, late)] == [b""] * 3
    soon = CAUSE | RAW | {"ce-expirytime": "2999-01-01T00:00:00.123456789Z"}
    assert post(client, raw.tobytes(), soon).status_code == 200
    assert post(client, b"abc", CAUSE | RAW, "/events?reply=none").status_code == 400


def test_the_trace_of_the_event_goes_on(server: Running, client: httpx.Client, raw: np.ndarray) -> None:
    theirs = f"00-{TRACE}-b7ad6b7169203331-01"
    extensions = {"ce-traceparent": theirs, "ce-tracestate": "a=1"}
    binary = post(client, raw.tobytes(), CAUSE | RAW | extensions).headers
    structured = post(client, event(raw, traceparent=theirs), STRUCTURED).json()

    assert binary["ce-traceparent"] == binary["traceparent"]
    assert binary["ce-tracestate"] == "a=1"
    for text in (binary["ce-traceparent"], structured["traceparent"]):
        assert text.startswith(f"00-{TRACE}-")
        assert text != theirs
    end = time.monotonic() + 10
    while not any(line.get("trace_id") == TRACE and line["path"] == "/events" for line in list(server.logs)):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_other_methods_are_refused_and_whoever_asks_may_send(client: httpx.Client) -> None:
    refused = client.get("/events")
    asked = client.options("/events", headers={"webhook-request-origin": "eventgrid.example.com"})

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, OPTIONS")
    assert asked.status_code == 200
    assert asked.headers["webhook-allowed-origin"] == "eventgrid.example.com"
    assert asked.headers["webhook-allowed-rate"] == "*"


def test_events_may_be_let_in_without_the_password(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    login = {"USERNAME": "ann", "PASSWORD": "pw"}
    with start(models / "float32", **login) as server, server.client() as client:
        assert post(client, raw.tobytes(), CAUSE | RAW).status_code == 401
    login |= {"EVENTS_AUTH": "none", "EVENTS_SOURCE": "/digits"}
    with start(models / "float32", **login) as server, server.client() as client:
        answer = post(client, raw.tobytes(), CAUSE | RAW)
        assert (answer.status_code, answer.headers["ce-source"]) == (200, "/digits")
        assert {client.get(path).status_code for path in ("/metrics", "/events/", "/v2")} == {401}


def test_events_may_be_let_in_by_a_token_of_their_own_and_nothing_else_is(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old.token\nnew-token==\n")
    asked = {"USERNAME": "ann", "PASSWORD": "pw", "EVENTS_AUTH": "bearer", "EVENTS_TOKEN_FILE": str(token)}
    with start(models / "float32", **asked) as server, server.client() as client:

        def sent(value: str) -> int:
            return post(client, raw.tobytes(), CAUSE | RAW | {"authorization": value}).status_code

        refused = post(client, raw.tobytes(), CAUSE | RAW)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Bearer realm="modelyard"'
        wrong = ("Bearer", "Bearer old.token\tnew-token==", "Basic b2xkLnRva2Vu", "Basic YW5uOnB3", "Bearer old.toke")
        assert {sent(one) for one in wrong} == {401}
        assert {sent(one) for one in ("Bearer old.token", "bearer  new-token==")} == {200}
        for path in ("/metrics", "/events/", "/v2"):
            assert client.get(path, headers={"authorization": "Bearer old.token"}).status_code == 401
        token.write_text("newest\n")
        end = time.monotonic() + 10
        while sent("Bearer newest") == 401:
            assert time.monotonic() < end
        assert sent("Bearer old.token") == 401
    assert "token" not in json.dumps([server.logs, server.errors])


@pytest.fixture
def slow(
    tmp_path: Path, models: Path, start: Callable[..., contextlib.AbstractContextManager[Running]]
) -> Iterator[Any]:
    """A server with a backend of its own: it takes 0.3 s, and fails on a sample whose first value is 13."""
    (tmp_path / "slow.py").write_text(
        "import time\nimport numpy as np\n"
        "class Slow:\n"
        "    def predict(self, raw):\n"
        "        if (raw[:, 0, 0, 0] == 13).any():\n"
        "            raise RuntimeError('thirteen')\n"
        "        time.sleep(0.3 if raw.any() else 0)\n"
        "        return np.full((len(raw), 10), 0.1, np.float32)\n"
        "def open_model(folder, threads=1):\n    return Slow()\n"
    )
    command = [sys.executable, "-m", "modelyard.serving"]
    settings = {"BACKEND": "slow:open_model", "MAX_QUEUE": "1", "GRACE_S": "20"}
    with start(models / "float32", command, tmp_path, **settings) as server:
        yield server


def test_too_many_events_are_to_be_sent_again_and_a_failure_too(slow: Any, raw: np.ndarray) -> None:
    with slow.client() as client, concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post(client, raw.tobytes(), CAUSE | RAW), range(6)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.status_code for answer in answers} == {200, 503}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}

        unlucky = raw.copy()
        unlucky[0, 0, 0, 0] = 13
        assert post(client, unlucky.tobytes(), CAUSE | RAW).status_code == 500
        batch = [event(raw[1:2], id="a"), event(unlucky[:1], id="b")]
        assert post(client, batch, BATCH).status_code == 500
        assert outcomes(client)["failed"] == 2
        assert outcomes(client)["returned"] == len(refused)


def test_a_client_that_goes_takes_its_batch_with_it(slow: Any, raw: np.ndarray) -> None:
    batch = [event(raw[1:2] + 1, id=str(number)) for number in range(20)]
    with slow.client() as client:
        with contextlib.suppress(httpx.ReadTimeout):
            client.post("/events", content=json.dumps(batch), headers=BATCH, timeout=1.3)
        end = time.monotonic() + 3
        while "modelyard_requests_in_progress 1\n" not in client.get("/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.7)
        told = client.get("/metrics").text
    samples = next(line for line in told.splitlines() if line.startswith("modelyard_samples_total"))
    assert int(samples.split()[1]) < 10


def test_an_event_that_is_in_flight_is_answered_before_the_server_stops(slow: Any, raw: np.ndarray) -> None:
    with slow.client() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, client, raw.tobytes(), CAUSE | RAW)
        time.sleep(0.15)
        assert slow.stop() == 0
        assert asked.result().status_code == 200


def test_nothing_of_events_is_imported_before_the_first() -> None:
    code = (
        "import sys, modelyard.serving.app; print([m for m in sys.modules if m.startswith('modelyard.serving.events')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
