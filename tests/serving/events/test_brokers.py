"""Events from real brokers: whatever is killed, none is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.events.brokers import BROKERS, event_headers, wait_until
from tests.standins.tls import certificate

NUMBERS = itertools.count()
LONG = bool(os.environ.get("MODELYARD_TEST_LONG_EVENTS"))
SETTINGS = {"EVENTS_ACK_WAIT_S": "1", "EVENTS_ATTEMPTS": "50"}
"""Whoever is killed again and again counts as many tries as it was killed."""
MODEL = """
import os
import time
import numpy as np


class Odd:
    def predict(self, raw):
        if (raw == 16).all():
            raise RuntimeError('sixteen')
        if (raw == 14).all():
            os._exit(1)
        time.sleep(2.5 if (raw == 15).all() else {time_s})
        return np.full((len(raw), 10), 0.1, np.float32)


def open_model(folder, threads=1):
    return Odd()
"""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Gives the broker of a name, which is started when it is first asked for; one a session."""
    brokers = {}

    def run(name: str, *, secured: bool = False) -> Any:
        if (name, secured) not in brokers:
            folder = tmp_path_factory.mktemp(name)
            if secured:
                certificate(folder)
            broker = brokers[name, secured] = BROKERS[name](folder / "broker", folder if secured else None)
            broker.start()
        return brokers[name, secured]

    yield run
    for broker in brokers.values():
        broker.kill()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, running: Callable[..., Any]) -> Iterator[Any]:
    broker = running(request.param)
    broker.begin(f"t{next(NUMBERS)}")
    yield broker
    broker.end()


@pytest.fixture
def serve(
    broker: Any, start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> Callable[..., Any]:
    """Starts a server that takes events from the broker; `time_s`: with another model, which takes so long."""

    def started(time_s: Any = None, *arguments: Any, **settings: Any) -> Any:
        given = {**SETTINGS, **broker.settings, **broker.places, **settings}
        if time_s is None:
            return start(models / "float32", **given)
        (tmp_path / "odd.py").write_text(MODEL.format(time_s=time_s))
        command = [sys.executable, "-m", "modelyard.serving", *arguments]
        return start(models / "float32", command, tmp_path, BACKEND="odd:open_model", **given)

    return started


def bodies_of(raw: Any, count: int) -> list[bytes]:
    return [raw[number % len(raw)].tobytes() for number in range(count)]


def assert_all_answered(answers: Any, count: int) -> None:
    """Every event has an answer, and where it has two, they are one: they have the same id."""
    ids = {}
    for answer in answers:
        ids.setdefault(answer.cause, set()).add(answer.headers["ce-id"])
    assert sorted(map(int, ids)) == list(range(count))
    assert {len(one) for one in ids.values()} == {1}


def metrics_of(server: Any, *wanted: Any) -> Any:
    """Return the server's metrics, once they have these lines: what is confirmed is counted a moment later."""
    end = time.monotonic() + (120 if LONG else 30)
    with server.client() as client:
        while True:
            told = client.get("/metrics").text
            if all(line in told for line in wanted):
                return told
            assert time.monotonic() < end, told
            time.sleep(0.02)


def event_lines(server: Any, least: Any) -> Any:
    """Return the lines of the log that are about events, once these are `least`: they are written many at once."""
    end = time.monotonic() + 10
    while len(found := [line for line in server.logs if line["event"] == "event"]) < least:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def resident_mb(server: Any) -> Any:
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def test_events_are_answered_and_poison_is_a_dead_letter(
    broker: Any,
    serve: Callable[..., Any],
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


def test_a_subject_that_no_stream_holds_is_told_until_one_does(
    serve: Callable[..., Any], broker: Any, raw: np.ndarray
) -> None:
    if not isinstance(broker, BROKERS["nats"]):
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


@pytest.mark.slow
def test_no_event_is_lost_when_the_server_is_killed(broker: Any, serve: Callable[..., Any], raw: np.ndarray) -> None:
    random_, count, done, amid = random.Random(1), 500, 0, 0
    broker.make()
    broker.send(bodies_of(raw, count))
    for _ in range(20 if LONG else broker.server_kills):
        with serve(0.002) as server:
            broker.answered(min(count, done + random_.randint(1, 25)))
            server.stop(signal.SIGKILL)
        done = broker.answered()
        amid += 0 < done < count
    assert amid > 0
    with serve() as server:
        answers = broker.collect(broker.output, count)
        assert server.stop() == 0
    broker.settled()

    assert_all_answered(answers, count)
    assert broker.count(broker.dead) == 0


@pytest.mark.slow
def test_no_event_is_lost_when_the_broker_is_killed(broker: Any, serve: Callable[..., Any], raw: np.ndarray) -> None:
    count, amid = 500, 0
    broker.make()
    time.sleep(broker.made_s)
    broker.send(bodies_of(raw, count))
    with serve(0.002) as server:
        for kill in range(broker.kills):
            broker.answered(1 + 20 * kill)
            broker.interrupt()
            time.sleep(0.3)
            broker.start()
            amid += broker.answered(1) < count
        answers = broker.collect(broker.output, count)
        assert server.stop() == 0

    assert amid > 0
    assert_all_answered(answers, count)
    assert broker.count(broker.dead) == 0


def test_what_the_model_fails_on_is_tried_again_and_then_a_dead_letter(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
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


def test_events_that_are_held_when_the_server_stops_are_answered(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    """Nothing is left with a server that has gone: what was taken is done, the rest is there for the next."""
    count = 300
    broker.make()
    broker.send(bodies_of(raw, count))
    with serve(0.002) as server:
        broker.answered(1)
        assert server.stop() == 0
    assert 0 < broker.answered() < count
    with serve() as server:
        answers = broker.collect(broker.output, count)
        assert server.stop() == 0
    broker.settled()

    assert len(answers) == count


def test_a_server_that_answers_once_ends_when_there_is_nothing_more(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
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
    with serve(0, "--events-once", WORKERS="4") as server:  # one process answers, and ends
        assert server.process.wait(30) == 0


def test_nothing_is_acknowledged_while_the_broker_refuses_the_answers(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    """No dead letter comes of it, no more is held than may be, and all are answered in the end."""
    if not broker.refuses:
        pytest.skip("the broker takes whatever it is sent")
    count = 40
    broker.make(with_output=False)
    broker.send(bodies_of(raw, count))
    with serve(EVENTS_MAX_IN_FLIGHT="8") as server:
        server.wait_for_log("not acknowledged", 20)
        time.sleep(1.5)
        told = metrics_of(server, "modelyard_events_in_flight 8\n")
        assert 'modelyard_events_total{outcome="done"} 0\n' in told
        broker.allow_output()
        answers = broker.collect(broker.output, count)
        assert server.stop() == 0
    broker.settled()

    assert_all_answered(answers, count)
    assert broker.count(broker.dead) == 0


def test_an_event_that_comes_twice_has_one_id(broker: Any, serve: Callable[..., Any], raw: np.ndarray) -> None:
    broker.make()
    broker.send(bodies_of(raw, 1))
    with serve() as server:
        (first,) = broker.collect(broker.output, 1)
        metrics_of(server, 'modelyard_events_total{outcome="done"} 1\n')
        broker.send(bodies_of(raw, 1))
        metrics_of(server, 'modelyard_events_total{outcome="done"} 2\n')
        assert server.stop() == 0
    assert {one.headers["ce-id"] for one in broker.read(broker.output)} == {first.headers["ce-id"]}


def test_two_servers_share_the_work_and_one_takes_it_over(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    if not broker.joins_at_once:
        pytest.skip(
            "the broker that can be installed takes long to let a second server in: one comes for the order of keys"
        )
    count = 200
    broker.make(members=("one", "two"))
    with serve(0.002, EVENTS_CONSUMER="one") as one, serve(0.002, EVENTS_CONSUMER="two") as two:
        for server in (one, two):
            metrics_of(server, "modelyard_events_connected 1\n")
        broker.send(bodies_of(raw, count))
        broker.collect(broker.output, count)
        assert two.stop() == 0
        held = [len(event_lines(server, 1)) for server in (one, two)]
        broker.send(bodies_of(raw, 20), first=count)
        if not broker.takes_over:
            with serve(0.002, EVENTS_CONSUMER="two") as again:
                broker.collect(broker.output, count + 20)
                assert again.stop() == 0
        answers = broker.collect(broker.output, count + 20)
        assert one.stop() == 0

    assert len(answers) == count + 20 or not broker.hears_to_the_end
    assert_all_answered(answers, count + 20)
    assert min(held) > 0


def test_events_of_one_key_are_answered_in_their_order_however_often_one_is_tried(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    keys = ("a", "b", "c")
    bodies = [np.full_like(raw[0], 16 if number in (4, 9) else number % 3).tobytes() for number in range(30)]
    broker.make()
    broker.send(bodies, keys=keys)
    with serve(0.002, EVENTS_ATTEMPTS="3", EVENTS_RETRY_S="0.2", EVENTS_ORDER="key") as server:
        answers = broker.collect(broker.output, 28)
        dead = broker.collect(broker.dead, 2)
        assert server.stop() == 0
        lines = event_lines(server, 30)
    broker.settled()

    assert sorted((one.headers["ce-id"], one.headers["ce-errorattempts"]) for one in dead) == [("4", "3"), ("9", "3")]
    for first in range(3):
        wanted = list(range(first, 30, 3))
        assert [int(one["id"]) for one in lines if int(one["id"]) % 3 == first] == wanted
        there = [int(one.cause) for one in answers if int(one.cause) % 3 == first]
        assert there == [number for number in wanted if number not in (4, 9)]


def test_keys_keep_their_order_while_another_server_comes_and_goes(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    if not isinstance(broker, BROKERS["kafka"]):
        pytest.skip("the broker hands events of one key to any server")
    keys, settings = tuple("abcdefgh"), {"EVENTS_ORDER": "key", "EVENTS_MAX_IN_FLIGHT": "16"}
    sent = 0

    def more() -> None:
        nonlocal sent
        broker.send(bodies_of(raw, 80), first=sent, keys=keys)
        sent += 80

    def both_had_some() -> Any:
        if broker.answered() + 40 > sent:  # events come all the time: a server gets some whenever it has joined
            more()
        return len([line for line in two.logs if line["event"] == "event"]) > 30

    broker.make()
    more()
    with serve(0.003, **settings) as one:
        broker.answered(40)
        with serve(0.003, **settings) as two:
            wait_until(both_had_some)
            assert two.stop() == 0
        more()
        answers = broker.collect(broker.output, sent)
        assert one.stop() == 0
    broker.settled()

    assert_all_answered(answers, sent)
    assert len(answers) == sent or not broker.hears_to_the_end
    for first in range(len(keys)):
        there = [int(answer.cause) for answer in answers if int(answer.cause) % len(keys) == first]
        assert list(dict.fromkeys(there)) == list(range(first, sent, len(keys)))


def test_each_answer_is_sent_once_however_often_servers_are_killed_or_held_up(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    """One is killed, another is stopped until its events are another's, and goes on then: what it still sends is void."""
    if not isinstance(broker, BROKERS["kafka"]):
        pytest.skip("the broker has no transactions that have answers and acknowledgements")
    if not broker.voids_what_was_not_committed():
        pytest.skip("the broker commits what a producer had left open together with what the next one commits")
    random_, count = random.Random(2), 400
    once = {"EVENTS_EXACTLY_ONCE": "true", "EVENTS_ATTEMPTS": "2", "EVENTS_RETRY_S": "0.1"}
    bodies = bodies_of(raw, count)
    bodies[7], bodies[90] = b"poison", np.full_like(raw[0], 16).tobytes()
    broker.make()
    broker.send(bodies)
    for _ in range(20 if LONG else 2):
        with serve(0.002, **once) as server:
            broker.answered(min(count - 40, broker.answered() + random_.randint(1, 40)))
            server.stop(signal.SIGKILL)
    assert broker.answered() < count
    with serve(0.002, **once) as held_up, serve(0.002, **once) as server:
        held_up.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: len(broker.committed(broker.output)) == count - 2, 120)
        held_up.process.send_signal(signal.SIGCONT)
        broker.send(bodies_of(raw, 50), first=count)
        wait_until(lambda: len(broker.committed(broker.output)) >= count + 48, 60)
        assert server.stop() == 0
        assert held_up.stop() == 0
    answers, dead = broker.committed(broker.output), broker.committed(broker.dead)

    wanted = set(map(str, range(count + 50))) - {"7", "90"}
    assert sorted(one.cause for one in answers) == sorted(wanted)
    assert sorted((one.headers["ce-id"], one.headers["ce-errorreason"]) for one in dead) == [
        ("7", "unprocessable"), ("90", "failed"),
    ]  # fmt: skip


def test_what_ends_every_server_that_has_it_is_a_dead_letter_in_the_end(
    broker: Any, serve: Callable[..., Any], raw: np.ndarray
) -> None:
    if not broker.counts:
        pytest.skip("the broker does not count how often it handed an event out")
    count = 20
    bodies = bodies_of(raw, count)
    bodies[2] = np.full_like(raw[0], 14).tobytes()
    broker.make()
    broker.send(bodies)
    for _ in range(3):
        with serve(0.002, EVENTS_ATTEMPTS="3") as server:
            assert server.process.wait(30) == 1
    with serve(0.002, EVENTS_ATTEMPTS="3") as server:
        (dead, *others) = broker.collect(broker.dead, 1)
        wait_until(lambda: broker.answered() >= count)
        assert server.stop() == 0
    broker.settled()

    dead = {one.cause: one for one in (dead, *others, *broker.read(broker.dead))}
    assert {one.headers["ce-errorreason"] for one in dead.values()} == {"failed"}
    assert int(dead["2"].headers["ce-errorattempts"]) >= 3
    assert dead["2"].data == bodies[2]
    answered = {one.cause for one in broker.read(broker.output)}
    assert answered | set(dead) == set(map(str, range(count)))
    assert len(dead) < count  # each time about half of the others, by chance, are acknowledged before its turn comes


@pytest.mark.slow
def test_memory_is_flat(broker: Any, serve: Callable[..., Any], raw: np.ndarray) -> None:
    count = 10_000 if LONG else 900
    broker.make()
    broker.send(bodies_of(raw, count // 3))
    with serve() as server:
        metrics_of(server, f'modelyard_events_total{{outcome="done"}} {count // 3}\n')
        before = resident_mb(server)
        broker.send(bodies_of(raw, count), first=count)
        end = time.monotonic() + 240
        while broker.count(broker.output) < count + count // 3:
            assert time.monotonic() < end
            time.sleep(0.2)
        after = resident_mb(server)
        assert server.stop() == 0
    assert after < before + 12, (before, after)


@pytest.fixture(params=BROKERS)
def secured(request: pytest.FixtureRequest, running: Callable[..., Any]) -> Iterator[Any]:
    """A broker that speaks TLS alone and asks for a password."""
    if not BROKERS[request.param].has_passwords:
        pytest.skip("the broker of that protocol that can be installed asks for no password")
    broker = running(request.param, secured=True)
    broker.begin(f"t{next(NUMBERS)}")
    yield broker
    broker.end()


def files_for(broker: Any, folder: Path, password: str) -> dict[str, Any]:
    (folder / "user").write_text(f"{broker.user}\n")
    (folder / "password").write_text(f"{password}\n")
    return {
        **SETTINGS,
        **broker.settings,
        **broker.places,
        "EVENTS_USERNAME_FILE": str(folder / "user"),
        "EVENTS_PASSWORD_FILE": str(folder / "password"),
        "EVENTS_CA_FILE": str(broker.certificate / "tls.crt"),
    }


def test_password_and_certificate_come_from_files_and_a_new_password_is_read(
    secured: Any,
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    tmp_path: Path,
) -> None:
    secured.make()
    secured.send(bodies_of(raw, 3))
    with start(models / "float32", **files_for(secured, tmp_path, "wr0ng")) as server:
        refused = server.wait_for_log("broker")
        assert secured.answered() == 0
        (tmp_path / "password").write_text(secured.password)
        answers = secured.collect(secured.output, 3)
        assert server.stop() == 0

    assert len(answers) == 3
    assert refused["reason"]
    assert not [line for line in server.logs if secured.password in str(line) or "wr0ng" in str(line)]


def test_a_broker_whose_certificate_is_not_trusted_is_told_no_password(
    secured: Any, start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    settings = files_for(secured, tmp_path, secured.password)
    del settings["EVENTS_CA_FILE"]
    with start(models / "float32", **settings) as server:
        assert "certificate" in server.wait_for_log("broker")["reason"].lower()
        assert server.stop() == 0
