"""Whole builds with a remote: what one clone made, another does not make again."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.front_door.builds import artifacts, build

MakeToy = Callable[..., Path]

GOAL = "evaluate:plain"
"""As far as most of these builds go: four stages."""


def test_a_second_clone_builds_nothing(toy: MakeToy, tmp_path: Path) -> None:
    remote = f'remote = "file://{tmp_path}/remote"'
    one, two = toy("one", remote), toy("two", remote)
    first = build(one)
    assert first.code == 0, first.output
    second = build(two)
    assert second.having("restored") == first.built
    assert len(first.built) > 5
    assert artifacts(two) == artifacts(one)
    assert build(two).having("fresh") == first.built


def test_a_second_clone_builds_nothing_with_s3(toy: MakeToy, bucket: tuple[str, dict[str, str]]) -> None:
    url, options = bucket
    remote = (f'remote = "{url}"', f'options = {{ endpoint_url = "{options["endpoint_url"]}" }}')
    one, two = toy("one", *remote), toy("two", *remote)
    first = build(one)
    assert first.code == 0, first.output
    assert "warning" not in first.output
    second = build(two)
    assert second.having("restored") == first.built, second.output
    assert artifacts(two) == artifacts(one)


@pytest.mark.thorough
def test_a_second_clone_builds_nothing_with_google_cloud_storage(
    toy: MakeToy, gs_bucket: tuple[str, dict[str, str]]
) -> None:
    url, options = gs_bucket
    remote = (f'remote = "{url}"', f'options = {{ endpoint_url = "{options["endpoint_url"]}", token = "anon" }}')
    one, two = toy("one", *remote), toy("two", *remote)
    first = build(one, GOAL)
    assert first.code == 0, first.output
    assert "warning" not in first.output, first.output
    assert set(planned(two, GOAL)[0].values()) == {("restore", "remote")}
    second = build(two, GOAL)
    assert second.having("restored") == first.built, second.output
    assert artifacts(two) == artifacts(one)


def planned(project: Path, *arguments: str) -> tuple[dict[str, tuple[str, str]], str]:
    """Return what `doit plan` says of each stage, state and source, and what it says besides."""
    done = build(project, "plan", "--json", *arguments)
    assert done.code == 0, done.output
    answer, rest = json.JSONDecoder().raw_decode(done.output), done.output
    return {s["stage"]: (s["state"], s["source"]) for s in answer[0]["stages"]}, rest[answer[1] :]


def test_a_plan_knows_what_the_remote_can_give(toy: MakeToy, tmp_path: Path) -> None:
    remote = f'remote = "file://{tmp_path}/remote"'
    one, two = toy("one", remote), toy("two", remote)
    first = build(one, GOAL)

    states, told = planned(two, GOAL)
    assert states == dict.fromkeys(first.built, ("restore", "remote"))
    assert told.strip() == ""
    assert not (two / ".modelyard/store/objects").exists(), "nothing was fetched"
    assert "would be restored from the remote store:" in build(two, "why", GOAL).output

    model = json.loads((one / "artifacts/train/model.build/stage.json").read_bytes())["outputs"]["model.toy"][0]
    (tmp_path / "remote/objects" / model[:2] / model[2:]).unlink()
    states, _ = planned(two, GOAL)
    assert states["train:model.build"] == ("run", "")
    assert states["dataset:points"] == ("restore", "remote")
    done = build(two, GOAL)
    assert done.built == {"train:model.build"}, done.output
    assert done.having("restored") == first.built - done.built


def test_a_plan_without_its_remote_tells_it_once_and_goes_on(toy: MakeToy, credentials: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        one = toy("one", 'remote = "s3://b/x"', "timeout_s = 1", f'options = {{ endpoint_url = "{url}" }}')
        began = time.monotonic()
        states, told = planned(one)

    assert set(states.values()) == {("run", "")}
    assert told.count("warning: s3://b/x does not work: no answer within 1 s") == 1, told
    assert told.count("warning") == 1
    assert time.monotonic() - began < 30


def test_read_only_takes_and_gives_nothing_and_off_does_neither(toy: MakeToy, tmp_path: Path) -> None:
    remote = f'remote = "file://{tmp_path}/remote"'
    reader = toy("reader", remote, 'mode = "read-only"')
    assert build(reader, GOAL).code == 0
    assert not list((tmp_path / "remote").rglob("*.json"))
    assert build(toy("writer", remote), GOAL).code == 0
    assert build(toy("late", remote, 'mode = "read-only"'), GOAL).built == set()
    alone = toy("alone", remote, 'mode = "off"')
    assert build(alone, "dataset").built == {"dataset:points"}


def test_a_remote_that_is_down_loses_no_build_and_gets_its_results_later(
    toy: MakeToy, tmp_path: Path, credentials: None, s3_server: str
) -> None:
    import s3fs

    one = toy("one", 'remote = "s3://later/x"', f'options = {{ endpoint_url = "{s3_server}" }}')
    first = build(one, GOAL)
    assert first.code == 0
    assert first.output.count("warning: s3://later/x does not work") == 1, first.output
    s3fs.S3FileSystem(endpoint_url=s3_server, skip_instance_cache=True).mkdir("later")
    again = build(one, GOAL)
    assert again.built == set()
    assert "warning" not in again.output
    two = toy("two", 'remote = "s3://later/x"', f'options = {{ endpoint_url = "{s3_server}" }}')
    assert build(two, GOAL).having("restored") == first.built


def test_a_project_that_was_built_before_gives_its_results_when_it_gets_a_remote(toy: MakeToy, tmp_path: Path) -> None:
    one = toy("one")
    first = build(one, GOAL)
    with (one / "pyproject.toml").open("a") as file:
        file.write(f'remote = "file://{tmp_path}/remote"\n')
    assert build(one, GOAL).having("fresh") == first.built
    assert build(toy("two", f'remote = "file://{tmp_path}/remote"'), GOAL).having("restored") == first.built


def test_a_damaged_remote_object_is_reported_and_only_its_stage_runs(toy: MakeToy, tmp_path: Path) -> None:
    remote = f'remote = "file://{tmp_path}/remote"'
    one = toy("one", remote)
    build(one, GOAL)
    model = (one / "artifacts/train/model.build/model.toy").read_bytes()
    for path in (tmp_path / "remote" / "objects").rglob("*"):
        if path.is_file() and path.read_bytes() == model:
            path.chmod(0o644)
            path.write_bytes(b"x" + model[1:])
    two = toy("two", remote)
    second = build(two, GOAL)
    assert second.code == 0
    assert second.built == {"train:model.build"}, second.output
    assert "is damaged (other bytes than its name says) and was not taken" in second.output
    assert build(toy("three", remote), GOAL).built == set(), "the second build replaced what was damaged"


def test_a_forced_build_replaces_what_is_there(toy: MakeToy, tmp_path: Path) -> None:
    remote = f'remote = "file://{tmp_path}/remote"'
    one = toy("one", remote)
    build(one, GOAL)
    trace = next(p for p in (tmp_path / "remote/traces").rglob("*.json") if json.loads(p.read_bytes())["stage"] == GOAL)
    before = trace.read_bytes()
    assert GOAL in build(one, "-a", GOAL).built
    assert trace.read_bytes() != before


def test_no_remote_loads_no_fsspec(toy: MakeToy) -> None:
    one = toy("one")
    shadow = one / "shadow"
    for name in ("fsspec", "s3fs"):
        (shadow / name).mkdir(parents=True)
        (shadow / name / "__init__.py").write_text("raise RuntimeError('loaded')")
    done = build(one, "dataset", env={"PYTHONPATH": os.pathsep.join([str(shadow), os.environ.get("PYTHONPATH", "")])})
    assert done.code == 0, done.output


def test_a_mistake_in_the_settings_is_told_at_load(toy: MakeToy) -> None:
    done = build(toy("one", 'remote = "bucket/prefix"'), "dataset")
    assert done.code != 0
    assert "[tool.modelyard.store]: key 'remote': 'bucket/prefix' is not the address of a remote store" in done.output
    assert "Traceback" not in done.output
    wrong = build(toy("two", 'mode = "readonly"'), "dataset")
    assert "key 'mode': 'readonly' is not allowed" in wrong.output


def age(remote: Path, days: float = 3) -> None:
    """Let everything at a remote have been written some days ago."""
    then = time.time() - days * 86400
    for path in remote.rglob("*"):
        os.utime(path, (then, then))


def traces_at(remote: Path) -> list[str]:
    return sorted(json.loads(path.read_bytes())["stage"] for path in (remote / "traces").rglob("*.json"))


def test_a_remote_is_cleaned_of_what_no_project_needs(toy: MakeToy, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    one, two = (toy(name, f'remote = "file://{remote}"') for name in ("one", "two"))
    assert build(one, "train").code == 0
    assert build(two, "train", "train.passes=3").code == 0
    assert build(one, "train", "train.passes=2").code == 0
    assert build(one, "train").having("restored") == {"train:model.build"}
    assert len(list((remote / "projects").iterdir())) == 2, "each project says there what it needs"
    assert traces_at(remote).count("train:model.build") == 3
    clean = ("gc", "--remote", "--older-than", "1d")
    assert "freed 0 B: 0 results, 0 files of file://" in build(one, *clean).output, "all of it is young"
    age(remote)
    dry = build(one, *clean, "--dry-run", "--json")
    assert (json.loads(dry.output)["traces"], json.loads(dry.output)["dry_run"]) == (1, True)
    assert traces_at(remote).count("train:model.build") == 3
    done = json.loads(build(one, *clean, "--json").output)
    assert done["freed_bytes"] == json.loads(dry.output)["freed_bytes"] == done["before_bytes"] - done["after_bytes"]
    assert traces_at(remote).count("train:model.build") == 2, "the other project's stays"
    assert build(toy("three", f'remote = "file://{remote}"'), "train", "train.passes=3").built == set()
    assert build(one, "train", "train.passes=2").having("restored") == {"train:model.build"}, (
        "the store here is another"
    )


def test_what_was_removed_from_a_remote_is_given_again_if_it_is_needed(toy: MakeToy, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    one = toy("one", f'remote = "file://{remote}"')
    first = build(one, GOAL)
    model = json.loads((one / "artifacts/train/model.build/stage.json").read_bytes())["outputs"]["model.toy"][0]
    path = remote / "objects" / model[:2] / model[2:]
    assert build(one, "verify", "--remote").output.endswith("all whole\n")
    path.write_bytes(b"x" + path.read_bytes()[1:])

    told = build(one, "verify", "--remote")
    assert told.code == 1
    assert f"damaged object: file://{remote}/objects/{model[:2]}/{model[2:]}: has other bytes" in told.output
    assert path.exists(), "without --repair nothing changes"
    assert build(one, "verify", "--remote", "--repair").code == 1
    assert not path.exists()
    assert build(one, "verify", "--remote").code == 0
    assert build(one, GOAL).built == set()
    assert path.exists()
    assert build(toy("two", f'remote = "file://{remote}"'), GOAL).having("restored") == first.built


def test_a_remote_that_cannot_be_cleaned_is_told(toy: MakeToy, tmp_path: Path, credentials: None) -> None:
    for settings, words in (
        ((), "gc: --remote: the remote is not set, or off\n  set `remote = ...`"),
        (
            (f'remote = "file://{tmp_path}/r"', 'mode = "read-only"'),
            "gc: --remote: the remote is read-only here\n  set ",
        ),
        (
            ('remote = "s3://b/x"', 'options = { endpoint_url = "http://127.0.0.1:9" }', "timeout_s = 3"),
            "s3://b/x does not work: ",
        ),
    ):
        project = toy(f"project{len(words)}", *settings)
        done = build(project, "gc", "--remote")
        assert done.code == 3, done.output
        assert words in done.output
        assert "Traceback" not in done.output
    assert build(toy("reader", f'remote = "file://{tmp_path}/r"', 'mode = "read-only"'), "verify", "--remote").code == 0
