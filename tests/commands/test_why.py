from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Ask, Run


def reasons(answer: Any, stage: Any) -> dict[tuple[Any, Any], Any]:
    (found,) = [one for one in answer if one["stage"] == stage]
    return {(r["kind"], r["name"]): r for r in found["reasons"]}


def test_says_that_a_stage_is_up_to_date(run: Run, ask: Ask) -> None:
    assert run("why", "train").stdout == "train:model.build is up to date\n"
    assert ask("why", "train")[0]["reasons"] == []


def test_names_a_parameter_with_both_values_from_an_override(run: Run, ask: Ask) -> None:
    found = reasons(ask("why", "train", "train.passes=3"), "train:model.build")
    assert found["parameter", "passes"]["old"] == 1
    assert found["parameter", "passes"]["new"] == 3
    assert "parameter passes of the trainer: 1 -> 3" in run("why", "train", "train.passes=3").stdout


def test_names_the_function_of_a_helper_that_changed(edit: Callable[[str, str, str], None], ask: Ask, run: Run) -> None:
    edit("helper.py", "value / 2", "value / 3")
    (reason,) = ask("why", "train")[0]["reasons"]
    assert (reason["kind"], reason["name"]) == ("code", "helper.py")
    assert reason["functions"] == {"changed": ["shrink"], "added": [], "removed": []}
    assert "code helper.py: shrink changed" in run("why", "train").stdout


def test_a_comment_is_no_reason(edit: Callable[[str, str, str], None], run: Run) -> None:
    edit("helper.py", "    return value / 2", "    # halve\n    return (value / 2)")
    assert run("why", "train").stdout == "train:model.build is up to date\n"


def test_names_an_added_and_a_removed_function(edit: Callable[[str, str, str], None], ask: Ask) -> None:
    edit("helper.py", "def shrink", "def other(value):\n    return value\n\n\ndef shrink")
    assert ask("why", "train")[0]["reasons"][0]["functions"]["added"] == ["other"]


def test_names_an_input_file_with_its_digests(toy: Path, run: Run, ask: Ask) -> None:
    rows = "".join(f"{i % 3},{i % 2},{i % 3}\n" for i in range(60))
    (toy / "points.csv").write_text(rows)
    override = "dataset.table=points.csv"
    assert run("dataset", override).returncode == 0
    (toy / "points.csv").write_text(rows + "0,0,0\n")
    reason = reasons(ask("why", "dataset", override), "dataset:points")["file", "table"]
    assert len(reason["old"]) == len(reason["new"]) == 64
    assert "points.csv" in reason["text"]


def test_names_an_output_that_was_deleted_or_edited(toy: Path, run: Run) -> None:
    (toy / "artifacts/dataset/points/test_x.npy").unlink()
    (toy / "artifacts/dataset/points/dataset.json").write_text("{}")
    (toy / "artifacts/dataset/points/train_x.npy").chmod(0o755)
    text = run("why", "dataset").stdout
    assert "would be restored from the store" in text
    assert "output test_x.npy was deleted" in text
    assert "output dataset.json was edited: " in text
    assert "output train_x.npy is executable" in text


def test_names_an_environment_variable(toy: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> None:
    monkeypatch.setenv("TOY_EPOCH", "7")
    reason = reasons(ask("why", "image"), "image:toy")["environment", "TOY_EPOCH"]
    assert (reason["old"], reason["new"]) == (None, "7")


def test_names_a_template(toy: Path, edit: Callable[[str, str, str], None], ask: Ask) -> None:
    template = next((toy).rglob("note.txt.j2"))
    template.write_text(template.read_text() + "more\n")
    assert ("template", "note.txt.j2") in reasons(ask("why", "render"), "render:note")


def test_names_a_gate(edit: Callable[[str, str, str], None], ask: Ask) -> None:
    edit("pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.6")
    reason = reasons(ask("why", "select"), "select:toy")["setting", "gates.min_accuracy"]
    assert (reason["old"], reason["new"]) == (0.5, 0.6)


def test_names_what_is_stale_upstream_and_where_it_begins(ask: Ask, run: Run) -> None:
    (answer,) = ask("why", "evaluate:plain", "train.passes=2")
    assert answer["state"] == "maybe"
    assert answer["otherwise"] == "up-to-date"
    assert [(r["kind"], r["name"]) for r in answer["reasons"]] == [("upstream", "optimize:plain")]
    assert answer["roots"] == ["train:model.build"]
    text = run("why", "evaluate:plain", "train.passes=2").stdout
    assert "optimize:plain may be stale, see `doit why optimize:plain`" in text
    assert "it begins with train:model.build" in text


def test_an_upstream_that_comes_back_as_it_was_is_no_reason(toy: Path, run: Run) -> None:
    (toy / "artifacts/dataset/points/test_x.npy").unlink()
    assert run("why", "train").stdout == "train:model.build is up to date\n"


def test_says_that_there_is_no_artifact(run: Run) -> None:
    assert run("clean", "render").returncode == 0
    text = run("why", "render").stdout
    assert "there is no artifact" in text
    assert "restored from the store" in text


def test_a_kind_stands_for_all_its_stages(ask: Ask) -> None:
    assert [one["stage"] for one in ask("why", "evaluate")] == ["evaluate:plain", "evaluate:rounded", "evaluate:coarse"]


def test_a_misspelt_stage_is_an_error_without_traceback(run: Run) -> None:
    done = run("why", "tain")
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: why: there is no stage 'tain', did you mean 'train'?\n  stages: ")
    assert "Traceback" not in done.stderr
    assert "usage: doit why STAGE" in run("why").stderr


def test_a_mistake_in_the_configuration_is_an_error_without_traceback(run: Run) -> None:
    done = run("why", "train", "train.pases=3")
    assert done.returncode == 3
    assert "did you mean 'passes'" in done.stderr
    assert "Traceback" not in done.stderr


def test_works_from_a_folder_below(toy: Path, run: Run) -> None:
    (toy / "notes").mkdir()
    command = [sys.executable, "-m", "doit", "why", "train"]
    done = subprocess.run(command, cwd=toy / "notes", capture_output=True, text=True)
    assert done.stdout == "train:model.build is up to date\n"
    done = subprocess.run([*command[:3], "-d", str(toy), *command[3:]], cwd="/", capture_output=True, text=True)
    assert done.stdout == "train:model.build is up to date\n", done.stderr


def test_help(run: Run) -> None:
    text = run("help", "why").stdout
    assert "say why a stage is stale" in text
    assert "--json" in text


def test_loads_no_framework(toy: Path) -> None:
    code = (
        "import sys\nfrom doit.doit_cmd import DoitMain\n"
        "for words in (['why', 'evaluate'], ['plan'], ['graph', '--format', 'svg'], ['history', 'train'], ['diff', 'train', 'now'], ['provenance']):\n"
        "    assert DoitMain().run(words) == 0\n"
        "print(sorted({'numpy', 'tensorflow', 'jinja2', 'yaml', 'docker'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=toy, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
