"""How long an event rests before it is tried again."""

from __future__ import annotations

from modelyard.serving.events.held import LONGEST_S, Patience


def test_an_event_rests_twice_as_long_each_time_up_to_a_minute() -> None:
    patience = Patience(retry_s=1.5)
    rests = [patience.rest_s(attempt) for attempt in (1, 2, 3, 20, 1000)]
    for rest_s, middle_s in zip(rests, (1.5, 3, 6, LONGEST_S, LONGEST_S), strict=True):
        assert 0.8 * middle_s <= rest_s <= 1.2 * middle_s


def test_events_that_failed_together_are_not_tried_together() -> None:
    assert len({Patience().rest_s(1) for _ in range(10)}) > 1
