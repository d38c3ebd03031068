"""What must not overtake each other waits, and nothing else does."""

from __future__ import annotations

from modelyard.serving.events.lanes import Lanes


def test_one_of_a_key_follows_another_and_others_do_not_wait() -> None:
    lanes: Lanes[int] = Lanes()
    assert [lanes.enter(key, one) for key, one in (("a", 1), ("a", 2), ("b", 3), ("a", 4), (None, 5), (None, 6))] == [
        *(True, False, True, False, True, True)
    ]
    assert [lanes.leave("a"), lanes.leave("b"), lanes.leave(None), lanes.leave("a"), lanes.leave("a")] == [
        2,
        None,
        None,
        4,
        None,
    ]
    assert lanes.enter("a", 7)
