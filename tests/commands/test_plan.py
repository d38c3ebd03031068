from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.commands.plan import Step, add_up, text
from tests.commands.conftest import Ask, Run


def states(answer: Any) -> dict[str, Any]:
    return {step["stage"]: step["state"] for step in answer["stages"]}


def built(run: Any, *words: Any) -> dict[str, Any]:
    """Run a build and return what it did with each stage."""
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    words_of = {"built": "run", "restored": "restore", "up to date": "up-to-date"}
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("-- "):
            found[line[3:]] = "up-to-date"
        elif line.startswith(".  "):
            name, _, rest = line[3:].partition(": ")
            found[name] = next(state for word, state in words_of.items() if rest.startswith(word))
    return found


def test_everything_is_up_to_date_after_a_build(ask: Ask, run: Run) -> None:
    answer = ask("plan")
    assert set(states(answer).values()) == {"up-to-date"}
    assert answer["total"]["run"] == answer["total"]["maybe"] == 0
    assert run("plan").stdout.endswith("would run 0, may run 0, restore 0, leave 13 as they are\n")


def test_what_follows_a_stage_that_runs_may_run_and_a_build_agrees(ask: Ask, run: Run) -> None:
    planned = states(ask("plan", "train.passes=2"))
    assert planned["dataset:points"] == "up-to-date"
    assert planned["train:model.build"] == "run"
    assert {planned[s] for s in planned if s not in ("dataset:points", "train:model.build")} == {"maybe"}
    done = built(run, "train.passes=2")
    assert done["train:model.build"] == "run"
    assert {done[s] for s in done if s != "train:model.build"} == {"up-to-date"}  # the model came out the same
    assert set(states(ask("plan", "train.passes=2")).values()) == {"up-to-date"}


def test_a_change_of_its_own_makes_a_stage_run_whatever_comes_before_it(ask: Ask) -> None:
    planned = states(ask("plan", "train.passes=2", "evaluate.warmup=3"))
    assert planned["optimize:plain"] == "maybe"
    assert planned["evaluate:plain"] == "run"


def test_what_was_built_before_is_restored_and_what_follows_is_known(ask: Ask, run: Run) -> None:
    first = built(run, "dataset.noise=0.2")
    assert first["train:model.build"] == "run"
    planned = states(ask("plan"))
    assert planned["dataset:points"] == planned["train:model.build"] == "restore"
    assert "maybe" not in planned.values()
    assert built(run) == planned


def test_deleted_artifacts_come_back(toy: Path, ask: Ask, run: Run) -> None:
    assert run("clean").returncode == 0
    planned = states(ask("plan"))
    assert set(planned.values()) == {"restore"}
    assert built(run) == planned


def test_a_damaged_store_is_seen(toy: Path, ask: Ask, run: Run) -> None:
    record = json.loads((toy / "artifacts/train/model.build/stage.json").read_text())
    digest = record["outputs"]["model.toy"][0]
    blob = toy / ".modelyard/store/objects" / digest[:2] / digest[2:]
    blob.chmod(0o644)
    blob.write_bytes(b"x")
    assert run("clean", "train").returncode == 0
    planned = states(ask("plan"))
    assert planned["train:model.build"] == "run"
    assert built(run)["train:model.build"] == "run"


def test_never_built_stages_run(toy: Path, ask: Ask, run: Run) -> None:
    for folder in ("artifacts", ".modelyard"):
        (toy / folder).rename(toy.parent / folder)
    answer = ask("plan")
    assert set(states(answer).values()) == {"run"}
    assert answer["total"]["unknown"] == answer["total"]["run"] == 13
    assert run("plan").stdout.endswith("would run 13, may run 0, restore 0, leave 0 as they are\n")


def test_names_limit_the_plan_to_what_they_read(ask: Ask) -> None:
    assert list(states(ask("plan", "optimize:plain"))) == ["dataset:points", "train:model.build", "optimize:plain"]


def test_changes_nothing(toy: Path, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in (toy / "artifacts").rglob("*")}
    assert run("plan", "train.passes=2").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (toy / "artifacts").rglob("*")} == before


def test_a_restore_says_where_from(ask: Ask, run: Run) -> None:
    assert run("clean").returncode == 0
    assert {step["source"] for step in ask("plan")["stages"]} == {"store"}
    one = Step(stage="a", state="restore", otherwise="", source="remote", expected_s=None, because=["x", "y", "z"])
    assert text([one], add_up([one])).splitlines() == [
        "restore  a    from the remote; x; and 2 more",
        "would run 0, may run 0, restore 1 (1 from the remote), leave 0 as they are",
    ]


def test_durations_come_from_earlier_builds(toy: Path, ask: Ask) -> None:
    record = json.loads((toy / "artifacts/train/model.build/stage.json").read_text())
    answer = ask("plan", "train", "train.passes=2")
    assert answer["stages"][1]["expected_s"] == pytest.approx(record["duration_s"])
    assert answer["total"]["least_s"] == answer["total"]["most_s"] == pytest.approx(record["duration_s"])


def step(name: str, state: Any, expected_s: Any) -> Step:
    return Step(stage=name, state=state, otherwise="", source="", expected_s=expected_s, because=["x", "y", "z"])


def test_sums() -> None:
    steps = [step("a", "run", 60.0), step("b", "maybe", 5.0), step("c", "run", None), step("d", "up-to-date", None)]
    total = add_up(steps)
    assert (total.least_s, total.most_s, total.unknown) == (60.0, 65.0, 1)
    assert text(steps, total).splitlines() == [
        "run         a  1 min 0 s  x; y; and 1 more",
        "maybe       b      5.0 s  x; y; and 1 more",
        "run         c          ?  x; y; and 1 more",
        "up to date  d             x; y; and 1 more",
        "would run 2, may run 1, restore 0, leave 1 as they are; expected work 1 min 0 s to 1 min 5 s, and 1 of unknown length",
    ]
