"""`doit gc` as a person runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.commands.gc import parse_age_s, parse_max_size, size
from modelyard.errors import ConfigError
from modelyard.files.decoded import FOLDER, Decoded
from tests.commands.conftest import Ask, Run, run_doit

Edit = Callable[[str, str, str], None]


def stages_of(store: Path) -> list[str]:
    return sorted(json.loads(p.read_bytes())["stage"] for p in (store / "traces").rglob("*.json"))


def test_what_the_project_needs_stays_and_the_rest_goes(toy: Path, run: Run, ask: Ask) -> None:
    store = toy / ".modelyard" / "store"
    needed = stages_of(store)
    assert run("train.passes=2", "train").returncode == 0
    assert run("train").returncode == 0
    assert len(stages_of(store)) == len(needed) + 1

    dry = ask("gc", "--older-than", "0d", "--dry-run")
    assert (dry["dry_run"], dry["traces"]) == (True, 1)
    assert str(toy) in dry["kept_for"], "the folder that the project was copied from counts, too"
    assert len(stages_of(store)) == len(needed) + 1, "a dry run removes nothing"
    done = ask("gc", "--older-than", "0d")
    assert done["traces"] == 1
    assert done["freed_bytes"] == dry["freed_bytes"] > 0
    assert done["before_bytes"] - done["after_bytes"] == done["freed_bytes"]
    assert done["needed_bytes"] == done["after_bytes"]
    assert stages_of(store) == needed
    assert run("train.passes=2", "train").stdout.count("built in") == 1


def test_without_bounds_only_what_nothing_names_goes(toy: Path, run: Run, ask: Ask) -> None:
    assert run("train.passes=2", "train").returncode == 0
    assert ask("gc")["traces"] == 0
    traces = (toy / ".modelyard/store/traces").rglob("*.json")
    next(p for p in traces if json.loads(p.read_bytes())["stage"] == "dataset:points").unlink()
    answer = ask("gc")
    assert answer["traces"] == 0
    assert answer["objects"] == answer_files(toy)


def test_what_was_decoded_before_is_the_first_to_go(toy: Path, run: Run, ask: Ask) -> None:
    with Decoded(toy / ".modelyard/cache", "small") as decoded:
        decoded.keep({b"a" * 32: b"pixels" * 10_000})
    there = (toy / ".modelyard/cache" / FOLDER / "small.sqlite").stat().st_size
    told = f"freed 0 B of samples that were decoded before; {size(there)} are left"
    assert run("gc").stdout.splitlines()[-1] == told
    dry = ask("gc", "--max-size", "1GB", "--dry-run")
    assert (dry["decoded_freed_bytes"], dry["decoded_bytes"]) == (0, there)
    dry, done = ask("gc", "--older-than", "0d", "--dry-run"), ask("gc", "--older-than", "0d")
    assert (dry["decoded_freed_bytes"], dry["decoded_bytes"]) == (there, 0)
    assert done == dry | {"dry_run": False}
    assert ask("gc", "--older-than", "0d")["decoded_freed_bytes"] == 0


def answer_files(toy: Path) -> int:
    """The number of different files in the data set's artifact."""
    record = json.loads((toy / "artifacts/dataset/points/stage.json").read_bytes())
    return len({digest for digest, *_ in record["outputs"].values()})


def test_a_cleaned_project_still_finds_everything(toy: Path, run: Run, ask: Ask) -> None:
    assert run("clean", "-a").returncode == 0
    assert not list((toy / "artifacts").glob("*/*/stage.json"))
    ask("gc", "--max-size", "0")
    done = run()
    assert "built 0, " in done.stdout
    assert "built in" not in done.stdout


def test_a_bound_that_cannot_be_kept_is_told(run: Run) -> None:
    done = run("gc", "--max-size", "1 kB")
    assert done.returncode == 0
    assert "that is more than 1.0 kB: all that is left is needed by a project or a ref" in done.stdout
    assert done.stdout.startswith("freed 0 B: 0 results, 0 files of ")


def test_another_project_of_the_same_store_loses_nothing(toy: Path, run: Run, ask: Ask, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    other = tmp_path / "other"
    shutil.copytree(toy, other, ignore=shutil.ignore_patterns(".modelyard", "artifacts"))
    for project in (toy, other):
        with (project / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.modelyard.store]\npath = "{shared}"\n')
    assert run_doit(other, "train.passes=3", "train").returncode == 0
    assert run("train.passes=4", "train").returncode == 0
    assert run_doit(toy, "gc", "--older-than", "0d").returncode == 0
    shutil.rmtree(other / "artifacts")
    again = run_doit(other, "train.passes=3", "train")
    assert "train:model.build: restored from the store" in again.stdout

    shutil.rmtree(other)
    told = run("gc", "--older-than", "0d")
    assert f"kept for a project that is gone: {other} on " in told.stdout
    assert "doit gc --forget-missing" in told.stdout
    assert stages_of(shared).count("train:model.build") == 2
    gone = ask("gc", "--older-than", "0d", "--forget-missing")
    assert gone["forgotten"] == [str(other)]
    assert stages_of(shared).count("train:model.build") == 1
    assert ask("gc")["missing"] == []


def test_a_ref_keeps_what_was_made_at_it(toy: Path, run: Run, ask: Ask, edit: Edit) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    shutil.rmtree(
        toy / ".modelyard/store/projects"
    )  # the folder that the project was copied from needs the first result
    subprocess.run([*git, "branch", "release"], cwd=toy, check=True)
    edit("pyproject.toml", 'use = "centroids"', 'use = "centroids"\npasses = 2')
    subprocess.run([*git, "commit", "-q", "-am", "two passes"], cwd=toy, check=True)
    assert run("train").returncode == 0
    before = stages_of(toy / ".modelyard/store").count("train:model.build")
    ask("gc", "--older-than", "0d", "--keep-ref", "release")
    assert stages_of(toy / ".modelyard/store").count("train:model.build") == before == 2
    ask("gc", "--older-than", "0d")
    assert stages_of(toy / ".modelyard/store").count("train:model.build") == 1

    wrong = run("gc", "--keep-ref", "relase")
    assert wrong.returncode != 0
    assert "git knows no 'relase', did you mean 'release'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_build_beside_a_clean_up_loses_nothing(toy: Path, run: Run) -> None:
    shutil.rmtree(toy / "artifacts")
    shutil.rmtree(toy / ".modelyard")
    builder = subprocess.Popen([sys.executable, "-m", "doit"], cwd=toy, stdout=subprocess.PIPE, text=True)
    sweeps = 0
    while builder.poll() is None:
        assert run("gc", "--max-size", "0").returncode == 0
        sweeps += 1
    assert builder.returncode == 0, builder.communicate()[0]
    assert sweeps > 1
    verified = run("verify")
    assert verified.returncode == 0, verified.stdout
    shutil.rmtree(toy / "artifacts")
    assert "built 0, " in run().stdout, "every result is still in the store"


def test_a_project_that_nobody_can_read_stops_the_clean_up(toy: Path, run: Run, ask: Ask) -> None:
    damaged = toy / ".modelyard" / "store" / "projects" / "damaged.json"
    damaged.write_text("{")
    done = run("gc")
    assert done.returncode != 0
    assert "damaged.json: cannot be read, so nobody knows what that project needs" in done.stderr
    ask("gc", "--forget-missing")
    assert not damaged.exists()


@pytest.mark.parametrize(("text", "value"), [("", None), ("0", 0), ("0 GB", 0), ("5GB", 5 * 10**9), ("1 MiB", 2**20)])
def test_sizes(text: str, value: int | None) -> None:
    assert parse_max_size(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("", None), ("0d", 0), ("12h", 43200), ("30d", 2_592_000), ("1.5 w", 907_200)]
)
def test_ages(text: str, value: float | None) -> None:
    assert parse_age_s(text) == value


@pytest.mark.parametrize("text", ["30", "30 days", "-1d", "d", "1e3d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"gc: --older-than: .* cannot be read\n  allowed: a number of hours, days or weeks"
    ):
        parse_age_s(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (12 * 10**9, "12.0 GB"), (5 * 10**13, "50000.0 GB")],
)
def test_sizes_for_people(value: int, text: str) -> None:
    assert size(value) == text


def test_words_that_are_no_options_are_refused(run: Run) -> None:
    done: Any = run("gc", "train")
    assert done.returncode != 0
    assert "gc: takes no 'train'" in done.stderr
