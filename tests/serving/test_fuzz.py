"""Whatever is sent, the server stays alive and within the memory that it was given."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.serving import fuzz, named_models
from tests.shared import usual

SECONDS = float(os.environ.get("MODELYARD_TEST_FUZZ_SECONDS", "3"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fuzz.write_model(tmp_path_factory.mktemp("fuzz") / "model")


@pytest.mark.parametrize("name", usual(sorted(fuzz.BOXES, key="the hardened one".__ne__), 1))
def test_the_worst_bodies_neither_end_nor_silence_the_server_nor_take_more_memory_than_it_has(
    model: Any, name: str
) -> None:
    """At the limits that the targets render. How soon it answers is only told on a machine that does nothing else."""
    survives(model, fuzz.BOXES[name], fuzz.FRAMES)


def test_nor_do_they_where_there_are_several_tensors_whose_length_varies(tmp_path: Path) -> None:
    survives(named_models.write_notes(tmp_path / "m"), fuzz.Box(), fuzz.NAMED_FRAMES)


def test_batches_of_small_lists_that_wait_take_the_room_of_their_text(model: Any) -> None:
    """What the C library keeps between them was five times as much."""
    values = "[[0,0,0],[0,0,0]]," * 22_000 + "[[0]]"
    event = f'[{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{{"instances":[{values}]}}}}]'
    headers = {"content-type": "application/cloudevents-batch+json"}
    with fuzz.serving(model, fuzz.Box(cpus=0.5)) as watched, ThreadPoolExecutor(64) as threads:
        list(threads.map(lambda _: fuzz.send(watched, "/events", event.encode(), headers), range(64)))
        peak, killed = fuzz.peak_bytes(watched), fuzz.killed_for_memory(watched)

    assert (killed, peak < 192 * fuzz.MIB) == (0, True), peak
    assert set(watched.statuses) <= {200, 503}


def survives(model: Any, box: Any, frames: Any) -> None:
    with fuzz.serving(model, box, frames) as watched:
        fuzz.fuzz(watched, SECONDS, seed=int(os.environ.get("MODELYARD_TEST_FUZZ_SEED", "1")))
        peak, killed = fuzz.peak_bytes(watched), fuzz.killed_for_memory(watched)

    assert watched.asked > 3
    assert 500 not in watched.statuses
    assert (killed, peak < box.memory_mib * fuzz.MIB) == (0, True), peak
    if SECONDS > 60:
        assert watched.longest_s < 0.5, watched.longest_of
