"""Events from real brokers: each is answered, or put aside with the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.serving.events.brokers import AmqpBroker, Broker, NatsBroker, RedisBroker, event_headers
from tests.serving.events.conftest import Serve
from tests.serving.events.seen import assert_all_answered, bodies_of, event_lines, metrics_of


def test_events_are_answered_and_poison_is_a_dead_letter(
    broker: Broker,
    serve: Serve,
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
) -> None:
    bodies = bodies_of(raw, 7)
    bodies[3] = b"poison \x00\xff\r\n"
    broker.make()
    broker.send(bodies)
    with serve() as server:
        answers = broker.collect(broker.output, 6)
        (dead,) = broker.collect(broker.dead, 1)
        assert server.stop() == 0
        lines = event_lines(server, 7)
    broker.settled()
    right = expected(models / "float32", raw)

    for answer in answers:
        np.testing.assert_allclose(json.loads(answer.data)["predictions"][0], right[int(answer.cause)], atol=1e-6)
    assert dead.data == bodies[3]
    assert {name: dead.headers[name] for name in event_headers(3)} == event_headers(3)
    assert dead.headers["ce-errorreason"] == "unprocessable"
    assert dead.headers["ce-knativeerrorcode"] == "400"
    assert sorted((line["id"], line["outcome"]) for line in lines) == [
        (str(number), "unprocessable" if number == 3 else "done") for number in range(7)
    ]
    assert "poison" not in json.dumps(server.logs)


def test_a_subject_that_no_stream_holds_is_told_until_one_does(serve: Serve, broker: Broker, raw: np.ndarray) -> None:
    if not isinstance(broker, NatsBroker):
        pytest.skip("it makes a stream when it is asked for one")
    with serve() as server:
        end = time.monotonic() + 10
        while not (told := [line for line in server.logs if "no stream holds" in str(line.get("reason"))]):
            assert time.monotonic() < end, server.logs
            time.sleep(0.02)
        assert f"the subject {broker.input!r}; make one" in told[0]["reason"]
        broker.make()
        broker.send(bodies_of(raw, 3))
        assert_all_answered(broker.collect(broker.output, 3), 3)
        assert server.stop() == 0


def test_a_dead_letter_that_nobody_takes_waits_and_its_neighbours_do_not(
    serve: Serve, broker: Broker, raw: np.ndarray
) -> None:
    if not isinstance(broker, (NatsBroker, AmqpBroker)):
        pytest.skip("it makes a stream when one is named, or takes whatever it is sent")
    broker.make()
    bodies = bodies_of(raw, 5)
    bodies[2] = b"poison"
    broker.send(bodies)
    answers_at, later = broker.output, f"{broker.input}-later"
    with serve(EVENTS_DEAD_LETTER=later, EVENTS_ATTEMPTS="2") as server:
        server.wait_for_log("not acknowledged", 20)
        answers = broker.collect(broker.output, 4)
        metrics_of(server, 'modelyard_events_total{outcome="unprocessable"} 0\n', "modelyard_events_in_flight 1\n")
        broker.output = broker.dead = later
        broker.allow_output()
        (dead,) = broker.collect(later, 1)
        assert server.stop() == 0
    broker.settled()
    broker.output = answers_at
    assert sorted(answer.cause for answer in answers) == ["0", "1", "3", "4"]
    assert (dead.cause, dead.data) == ("2", b"poison")


def test_what_the_model_fails_on_is_tried_again_and_then_a_dead_letter(
    broker: Broker, serve: Serve, raw: np.ndarray
) -> None:
    """The failing event fails no other, and a prediction that takes longer than the lease is made once."""
    samples = np.stack([raw[0], np.full_like(raw[0], 16), raw[1], np.full_like(raw[0], 15)])
    broker.make()
    broker.send([sample.tobytes() for sample in samples])
    with serve(0, EVENTS_ATTEMPTS="3", EVENTS_RETRY_S="0.1") as server:
        answers = broker.collect(broker.output, 3)
        (dead,) = broker.collect(broker.dead, 1)
        told = metrics_of(server, 'modelyard_events_total{outcome="failed"} 1\n', 'outcome="done"} 3\n')
        assert server.stop() == 0

    assert sorted(answer.cause for answer in answers) == ["0", "2", "3"]
    assert (dead.headers["ce-id"], dead.headers["ce-errorreason"]) == ("1", "failed")
    assert dead.headers["ce-errorattempts"] == "3"
    assert dead.data == samples[1].tobytes()
    assert 'modelyard_events_total{outcome="returned"} 2\n' in told


def test_an_event_that_comes_twice_has_one_id(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
    broker.make()
    broker.send(bodies_of(raw, 1))
    with serve() as server:
        (first,) = broker.collect(broker.output, 1)
        metrics_of(server, 'modelyard_events_total{outcome="done"} 1\n')
        broker.send(bodies_of(raw, 1))
        metrics_of(server, 'modelyard_events_total{outcome="done"} 2\n')
        assert server.stop() == 0
    assert {one.headers["ce-id"] for one in broker.read(broker.output)} == {first.headers["ce-id"]}


def test_a_server_that_answers_once_ends_when_there_is_nothing_more(
    broker: Broker, serve: Serve, raw: np.ndarray
) -> None:
    """What the model fails on is tried to the end before, and not left to whoever comes next."""
    samples = np.stack([*raw[:5], np.full_like(raw[0], 16)])
    broker.make()
    broker.send([sample.tobytes() for sample in samples])
    with serve(0, "--events-once", EVENTS_ATTEMPTS="3", EVENTS_RETRY_S="0.1", DRAIN_S="60") as server:
        assert server.process.wait(60) == 0
    broker.settled()
    answers = broker.collect(broker.output, 5)
    (dead,) = broker.collect(broker.dead, 1)

    assert sorted(answer.cause for answer in answers) == [str(number) for number in range(5)]
    assert (dead.headers["ce-id"], dead.headers["ce-errorattempts"]) == ("5", "3")
    assert [line["reason"] for line in server.logs if line["event"] == "draining"] == ["no more events"]


def test_of_several_workers_one_answers_once_and_ends(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
    if not isinstance(broker, RedisBroker):
        pytest.skip("how many processes answer, no broker has a say in")
    broker.make()
    broker.send(bodies_of(raw, 3))
    with serve(0, "--events-once", WORKERS="4") as server:
        assert server.process.wait(30) == 0
    broker.settled()
    assert_all_answered(broker.collect(broker.output, 3), 3)
