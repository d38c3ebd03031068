"""What all connections share: who has to go when there are too many, or when its time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from modelyard.serving.gate import Allowance, Gate


@dataclass(eq=False)
class Peer:
    """A connection that notes what it is told."""

    told: list[str] = field(default_factory=list)

    def overdue(self) -> None:
        self.told.append("overdue")

    def drop(self) -> None:
        self.told.append("drop")

    def leave(self) -> None:
        self.told.append("leave")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def gate_of(connections: int = 2, held_bytes: int = 10) -> tuple[Gate, list[tuple[int, int]]]:
    counts: list[tuple[int, int]] = []
    allowance = Allowance(connections, held_bytes, 1000, 1.0, 1.0, 1.0)
    return Gate(allowance, lambda *count: counts.append(count)), counts


def test_one_too_many_comes_in_place_of_the_one_that_has_kept_us_waiting_for_longest() -> None:
    gate, counts = gate_of()
    first, second, third = Peer(), Peer(), Peer()
    for peer in (first, second):
        gate.enter(peer)
        gate.wait(peer, 9.0)
    gate.wait(first, 1.0)  # anew: whatever the deadline says, the second waits for longer now

    gate.enter(third)

    assert (first.told, second.told) == ([], ["drop"])
    assert gate.open == {first, third}
    assert counts == [(1, 0), (2, 0), (1, 0), (2, 0)]


def test_who_does_its_part_is_not_closed_for_another() -> None:
    gate, _ = gate_of(1)
    first, second = Peer(), Peer()
    gate.enter(first)
    gate.wait(first, 1.0)
    gate.go_on(first)

    gate.enter(second)

    assert (first.told, gate.open) == ([], {first, second})
    assert not gate.evict()
    gate.wait(second, 1.0)
    assert gate.evict()
    assert (second.told, gate.open) == (["drop"], {first})


def test_that_there_are_too_many_is_logged_once(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    gate, _ = gate_of(1)
    for _ in range(4):
        gate.enter(Peer())

    assert [record.getMessage() for record in caplog.records] == ["connections"]
    assert capsys.readouterr().out == ""


def test_what_is_overdue_is_told_so_again_and_again(loop: asyncio.AbstractEventLoop) -> None:
    gate, counts = gate_of()
    late, early, served = Peer(), Peer(), Peer()
    now = loop.time()
    gate.wait(late, now - 1)
    gate.wait(early, now + 60)
    gate.wait(served, now - 1)
    gate.go_on(served)
    gate.EVERY_S = 0.001

    gate.sweep(loop)
    assert (late.told, early.told, served.told) == (["overdue"], [], [])
    loop.call_later(0.02, loop.stop)
    loop.run_forever()

    assert late.told[:2] == ["overdue", "overdue"], "until the connection says that it is closed"
    gate.leave(late)
    before = len(late.told)
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert (len(late.told), early.told) == (before, [])
    assert len(counts) > 2


def test_a_connection_may_go_while_the_overdue_are_told(loop: asyncio.AbstractEventLoop) -> None:
    gate, _ = gate_of()

    class Going(Peer):
        def overdue(self) -> None:
            super().overdue()
            gate.leave(self)

    going = [Going(), Going()]
    for peer in going:
        gate.wait(peer, 0.0)

    gate.sweep(loop)

    assert [peer.told for peer in going] == [["overdue"], ["overdue"]]
    assert not gate.evict()


def test_bytes_are_held_up_to_the_limit_and_given_back() -> None:
    gate, _ = gate_of(held_bytes=10)

    assert gate.hold(10)
    assert not gate.hold(1), "it is counted all the same: who asked gives it back"
    assert gate.hold(-1)
    assert gate.held_bytes == 10
