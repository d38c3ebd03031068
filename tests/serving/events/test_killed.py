"""Events from real brokers: whatever is killed, or stopped, none is lost."""

from __future__ import annotations

import random
import signal
import time

import numpy as np
import pytest
from tests.serving.events.brokers import BROKERS, Broker, KafkaBroker, wait_until
from tests.serving.events.conftest import Serve
from tests.serving.events.seen import LONG, assert_all_answered, bodies_of
from tests.shared import usual


@pytest.mark.slow
def test_no_event_is_lost_when_the_server_is_killed(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
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
@pytest.mark.parametrize("broker", usual(sorted(BROKERS, key="amqp".__eq__), len(BROKERS) - 1), indirect=True)
def test_no_event_is_lost_when_the_broker_is_killed(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
    count, amid = 500, 0
    broker.make()
    time.sleep(broker.made_s)
    broker.send(bodies_of(raw, count))
    time.sleep(broker.kept_s)
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


def test_events_that_are_held_when_the_server_stops_are_answered(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
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


def test_what_ends_every_server_that_has_it_is_a_dead_letter_in_the_end(
    broker: Broker, serve: Serve, raw: np.ndarray
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

    letters = {one.cause: one for one in (dead, *others, *broker.read(broker.dead))}
    assert {one.headers["ce-errorreason"] for one in letters.values()} == {"failed"}
    assert int(letters["2"].headers["ce-errorattempts"]) >= 3
    assert letters["2"].data == bodies[2]
    answered = {one.cause for one in broker.read(broker.output)}
    assert answered | set(letters) == set(map(str, range(count)))
    assert len(letters) < count  # each time about half of the others, by chance, are acknowledged before its turn comes


def test_each_answer_is_sent_once_however_often_servers_are_killed_or_held_up(
    broker: Broker, serve: Serve, raw: np.ndarray
) -> None:
    """One is killed, another is stopped until its events are another's, and goes on then: what it still sends is void."""
    if not isinstance(broker, KafkaBroker):
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
