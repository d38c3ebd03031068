"""Events from real brokers: a server holds no more of them than it may."""

from __future__ import annotations

import time

import numpy as np
import pytest
from tests.serving.events.brokers import Broker
from tests.serving.events.conftest import Serve
from tests.serving.events.seen import LONG, assert_all_answered, bodies_of, metrics_of, resident_mb


def test_nothing_is_acknowledged_while_the_broker_refuses_the_answers(
    broker: Broker, serve: Serve, raw: np.ndarray
) -> None:
    """No dead letter comes of it, no more is held than may be, and all are answered in the end."""
    if not broker.refuses:
        pytest.skip("the broker takes whatever it is sent")
    count = 40
    broker.make(with_output=False)
    broker.send(bodies_of(raw, count))
    with serve(EVENTS_MAX_IN_FLIGHT="8", EVENTS_ATTEMPTS="2") as server:
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


@pytest.mark.slow
def test_memory_is_flat(broker: Broker, serve: Serve, raw: np.ndarray) -> None:
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
