"""How a stage is brought up to date: in the cheapest way that gives what a build would make now."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.build.results import FILES, kept
from tests.plans import TRAINER, use
from tests.standins.answering import Answering

from modelyard.build.engine import Engine
from modelyard.build.making import Made, Maker, _is_reproducible, _machines
from modelyard.errors import StageFailed
from modelyard.execution.local import Local
from modelyard.execution.protocol import Failure, Result, Seen
from modelyard.files.digests import signature
from modelyard.files.hashing import hash_file
from modelyard.keys import machine
from modelyard.project.load import load
from modelyard.stage import Stage
from modelyard.store.record import Record
from modelyard.store.roots import roots_file

MADE = {"x.npy": "made anew"}


class Bench:
    """A project whose workers answer at once."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.pool, self.told, local = Answering(MADE), list[str](), Local()
        local.pool = self.pool
        overrides = {f"store.{name}": value for name, value in settings.items()}
        self.engine = Engine(load(folder, overrides), executor=local)
        self.maker = Maker(self.engine, self.told.append)
        self.stage = self.engine.plan.stages["dataset:points"]
        self.folder = self.engine.workspace.folder(self.stage)

    def make(self, *, force: bool = False) -> Made:
        return self.maker.make(self.stage, lambda _stage, _event: None, force=force)

    def key(self) -> str:
        return self.engine.judge.fingerprint(self.stage).key


@pytest.fixture
def bench(new_toy: Path) -> Iterator[Bench]:
    made = Bench(new_toy)
    yield made
    made.engine.close()


def test_a_stage_that_nobody_made_runs_and_is_kept(bench: Bench) -> None:
    bench.pool.result = Result(metrics={"rows": 60})
    made = bench.make()
    assert made.how == "built"
    assert made.record is not None
    assert (made.record.key, made.record.stage) == (bench.key(), "dataset:points")
    assert (made.record.metrics, made.record.peak_memory_bytes) == ({"rows": 60}, 1000)
    assert (bench.folder / "x.npy").read_text() == "made anew"
    assert bench.engine.workspace.record(bench.stage) == made.record
    assert bench.engine.store.trace(bench.key()) is not None
    assert roots_file(bench.engine.store.root, bench.engine.project.folder).exists(), "so that it stays there"
    assert not any(bench.engine.workspace.unfinished.glob("*/*"))


def test_what_is_up_to_date_is_left_as_it_is(bench: Bench) -> None:
    bench.make()
    assert bench.make() == Made("fresh")
    assert len(bench.pool.asked) == 1


def test_what_is_in_the_store_does_not_run(bench: Bench, tmp_path: Path) -> None:
    kept(bench.engine, bench.stage, tmp_path / "made")
    assert bench.make() == Made("restored")
    assert (bench.folder / "x.npy").read_text() == FILES["x.npy"]
    assert bench.pool.asked == []


def test_what_is_forced_runs_and_is_kept_instead(bench: Bench, tmp_path: Path) -> None:
    kept(bench.engine, bench.stage, tmp_path / "made", made_on="another machine")
    assert bench.make(force=True).how == "built"
    (line,) = bench.told
    assert line.startswith(
        "dataset:points: with the same key it made other bytes than before; then on another machine, now"
    )
    assert (bench.folder / "x.npy").read_text() == "made anew"


def test_the_same_bytes_again_are_no_news(bench: Bench) -> None:
    bench.make()
    bench.make(force=True)
    assert bench.told == []


def test_a_result_whose_files_the_store_has_lost_is_made_again(bench: Bench, tmp_path: Path) -> None:
    kept(bench.engine, bench.stage, tmp_path / "made")
    shutil.rmtree(bench.engine.store.root / "objects")
    assert bench.make().how == "built"


def test_what_is_in_the_remote_does_not_run(new_toy: Path, tmp_path: Path) -> None:
    bench = Bench(new_toy, remote=f"file://{tmp_path}/remote")
    try:
        record = kept(bench.engine, bench.stage, tmp_path / "made")
        assert bench.engine.remote is not None
        assert bench.engine.remote.push(record, bench.engine.store)
        bench.engine.store.forget(record.key)
        assert bench.make() == Made("restored")
        assert bench.pool.asked == []
    finally:
        bench.engine.close()


def test_what_a_stage_was_seen_to_read_is_in_its_record_and_a_change_of_it_has_it_run(bench: Bench) -> None:
    sizes = bench.engine.project.folder / "sizes.json"
    sizes.write_text("1")
    bench.pool.result = Result(seen=Seen(files={str(sizes): signature(sizes.stat())}))
    made = bench.make()
    assert made.record is not None
    assert made.record.discovered == {"sizes.json": hash_file(sizes)}
    bench.pool.result, bench.pool.files = Result(), {"x.npy": "of other sizes"}
    sizes.write_text("22")
    assert bench.make().how == "built"
    assert bench.told == [], "other bytes are no surprise then"


def test_a_stage_that_fails_leaves_what_stood_before(bench: Bench) -> None:
    bench.make()
    bench.pool.result, bench.pool.files = Result(failure=Failure("dataset:points: no luck")), {"x.npy": "half"}
    with pytest.raises(StageFailed, match="no luck"):
        bench.make(force=True)
    assert (bench.folder / "x.npy").read_text() == "made anew"
    assert bench.engine.store.trace(bench.key()) is not None


def test_code_that_is_edited_while_the_stage_runs_is_told_and_its_result_is_of_what_ran(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, plugin = bench.key(), bench.engine.project.folder / "plugins" / "toy.py"
    run: Callable[..., Any] = bench.pool.run

    def slow(*words: Any) -> Any:
        plugin.write_text(plugin.read_text().replace("noise: float = 0.1", "noise: float = 0.2"))
        return run(*words)

    monkeypatch.setattr(bench.pool, "run", slow)
    made = bench.make()
    assert made.record is not None
    assert made.record.key == key
    assert bench.told == [
        "dataset:points: there is newer code by now: plugins/toy.py; kept as what the code made that it ran with"
    ]


def record(**changes: Any) -> Record:
    return Record(stage="train:net", key="ab" * 32, digest="0" * 64, outputs={}, **changes)


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        ({}, {}, "take its random numbers from context.seed alone"),
        ({"made_on": "a"}, {"made_on": "a"}, "take its random numbers from context.seed alone"),
        ({"made_on": "a"}, {"made_on": "b"}, "then on a, now on b"),
        ({"reproducible": False}, {"made_on": "b"}, "computed on an accelerator"),
        ({"made_on": "a"}, {"reproducible": False}, "computed on an accelerator"),
    ],
)
def test_why_the_same_key_made_other_bytes_is_guessed(before: dict[str, Any], now: dict[str, Any], why: str) -> None:
    assert why in _machines(record(**before), record(**now))


def test_an_accelerator_makes_other_bytes_each_time_unless_the_component_says_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = Stage("train", "net", uses={"trainer": use(TRAINER)})
    assert _is_reproducible(train) == (machine.accelerator() == machine.CPU)
    monkeypatch.setattr(machine, "accelerator", lambda: "cuda NVIDIA H100")
    assert not _is_reproducible(train)
    assert _is_reproducible(Stage("select", "net")), "it computes nothing"
