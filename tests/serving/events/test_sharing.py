"""Events from real brokers: several servers share them, and keys keep their order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.serving.events.brokers import SHARED, Broker, KafkaBroker, wait_until
from tests.serving.events.conftest import Brokers, Serve, begun
from tests.serving.events.seen import assert_all_answered, bodies_of, event_lines, metrics_of


@pytest.fixture(params=SHARED)
def broker(request: pytest.FixtureRequest, running: Brokers) -> Iterator[Broker]:
    yield from begun(running(SHARED[request.param]))


def test_two_servers_share_the_work_and_one_takes_it_over(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
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
    broker: Broker, serve: Serve, raw: np.ndarray
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
    broker: Broker, serve: Serve, raw: np.ndarray
) -> None:
    if not isinstance(broker, KafkaBroker):
        pytest.skip("the broker hands events of one key to any server")
    keys, settings = tuple("abcdefgh"), {"EVENTS_ORDER": "key", "EVENTS_MAX_IN_FLIGHT": "16"}
    sent = 0

    def more() -> None:
        nonlocal sent
        broker.send(bodies_of(raw, 80), first=sent, keys=keys)
        sent += 80

    def both_had_some() -> bool:
        if broker.answered() + 40 > sent:  # events come all the time: a server gets some whenever it has joined
            more()
        return len([line for line in two.logs if line["event"] == "event"]) > 30

    broker.make()
    more()
    with serve(0.003, **settings) as one:
        broker.answered(40)
        with serve(0.003, **settings) as two:
            wait_until(both_had_some, 60, lambda: [line["event"] for line in two.logs][-9:])
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
