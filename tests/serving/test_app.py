"""What is behind the connections: who is let in, where a path leads, and what is counted and logged of it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from modelyard.serving.app import App
from modelyard.serving.auth import BasicAuth, Guesses
from modelyard.serving.connection import Connection
from modelyard.serving.engine import Engine, Pace
from modelyard.serving.limits import Limits
from modelyard.serving.logs import requests
from modelyard.serving.messages import Request, Response
from modelyard.serving.metrics import Board, Metrics
from modelyard.serving.model import Facts
from modelyard.serving.mounted import Mounted
from modelyard.serving.repository import Open, Repository
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import Input, Output
from modelyard.serving.traces import Sampler, Span, Tracer

FLOAT = np.dtype("float32")
PREDICT = b'{"instances": [[1, 2]]}'
DOUBLED = {"predictions": [[2.0, 4.0]]}
BAD = base64.b64encode(b"ann:wrong")
GOOD = base64.b64encode(b"ann:secret")


class Doubling:
    """A model that doubles."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"out": 2 * inputs["input"]}


class Client:
    """A connection that keeps its answers."""

    def __init__(self, peer: str = "192.0.2.7") -> None:
        self.peer, self.trusted = peer, False
        self.answers: list[Response] = []

    def respond(self, response: Response) -> None:
        self.answers.append(response)


Make = Callable[..., App]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes the app of a model, or of one more for each name, on a loop that does not run."""
    loop, engines, boards = asyncio.new_event_loop(), list[Engine](), list[Board]()

    def app(
        *names: str,
        auth: BasicAuth | None = None,
        ready: bool = True,
        body: int = 1000,
        tracer: Tracer | None = None,
    ) -> App:
        boards.append(Board(1, max(1, len(names))))
        metrics = Metrics(boards[-1], 0, *({"name": name, "version": "1"} for name in names or ("m",)))
        models = []
        for number, name in enumerate(names or ("m",)):
            facts = Facts(Path(name), "onnx", (Input("input", FLOAT, (2,)),), (Output("out", FLOAT, (2,)),))
            model = Served(name, "1", facts)
            engines.append(Engine(Doubling(), metrics.of_model(number), Pace(1e-6), loop))
            limits = Limits.of(model.inputs.values(), 8, body * (number + 1), 1 << 20)
            models.append(Open(model, engines[-1], limits))
        who = Mounted((), lambda: auth or BasicAuth(None, None))
        return App(who, Repository(models), metrics, tracer or Tracer(Sampler()), lambda: ready, loop)

    yield app
    for engine in engines:
        engine.close()
    requests.flush()
    loop.close()


def asked(app: App, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    request, client = Request(method, path, given, body=body), Client()
    app.began(request)
    app.answer(request, cast("Connection", client))
    while not client.answers:  # a machine that is busy answers later
        app._loop.run_until_complete(asyncio.sleep(0.001))
    (answer,) = client.answers
    return answer


def with_login(login: bytes = b"", path: str = "/v2") -> Request:
    return Request("GET", path, {b"authorization": b"Basic " + login} if login else {})


def test_each_protocol_has_its_paths(make: Make) -> None:
    app = make()
    infer = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}

    assert json.loads(asked(app, "POST", "/v1/models/m:predict", PREDICT).body) == DOUBLED
    assert json.loads(asked(app, "POST", "/V1/models/m:predict", PREDICT).body) == DOUBLED
    found = json.loads(asked(app, "POST", "/v2/models/m/infer", json.dumps(infer).encode()).body)
    assert found["outputs"][0]["data"] == [2.0, 4.0]
    assert json.loads(asked(app, "POST", "/v2/repository/index").body) == [
        {"name": "m", "version": "1", "state": "READY"}
    ]
    metrics = asked(app, "GET", "/metrics")
    assert (metrics.status, metrics.media_type.split(b";")[0]) == (200, b"text/plain")
    assert b"modelyard_samples_total 3\n" in metrics.body


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/metrics", 405, "Method Not Allowed: POST /metrics"),
        ("GET", "/v2/repository/index", 405, "Method Not Allowed: GET /v2/repository/index"),
        ("GET", "/nowhere", 404, "Not Found: GET /nowhere"),
        ("GET", "/v1x", 404, "Not Found: GET /v1x"),
    ],
)
def test_a_path_that_is_not_there_or_not_asked_so_is_refused(
    make: Make, method: str, path: str, status: int, error: str
) -> None:
    answer = asked(make(), method, path)

    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)


def test_of_several_models_each_has_its_own_limit_and_the_door_the_largest(make: Make) -> None:
    app = make("small", "large", body=100)
    body = PREDICT + b" " * 100

    assert app.max_body_bytes == 200
    assert json.loads(asked(app, "POST", "/v1/models/large:predict", body).body) == DOUBLED
    answer = asked(app, "POST", "/v1/models/small:predict", body)
    assert (answer.status, json.loads(answer.body)["error"]) == (413, "the request's body is larger than 100 bytes")


def test_of_several_models_none_answers_events(make: Make) -> None:
    answer = asked(make("a", "b"), "POST", "/events", b"{}", content_type="application/cloudevents+json")

    assert answer.status == 404
    assert json.loads(answer.body)["error"].startswith("Not Found: /events: of several models")


def test_the_only_model_answers_events(make: Make) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"instances": [[1, 2]]}}
    app = make()

    answer = asked(app, "POST", "/events", json.dumps(event).encode(), content_type="application/cloudevents+json")

    assert answer.status == 200, answer.body
    assert b"[[2.0,4.0]]" in answer.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({b"content-length": b"1000", b"expect": b"100-Continue"}, None),
        ({b"content-length": b"1001"}, 413),
        ({b"expect": b"magic"}, 417),
    ],
)
def test_what_need_not_be_read_is_refused_before(make: Make, headers: dict[bytes, bytes], status: int | None) -> None:
    answer = make().admit(Request("POST", "/v2", headers), Client())

    assert (None if answer is None else answer.status) == status


def test_the_password_comes_first(make: Make) -> None:
    app, client = make(auth=BasicAuth("ann", "secret")), Client()

    refused = app.admit(Request("POST", "/v2", {b"expect": b"magic"}), client)
    assert refused is not None
    assert (refused.status, client.trusted) == (401, False)
    assert app.admit(with_login(path="/v2/health/live"), client) is None
    assert not client.trusted, "a probe needs none"
    assert app.admit(with_login(GOOD), client) is None
    assert client.trusted


def test_a_token_is_no_password_and_lets_nobody_guess_that_faster(make: Make) -> None:
    app, client = make(auth=BasicAuth("ann", "secret", events_token="t")), Client()

    assert app.admit(Request("POST", "/events", {b"authorization": b"Bearer t"}), client) is None

    assert not client.trusted


def test_guesses_are_slowed_for_their_peer_alone_and_not_where_the_password_was_given(make: Make) -> None:
    app, client, other = make(auth=BasicAuth("ann", "secret")), Client(), Client("192.0.2.8")
    for _ in range(Guesses.FREE + 2):
        app.check_password(with_login(BAD), client)

    assert app.hold_s(with_login(GOOD), client) == pytest.approx(2 * Guesses.STEP_S)
    assert app.hold_s(with_login(GOOD), other) == 0
    assert app.hold_s(with_login(path="/v2/health/live"), client) == 0
    app.check_password(with_login(GOOD), client)
    assert app.hold_s(with_login(GOOD), client) == 0


def test_clients_are_asked_to_leave_once_it_is_not_ready(make: Make) -> None:
    assert (make().closing(), make(ready=False).closing()) == (False, True)


def counted(app: App, labels: str) -> float:
    lines = asked(app, "GET", "/metrics").body.decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"modelyard_requests_total{{{labels}")
    )


def in_progress(app: App) -> int:
    (line,) = re.findall(rb"^modelyard_requests_in_progress (\d+)$", asked(app, "GET", "/metrics").body, re.MULTILINE)
    return int(line)


class Spans:
    """Takes spans."""

    def __init__(self) -> None:
        self.names: list[tuple[str, float, str]] = []

    def add(self, span: Span) -> None:
        self.names.append((span.name, span.duration_s, span.failed))

    def close(self, wait_s: float) -> None:
        raise NotImplementedError


def test_a_request_that_is_sampled_has_a_span(make: Make) -> None:
    spans = Spans()
    app = make(tracer=Tracer(Sampler(1.0), spans))
    request = Request("POST", "/v2/models/m/infer", {})
    app.began(request)
    app.answered(request, 500, 0.25, "192.0.2.7")
    app.answered(None, 400, 0.0, "192.0.2.7")

    assert spans.names == [("POST /v2/models/NAME[/versions/N]/infer", 0.25, "500")]


def test_answers_are_counted_by_what_they_were_to(make: Make) -> None:
    app = make()
    for path in ("/v1/models/m:predict", "/v1/models/other:predict", "/v2"):
        request = Request("POST", path, {})
        app.began(request)
        app.answered(request, 200, 0.1, "192.0.2.7")
    app.answered(None, 400, 0.0, "192.0.2.7")

    assert counted(app, 'protocol="tfserving",operation="predict",code="200"') == 2
    assert counted(app, 'protocol="oip",operation="describe",code="200"') == 1
    assert counted(app, 'protocol="http",operation="malformed",code="400"') == 1
    before = in_progress(app)
    app.began(Request("GET", "/v2", {}))
    assert in_progress(app) == before + 2, "that one, and the scrape that nobody has answered"
    app.answered(None, 400, 0.0, "192.0.2.7")
    assert in_progress(app) == before + 3, "what is no request was none in progress"


@pytest.mark.parametrize(
    ("level", "events"),
    [
        (logging.DEBUG, [("/v2", "info"), ("/metrics", "debug"), ("/v2/health/live", "debug"), ("/metrics", "info")]),
        (logging.INFO, [("/v2", "info"), ("/metrics", "info")]),
        (logging.WARNING, []),
    ],
)
def test_probes_are_logged_for_who_looks_for_them_and_where_they_fail(
    make: Make,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    level: int,
    events: list[tuple[str, str]],
) -> None:
    with caplog.at_level(level, "modelyard.serving"):
        app = make()
    for path, status in (("/v2", 200), ("/metrics", 200), ("/v2/health/live", 200), ("/metrics", 500)):
        app.answered(Request("GET", path, {}), status, 0.0015, "192.0.2.7")
    requests.flush()

    lines: list[dict[str, Any]] = list(map(json.loads, capfd.readouterr().out.splitlines()))
    assert [(line["path"], line["level"]) for line in lines] == events


def test_a_line_says_what_was_asked_and_names_its_trace(
    make: Make, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "modelyard.serving"):
        app = make()
    request = Request("GET", "/\udcff" + "x" * 300, {})
    app.began(request)
    app.answered(request, 404, 0.0015, "192.0.2.7")
    app.answered(None, 400, 0.0, "192.0.2.7")
    requests.flush()

    line, none = map(json.loads, capfd.readouterr().out.splitlines())
    assert request.trace is not None
    assert (line["method"], line["status"], line["duration_ms"], line["client"]) == ("GET", 404, 1.5, "192.0.2.7")
    assert line["path"] == "/?" + "x" * 254, "no longer, whatever a stranger asks for"
    assert (line["trace_id"], line["span_id"]) == (request.trace.trace_id, request.trace.span_id)
    assert (none["method"], none["path"], "trace_id" in none) == ("", "", False)


def test_strange_paths_are_not_remembered_without_end(make: Make) -> None:
    app = make()
    for number in range(400):
        app.answered(Request("GET", f"/{number}", {}), 404, 0.0, "192.0.2.7")

    assert len(app._labels) == 256
    assert counted(app, 'protocol="other",operation="other",code="404"') == 400
