"""The place of a request in a trace: read from it, and said in the log and in the answer."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Running
from tests.serving.raw import ask

from modelyard.serving.messages import Request
from modelyard.serving.traces import Sampler, Tracer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
PREDICT = "/v1/models/digits:predict"


def begin(traceparent: Any = None, *, tracestate: Any = None, repeated: Sequence[Any] = (), sampler: Any = None) -> Any:
    headers = {b"traceparent": traceparent, b"tracestate": tracestate}
    given = {name: value.encode() for name, value in headers.items() if value is not None}
    names = frozenset(name.encode() for name in repeated)
    return Tracer(sampler or Sampler()).begin(Request("GET", "/v2", given, names))


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (GOOD, 1),
        (f" {GOOD}\t", 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-03", 3),
        (f"00-{TRACE}-{PARENT}-ff", 3),
        (f"cc-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", 1),
    ],
)
def test_the_trace_of_the_client_goes_on(traceparent: str, flags: int) -> None:
    trace = begin(traceparent)

    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE, PARENT, flags)
    assert re.fullmatch(rf"00-{TRACE}-{trace.span_id}-{flags:02x}", trace.parent().decode())
    assert re.fullmatch(r"[0-9a-f]{16}", trace.span_id)
    assert trace.span_id != PARENT


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "rubbish",
        GOOD[:-1],
        f"{GOOD}0",
        f"{GOOD}-more",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GOOD.upper(),
        f"00-{TRACE}-{PARENT}-0x",
        f"{GOOD},{GOOD}",
        f"{GOOD}\n",
        "é" * 30,
    ],
)
def test_what_is_no_traceparent_begins_a_trace_as_if_there_were_none(traceparent: Any) -> None:
    trace = begin(traceparent, tracestate="a=1")

    assert re.fullmatch(r"[0-9a-f]{32}", trace.trace_id)
    assert trace.trace_id != TRACE
    assert (trace.parent_id, trace.flags, trace.state) == ("", 0, "")


def test_a_traceparent_that_came_twice_is_none() -> None:
    assert begin(GOOD, repeated=["traceparent"]).trace_id != TRACE


@pytest.mark.parametrize(
    ("tracestate", "repeated", "kept"),
    [
        ("a=1,b=2", (), "a=1,b=2"),
        ("a=1", ("tracestate",), ""),
        ("a" * 512, (), "a" * 512),
        ("a" * 513, (), ""),
        ("é=1", (), ""),
    ],
)
def test_the_state_is_kept_if_it_is_whole_and_short(tracestate: str, repeated: tuple[Any, ...], kept: str) -> None:
    assert begin(GOOD, tracestate=tracestate, repeated=repeated).state == kept


LOW, HIGH = "f" * 16 + "0" * 15 + "1", "0" * 16 + "f" * 16


@pytest.mark.parametrize(
    ("ratio", "parent_based", "parent_flags", "sampled"),
    [
        (0.5, False, None, [True, False]),
        (0.5, False, 0, [True, False]),
        (0.5, True, None, [True, False]),
        (0.5, True, 0, [False, False]),
        (0.5, True, 1, [True, True]),
        (0.5, True, 2, [False, False]),
        (0.0, False, 1, [False, False]),
        (1.0, False, 0, [True, True]),
    ],
)
def test_a_sampler_decides_by_the_trace_or_as_its_parent(
    ratio: float, parent_based: bool, parent_flags: int | None, sampled: list[bool]
) -> None:
    sampler = Sampler(ratio, parent_based)

    assert [sampler.samples(trace_id, parent_flags) for trace_id in (LOW, HIGH)] == sampled


def test_a_ratio_takes_about_that_part() -> None:
    tracer = Tracer(Sampler(0.25))
    traces = [tracer.begin(Request("GET", "/v2", {})) for _ in range(4000)]

    assert 800 < sum(trace.sampled for trace in traces) < 1200
    assert len({trace.trace_id for trace in traces}) == len({trace.span_id for trace in traces}) == 4000


def test_each_answer_and_each_line_of_the_log_names_the_trace(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", LOG_LEVEL="debug") as server, server.client() as client:
        ours = [
            client.post(PREDICT, json={"instances": []}, headers={"traceparent": GOOD}),
            client.get("/v2/health/live", headers={"traceparent": GOOD}),
            client.get("/nowhere", headers={"traceparent": GOOD}),
        ]
        alone = client.get("/v2")
        malformed = ask(server, b"no request\r\n\r\n")
        server.stop()
        lines = [line for line in server.logs if line["event"] == "request"]

    for answer, line in zip([*ours, alone], lines, strict=False):
        version, trace_id, span_id, flags = answer.headers["traceparent"].split("-")
        assert (version, line["trace_id"], line["span_id"]) == ("00", trace_id, span_id)
        assert (trace_id == TRACE, flags) == ((True, "01") if answer in ours else (False, "00"))
    assert malformed.startswith(b"HTTP/1.1 400")
    assert b"traceparent" not in malformed
    assert "trace_id" not in lines[4]
    assert len({line["span_id"] for line in lines[:4]}) == 4
