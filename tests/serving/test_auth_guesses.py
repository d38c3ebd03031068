from __future__ import annotations

from modelyard.serving.auth import Guesses


def test_the_first_wrong_passwords_are_free_and_then_each_makes_the_next_wait_longer() -> None:
    guesses = Guesses()
    waits = []
    for _ in range(30):
        waits.append(guesses.wait_s("a", 0.0))
        guesses.note("a", 0.0)

    assert waits[: Guesses.FREE + 1] == [0.0] * (Guesses.FREE + 1)
    assert waits == sorted(waits)
    assert guesses.wait_s("a", 1.0) == Guesses.LONGEST_S
    assert guesses.wait_s("b", 1.0) == 0.0
    assert guesses.wait_s("a", Guesses.FORGIVE_S + 1) == 0.0


def test_of_too_many_peers_the_one_that_was_quiet_for_longest_is_forgotten() -> None:
    guesses = Guesses()
    for _ in range(20):
        guesses.note("first", 0.0)
    for number in range(Guesses.MOST_PEERS):
        guesses.note(str(number), 1.0)

    assert guesses.wait_s("first", 1.0) == 0.0
