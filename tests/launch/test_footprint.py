from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.launch.footprint import (
    USUAL_BYTES,
    Footprint,
    processes,
    step,
    usual_bytes,
    with_headroom,
    worker_bytes,
    workers_of,
)
from modelyard.serving.shares import HOLDING, LEAST_BYTES, MIB

BYTES = st.integers(1, 2**42)


@given(BYTES)
def test_a_step_is_enough_and_at_most_half_too_much(least: int) -> None:
    size = step(least)
    assert least <= size
    assert size == 32 * MIB or size < least * 1.5 + 1
    assert step(size) == size


@pytest.mark.parametrize(
    ("mib", "expected"), [(1, 32), (33, 48), (49, 64), (65, 96), (97, 128), (129, 192), (193, 256)]
)
def test_steps_are_those_of_memory_modules(mib: int, expected: int) -> None:
    assert step(mib * MIB) == expected * MIB


@given(BYTES, st.integers(0, 2**30), st.integers(1, 64))
def test_what_is_usual_is_enough_for_every_worker_with_its_largest_body(worker: int, body: int, workers: int) -> None:
    needs = Footprint(worker, body, workers)
    given_bytes = usual_bytes(needs)
    assert given_bytes >= USUAL_BYTES
    assert needs.problem(given_bytes) == ""
    free = given_bytes / workers - worker
    assert free >= LEAST_BYTES
    assert HOLDING * free >= body * (1 - 1e-9)


def test_one_byte_less_than_enough_is_a_problem() -> None:
    needs = Footprint(64 * MIB, 8 * MIB, 2)
    assert needs.problem(needs.least_bytes) == ""
    assert "2 workers of 64Mi and bodies of 8388608 bytes" in needs.problem(needs.least_bytes - 1)


def test_what_was_measured_counts_and_else_the_models_size() -> None:
    assert worker_bytes(with_headroom(67 * MIB), {"size_bytes": 10**9}) == 128 * MIB
    assert worker_bytes(0, {}) == 96 * MIB
    assert worker_bytes(0, {"size_bytes": 500 * MIB}) == 2048 * MIB


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        ({}, 1),
        ({"MODELYARD_WORKERS": "3"}, 3),
        ({"MODELYARD_WORKERS": "auto", "MODELYARD_THREADS": "2"}, 2),
        ({"MODELYARD_WORKERS": "auto", "MODELYARD_THREADS": "8"}, 1),
        ({"MODELYARD_WORKERS": "auto", "MODELYARD_THREADS": "x"}, 1),
        ({"MODELYARD_WORKERS": "many"}, 1),
    ],
)
def test_the_workers_are_those_that_the_variables_ask_for(settings: dict[str, str], workers: int) -> None:
    assert workers_of(settings, 4.0) == workers


@pytest.mark.parametrize(
    ("workers", "threads", "said"),
    [(1, 0, (None, "2")), (2, 0, ("2", "1")), (2, 3, ("2", "3")), ("auto", 0, ("auto", "1")), (4, 0, ("4", "1"))],
)
def test_workers_share_the_processors_that_a_container_may_use(workers: int | str, threads: int, said: object) -> None:
    found = processes(workers, threads, 1.5)
    assert (found.get("MODELYARD_WORKERS"), found["MODELYARD_THREADS"]) == said
