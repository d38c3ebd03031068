"""What a build does with each stage is what `list --status`, `info`, `plan`, `why`, `graph` and the report said it would do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.front_door.builds import Build, build

TRAIN, MODEL = "train:model.build", "artifacts/train/model.build"
KINDS = ("dataset", "train", "optimize", "evaluate", "select", "image", "check", "render")
DONE = {"up-to-date": {"fresh"}, "restore": {"restored"}, "run": {"built"}, "maybe": {"fresh", "restored", "built"}}
STANDS = {"up-to-date": {"up-to-date"}, "restore": {"stale", "missing"}, "run": {"stale", "missing"}}

Change = Callable[[Path], None]


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.chmod(0o644)
    file.write_text(text.replace(old, new))


def nothing(toy: Path) -> None:
    pass


def edited_code(toy: Path) -> None:
    replace(toy / "helper.py", "value / 2", "value / 3")


def edited_setting(toy: Path) -> None:
    replace(toy / "pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.6")


def undone_edit(toy: Path) -> None:
    edited_code(toy)
    assert build(toy, "train").built == {TRAIN}
    replace(toy / "helper.py", "value / 3", "value / 2")


def edited_output(toy: Path) -> None:
    with (toy / MODEL / "model.toy").open("a") as file:
        file.write(" ")


def deleted_output(toy: Path) -> None:
    (toy / MODEL / "model.toy").unlink()


def added_file(toy: Path) -> None:
    (toy / MODEL / "notes.txt").write_text("mine")


def executable_output(toy: Path) -> None:
    (toy / MODEL / "model.toy").chmod(0o755)


def no_file_at_all(toy: Path) -> None:
    (toy / MODEL / "notes").symlink_to("nowhere")


def torn_record(toy: Path) -> None:
    (toy / MODEL / "stage.json").write_text("{")


def edited_record(toy: Path) -> None:
    file = toy / MODEL / "stage.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "digest": "ab" * 32}))


def lost_record(toy: Path) -> None:
    (toy / MODEL / "stage.json").unlink()


def missing(toy: Path) -> None:
    shutil.rmtree(toy / "artifacts/train")
    shutil.rmtree(toy / "artifacts/select")


def missing_and_stale(toy: Path) -> None:
    missing(toy)
    edited_code(toy)


def lost(toy: Path) -> None:
    """The artifact is gone, and the store has one of its files no longer whole."""
    record = json.loads((toy / MODEL / "stage.json").read_bytes())
    digest = record["outputs"]["model.toy"][0]
    kept = toy / ".modelyard/store/objects" / digest[:2] / digest[2:]
    kept.chmod(0o644)
    kept.write_bytes(b"x")
    shutil.rmtree(toy / MODEL)


def never_built(toy: Path) -> None:
    shutil.rmtree(toy / "artifacts")
    shutil.rmtree(toy / ".modelyard")


def failed(toy: Path) -> None:
    replace(toy / "helper.py", "return value / 2", "raise ValueError(value)")
    assert build(toy).code != 0


def undone_discovery(toy: Path) -> None:
    """A file that the training was seen to read, and that no key names, is another."""
    (toy / "sizes.txt").write_text("2")
    replace(toy / "helper.py", "return value / 2", "return value / int(open('sizes.txt').read())")
    with (toy / "pyproject.toml").open("a") as file:
        file.write('\n[tool.modelyard.reads]\nundeclared = "record"\n')
    assert build(toy).code == 0
    (toy / "sizes.txt").write_text("4")


def lost_input(toy: Path) -> None:
    """A file that a parameter names cannot be read."""
    table = toy / "points.csv"
    table.write_text("".join(f"{i % 3},{i % 2},{i % 3}\n" for i in range(60)))
    replace(toy / "pyproject.toml", 'use = "points"', 'use = "points"\ntable = "points.csv"')
    assert build(toy).code == 0
    table.unlink()
    table.mkdir()
    (table / "rows").symlink_to("nowhere")


CHANGES: list[tuple[Change, str, str]] = [
    (nothing, "up-to-date", "up-to-date"),
    (edited_code, "run", "maybe"),
    (edited_setting, "up-to-date", "run"),
    (undone_edit, "restore", "up-to-date"),
    (edited_output, "restore", "up-to-date"),
    (deleted_output, "restore", "up-to-date"),
    (added_file, "restore", "up-to-date"),
    (executable_output, "restore", "up-to-date"),
    (no_file_at_all, "restore", "up-to-date"),
    (torn_record, "restore", "up-to-date"),
    (edited_record, "restore", "up-to-date"),
    (lost_record, "restore", "up-to-date"),
    (missing, "restore", "restore"),
    (missing_and_stale, "run", "maybe"),
    (lost, "run", "maybe"),
    (never_built, "run", "run"),
    (failed, "run", "maybe"),
    (undone_discovery, "run", "maybe"),
    (lost_input, "maybe", "maybe"),
]


def asked(toy: Path, *words: str) -> Build:
    done = build(toy, *words)
    assert done.code == 0, done.output
    return done


def listed(toy: Path) -> dict[str, str]:
    lines = asked(toy, "list", "--all", "--status", "--quiet").output.splitlines()
    found = [re.fullmatch(r"(up to date|restore|maybe|run|ignored) +(\S+) *", line) for line in lines]
    return {one[2]: one[1].replace(" ", "-") for one in found if one and one[2].partition(":")[0] in KINDS}


def reported(toy: Path) -> dict[str, str]:
    asked(toy, "report")
    report = json.loads((toy / "artifacts/report/toy/report.json").read_bytes())
    return {one["stage"]: one["state"] for one in report["stages"]}


REPORTED = (edited_code, missing, failed, lost_input)
"""After these a report is written, too: it draws plots, and takes as long as all other commands together."""
FIRST = {(train, select): change for change, train, select in reversed(CHANGES)}.values()
"""One for each pair of verdicts; further ways to the same are tried by thorough runs."""


@pytest.mark.parametrize(
    ("change", "train", "select"),
    [
        pytest.param(*one, id=one[0].__name__, marks=[] if one[0] in FIRST else [pytest.mark.thorough])
        for one in CHANGES
    ],
)
def test_all_say_the_same_and_a_build_does_it(toy: Path, change: Change, train: str, select: str) -> None:
    change(toy)
    planned = {one["stage"]: one["state"] for one in json.loads(asked(toy, "plan", "--json").output)["stages"]}
    assert (planned[TRAIN], planned["select:toy"]) == (train, select)

    shown = listed(toy)
    assert {name: state for name, state in shown.items() if ":" in name} == planned
    assert shown["train"] == train, "a group says what its stages say"
    assert shown["check"] == "up-to-date", "there is none"
    told = re.search(r"^status +: (.*)$", build(toy, "info", TRAIN).output, re.MULTILINE)
    assert told is not None
    assert told[1].replace(" ", "-") == train

    kinds = dict.fromkeys(name.partition(":")[0] for name in planned)
    explained = json.loads(asked(toy, "why", *kinds, "--json").output)
    assert {one["stage"]: one["state"] for one in explained} == planned
    for one in explained:
        assert bool(one["reasons"]) == (one["state"] != "up-to-date"), one

    drawn = {one["id"]: one["state"] for one in json.loads(asked(toy, "graph", "--json").output)["stages"]}
    if change in REPORTED:
        assert reported(toy) == drawn
    for name, standing in drawn.items():
        assert standing in STANDS.get(planned[name], {"maybe", "missing"}), name
    for one in explained:
        gone = [reason for reason in one["reasons"] if reason["kind"] == "missing"]
        assert bool(gone) == (drawn[one["stage"]] == "missing"), one

    for name, how in build(toy).stages.items():
        assert how in DONE[planned[name]], (name, planned[name], how)
