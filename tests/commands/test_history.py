from __future__ import annotations

from pathlib import Path

from tests.commands.conftest import Ask, Run


def test_lists_results_with_what_differs(toy: Path, run: Run, ask: Ask) -> None:
    assert run("train", "train.passes=2").returncode == 0
    assert run("train").returncode == 0
    lines = ask("history", "train")["train:model.build"]
    assert [line["how"] for line in lines] == ["restored", "built", "built"]
    assert [line["metrics"]["passes"] for line in lines] == [1, 2, 1]
    assert lines[0]["key"] == lines[2]["key"]
    assert lines[0]["git"] == lines[2]["git"]
    assert len(lines[0]["git"]) == 40
    assert all(line["in_store"] for line in lines)
    changes = [[(c["name"], c["old"], c["new"]) for c in line["changes"]] for line in lines]
    assert changes == [[("passes", 2, 1)], [("passes", 1, 2)], []]
    text = run("history", "train").stdout
    assert text.splitlines()[0] == "train:model.build"
    assert text.count("parameter passes of the trainer") == 2


def test_limit_still_tells_what_differs(run: Run, ask: Ask) -> None:
    assert run("train", "train.passes=2").returncode == 0
    (line,) = ask("history", "train", "--limit", "1")["train:model.build"]
    assert line["name"] == "train:model.build@0"
    assert line["changes"][0]["name"] == "passes"


def test_survives_a_torn_line(toy: Path, run: Run, ask: Ask) -> None:
    file = toy / ".modelyard/history/train/model.build.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    assert len(ask("history", "train")["train:model.build"]) == 1
    assert run("train", "train.passes=2").returncode == 0
    assert [line["metrics"]["passes"] for line in ask("history", "train")["train:model.build"]] == [2, 1]


def test_an_artifact_without_history_is_listed(toy: Path, ask: Ask) -> None:
    (toy / ".modelyard/history/train/model.build.jsonl").unlink()
    (line,) = ask("history", "train")["train:model.build"]
    assert line["how"] == "built"


def test_a_stage_that_never_ran_has_no_result(toy: Path, run: Run) -> None:
    (toy / ".modelyard/history/render/note.jsonl").unlink()
    assert run("clean", "render").returncode == 0
    assert run("history", "render").stdout == "render:note: no result yet\n"
