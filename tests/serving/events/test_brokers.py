"""Events from real brokers: whatever is killed, none is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time

import numpy as np
import pytest
from tests.serving.events.brokers import BROKERS, event_headers
from tests.standins.tls import certificate

LONG = bool(os.environ.get("MODELYARD_TEST_LONG_EVENTS"))
SETTINGS = {"EVENTS_INPUT": "in", "EVENTS_OUTPUT": "out", "EVENTS_ACK_WAIT_S": "1"}
MODEL = """
import time
import numpy as np


class Odd:
    def predict(self, raw):
        if (raw == 16).all():
            raise RuntimeError('sixteen')
        time.sleep(2.5 if (raw == 15).all() else {time_s})
        return np.full((len(raw), 10), 0.1, np.float32)


def open_model(folder, threads=1):
    return Odd()
"""


@pytest.fixture(params=BROKERS)
def broker(request, tmp_path):
    broker = BROKERS[request.param](tmp_path / "broker")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def serve(broker, start, models, tmp_path):
    """Starts a server that takes events from the broker; `time_s`: with another model, which takes so long."""

    def started(time_s=None, **settings):
        given = {**SETTINGS, **broker.settings, **settings}
        if time_s is None:
            return start(models / "float32", **given)
        (tmp_path / "odd.py").write_text(MODEL.format(time_s=time_s))
        command = [sys.executable, "-m", "modelyard.serving"]
        return start(models / "float32", command, tmp_path, BACKEND="odd:open_model", **given)

    return started


def bodies_of(raw, count):
    return [raw[number % len(raw)].tobytes() for number in range(count)]


def assert_all_answered(answers, count):
    """Every event has an answer, and where it has two, they are one: they have the same id."""
    ids = {}
    for answer in answers:
        ids.setdefault(answer.cause, set()).add(answer.headers["ce-id"])
    assert sorted(map(int, ids)) == list(range(count))
    assert {len(one) for one in ids.values()} == {1}


def metrics_of(server, *wanted):
    """Return the server's metrics, once they have these lines: what is confirmed is counted a moment later."""
    end = time.monotonic() + 20
    with server.client() as client:
        while True:
            told = client.get("/metrics").text
            if all(line in told for line in wanted):
                return told
            assert time.monotonic() < end, told
            time.sleep(0.02)


def event_lines(server, least):
    """Return the lines of the log that are about events, once these are `least`: they are written many at once."""
    end = time.monotonic() + 10
    while len(found := [line for line in server.logs if line["event"] == "event"]) < least:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def resident_mb(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def test_events_are_answered_and_poison_is_a_dead_letter(broker, serve, models, raw, expected):
    bodies = bodies_of(raw, 7)
    bodies[3] = b"poison \x00\xff\r\n"
    broker.make()
    broker.send(bodies)
    with serve() as server:
        answers = broker.collect("out", 6)
        (dead,) = broker.collect("in.dead", 1)
        broker.settled()
        assert server.stop() == 0
        lines = event_lines(server, 7)
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


def test_a_subject_that_no_stream_holds_is_told_until_one_does(serve, broker, raw):
    if broker.client.partition(":")[0].rpartition(".")[2] != "nats_jetstream":
        pytest.skip("Redis makes a stream when it is asked for one")
    with serve() as server:
        end = time.monotonic() + 10
        while not (told := [line for line in server.logs if "no stream holds" in str(line.get("reason"))]):
            assert time.monotonic() < end, server.logs
            time.sleep(0.02)
        assert "the subject 'in'; make one" in told[0]["reason"]
        broker.make()
        broker.send(bodies_of(raw, 3))
        assert_all_answered(broker.collect("out", 3), 3)
        assert server.stop() == 0


def test_no_event_is_lost_when_the_server_is_killed(broker, serve, raw):
    random_, count, done, amid = random.Random(1), 500, 0, 0
    broker.make()
    broker.send(bodies_of(raw, count))
    for _ in range(20 if LONG else 4):
        with serve(0.002) as server:
            broker.answered(min(count, done + random_.randint(1, 25)))
            server.stop(signal.SIGKILL)
        done = broker.answered()
        amid += 0 < done < count
    assert amid > 0
    with serve() as server:
        answers = broker.collect("out", count)
        broker.settled()
        assert server.stop() == 0

    assert_all_answered(answers, count)
    assert broker.count("in.dead") == 0


def test_no_event_is_lost_when_the_broker_is_killed(broker, serve, raw):
    count, amid = 500, 0
    broker.make()
    broker.send(bodies_of(raw, count))
    with serve(0.002) as server:
        for kill in range(3):
            broker.answered(1 + 20 * kill)
            broker.kill()
            time.sleep(0.3)
            broker.start()
            amid += 0 < broker.answered() < count
        answers = broker.collect("out", count)
        assert server.stop() == 0

    assert amid > 0
    assert_all_answered(answers, count)
    assert broker.count("in.dead") == 0


def test_what_the_model_fails_on_is_tried_again_and_then_a_dead_letter(broker, serve, raw):
    """The failing event fails no other, and a prediction that takes longer than the lease is made once."""
    samples = np.stack([raw[0], np.full_like(raw[0], 16), raw[1], np.full_like(raw[0], 15)])
    broker.make()
    broker.send([sample.tobytes() for sample in samples])
    with serve(0, EVENTS_ATTEMPTS="3", EVENTS_RETRY_S="0.1") as server:
        answers = broker.collect("out", 3)
        (dead,) = broker.collect("in.dead", 1)
        told = metrics_of(server, 'modelyard_events_total{outcome="failed"} 1\n', 'outcome="done"} 3\n')
        assert server.stop() == 0

    assert sorted(answer.cause for answer in answers) == ["0", "2", "3"]
    assert (dead.headers["ce-id"], dead.headers["ce-errorreason"]) == ("1", "failed")
    assert dead.headers["ce-errorattempts"] == "3"
    assert dead.data == samples[1].tobytes()
    assert 'modelyard_events_total{outcome="returned"} 2\n' in told


def test_events_that_are_held_when_the_server_stops_are_answered(broker, serve, raw):
    """Nothing is left with a server that has gone: what was taken is done, the rest is there for the next."""
    count = 300
    broker.make()
    broker.send(bodies_of(raw, count))
    with serve(0.002) as server:
        broker.answered(1)
        assert server.stop() == 0
    assert 0 < broker.answered() < count
    with serve() as server:
        answers = broker.collect("out", count)
        broker.settled()
        assert server.stop() == 0

    assert len(answers) == count


def test_nothing_is_acknowledged_while_the_broker_refuses_the_answers(broker, serve, raw):
    """No dead letter comes of it, no more is held than may be, and all are answered in the end."""
    count = 40
    broker.make(with_output=False)
    broker.send(bodies_of(raw, count))
    with serve(EVENTS_MAX_IN_FLIGHT="8") as server:
        server.wait_for_log("not acknowledged", 20)
        time.sleep(1.5)
        told = metrics_of(server, "modelyard_events_in_flight 8\n")
        assert 'modelyard_events_total{outcome="done"} 0\n' in told
        assert broker.waiting() == count
        broker.allow_output()
        answers = broker.collect("out", count)
        broker.settled()
        assert server.stop() == 0

    assert_all_answered(answers, count)
    assert broker.count("in.dead") == 0


def test_an_event_that_comes_twice_has_one_id(broker, serve, raw):
    broker.make()
    broker.send(bodies_of(raw, 1))
    with serve() as server:
        (first,) = broker.collect("out", 1)
        broker.settled()
        broker.send(bodies_of(raw, 1))
        metrics_of(server, 'modelyard_events_total{outcome="done"} 2\n')
        assert server.stop() == 0
    assert {one.headers["ce-id"] for one in broker.read("out")} == {first.headers["ce-id"]}


def test_two_servers_share_the_work(broker, serve, raw):
    count = 200
    broker.make()
    with serve(0.002) as one, serve(0.002) as other:
        for server in (one, other):
            metrics_of(server, "modelyard_events_connected 1\n")
        broker.send(bodies_of(raw, count))
        answers = broker.collect("out", count)
        broker.settled()
        assert one.stop() == other.stop() == 0
        held = [len(event_lines(server, 1)) for server in (one, other)]

    assert len(answers) == count
    assert_all_answered(answers, count)
    assert min(held) > 0


def test_memory_is_flat(broker, serve, raw):
    count = 10_000 if LONG else 1_500
    broker.make()
    broker.send(bodies_of(raw, count // 3))
    with serve() as server:
        metrics_of(server, f'modelyard_events_total{{outcome="done"}} {count // 3}\n')
        before = resident_mb(server)
        broker.send(bodies_of(raw, count), first=count)
        end = time.monotonic() + 120
        while broker.count("out") < count + count // 3:
            assert time.monotonic() < end
            time.sleep(0.2)
        after = resident_mb(server)
        assert server.stop() == 0
    assert after < before + 12, (before, after)


@pytest.fixture(params=BROKERS)
def secured(request, tmp_path):
    """A broker that speaks TLS alone and asks for a password."""
    certificate(tmp_path)
    broker = BROKERS[request.param](tmp_path / "broker", tmp_path)
    broker.start()
    yield broker
    broker.kill()


def files_for(broker, folder, password):
    (folder / "user").write_text(f"{broker.user}\n")
    (folder / "password").write_text(f"{password}\n")
    return {
        **SETTINGS,
        **broker.settings,
        "EVENTS_USERNAME_FILE": str(folder / "user"),
        "EVENTS_PASSWORD_FILE": str(folder / "password"),
        "EVENTS_CA_FILE": str(folder / "tls.crt"),
    }


def test_password_and_certificate_come_from_files_and_a_new_password_is_read(secured, start, models, raw, tmp_path):
    secured.make()
    secured.send(bodies_of(raw, 3))
    with start(models / "float32", **files_for(secured, tmp_path, "wr0ng")) as server:
        refused = server.wait_for_log("broker")
        assert secured.answered() == 0
        (tmp_path / "password").write_text(secured.password)
        answers = secured.collect("out", 3)
        assert server.stop() == 0

    assert len(answers) == 3
    assert refused["reason"]
    assert not [line for line in server.logs if secured.password in str(line) or "wr0ng" in str(line)]


def test_a_broker_whose_certificate_is_not_trusted_is_told_no_password(secured, start, models, tmp_path):
    settings = files_for(secured, tmp_path, secured.password)
    del settings["EVENTS_CA_FILE"]
    with start(models / "float32", **settings) as server:
        assert "certificate" in server.wait_for_log("broker")["reason"].lower()
        assert server.stop() == 0
