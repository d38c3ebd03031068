"""One stage for another machine: laid out of the remote store alone, and run only where its key is the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.build.elsewhere import World

from modelyard.build import remote_stage
from modelyard.build.remote_stage import DONE, FAILED, REFUSED, UNREACHABLE, _differences, main
from modelyard.execution.request import Answer, StageRequest, answer_name
from modelyard.executors import Job
from modelyard.files.hashing import hash_file
from modelyard.files.json import as_json, decode, write_bytes
from modelyard.files.manifest import FileEntry


@pytest.fixture
def world(new_toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    made = World(new_toy, tmp_path)
    yield made
    made.close()


@pytest.fixture
def request_of(world: World) -> StageRequest:
    """Return what the machine of the training is asked."""
    world.there.does = lambda _: world.put_result()
    world.run()
    world.engine.store.forget(world.engine.judge.fingerprint(world.stage).key)
    return world.asked(world.there.jobs[0])


def call(world: World, request: StageRequest) -> tuple[int, Answer]:
    """Have a request carried out; return the exit code, and the answer that is in the store then."""
    file = world.place / "request.json"
    write_bytes(file, as_json(request))
    entry = FileEntry(hash_file(file), file.stat().st_size)
    assert world.remote.write(entry, file)
    code = main([world.remote.settings.url, "20", entry.digest, str(entry.size)])
    answer = world.remote.load(answer_name(request.job))
    assert answer is not None
    return code, decode(answer, Answer)


def test_a_request_goes_there_and_its_result_comes_back(world: World) -> None:
    """The remote has the result already: to run it would take a worker, which tests through the front door do."""
    codes: list[int] = []

    def work(job: Job) -> None:
        world.put_result()
        codes.append(main(list(job.command[3:])))

    world.there.does = work
    assert world.run().key == world.engine.judge.fingerprint(world.stage).key
    assert codes == [DONE]
    assert list((world.place / "temporary").glob("modelyard-stages-*/*/*")) == [], "nothing is left behind"


def test_a_request_that_is_not_there_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    digest = "ab" * 32
    assert main([world.remote.settings.url, "20", digest, "7"]) == UNREACHABLE
    assert f"there is no request {digest}" in capsys.readouterr().err


def test_a_machine_that_is_another_than_the_key_says_runs_nothing(world: World, request_of: StageRequest) -> None:
    parts = {**request_of.parts, "python": "2.7"}
    code, answer = call(world, msgspec.structs.replace(request_of, key="cd" * 32, parts=parts))
    assert (code, answer.key) == (REFUSED, "cd" * 32)
    assert "is another than its key says, so it was not run:\n  python: asked for '2.7', there it is " in answer.message


def test_a_stage_that_a_plugin_adds_which_is_not_there_is_refused(world: World, request_of: StageRequest) -> None:
    code, answer = call(world, msgspec.structs.replace(request_of, stage="agreement:net"))
    assert code == REFUSED
    assert answer.message.startswith(
        "agreement:net: the project has no such stage on the machine that it was to run on\n"
    )


@pytest.mark.parametrize("what", ["the project", "dataset:points"])
def test_what_cannot_be_fetched_whole_is_told(world: World, request_of: StageRequest, what: str) -> None:
    lost = FileEntry("12" * 32, 5)
    if what == "the project":
        changed = msgspec.structs.replace(request_of, sources={**request_of.sources, "lost.py": lost})
    else:
        record = msgspec.structs.replace(request_of.inputs[what], outputs={"lost.npy": lost})
        changed = msgspec.structs.replace(request_of, inputs={what: record})
    code, answer = call(world, changed)
    assert code == FAILED
    assert answer.message.startswith(f"train:model.build: {what} cannot be fetched whole from ")


def test_a_mistake_in_the_project_is_an_answer_too(world: World, request_of: StageRequest) -> None:
    code, answer = call(world, msgspec.structs.replace(request_of, overrides={"train.pases": "3"}))
    assert code == FAILED
    assert "'pases', did you mean 'passes'?" in answer.message


def test_artifacts_are_kept_for_the_jobs_to_come(world: World, request_of: StageRequest, tmp_path: Path) -> None:
    document = world.there.jobs[0].command[3:]
    assert main([*document, "--cache", str(tmp_path / "cache")]) == DONE
    data = request_of.inputs["dataset:points"].outputs.values()
    assert all((tmp_path / "cache" / "objects" / one.digest[:2] / one.digest[2:]).exists() for one in data)


Parts = dict[str, Any]


@pytest.mark.parametrize(
    ("here", "there", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        (
            {"b": 1, "a": "x"},
            {"b": 2, "a": "y"},
            ["a: asked for 'x', there it is 'y'", "b: asked for 1, there it is 2"],
        ),
        ({"a": 1}, {}, ["a: asked for 1, there it is nothing"]),
        ({}, {"a": "z" * 60}, ["a: asked for nothing, there it is 'zzzzzzzzzzzzzzzzzzz..."]),
    ],
)
def test_what_differs_is_told_part_by_part(here: Parts, there: Parts, lines: list[str]) -> None:
    assert _differences(here, there) == lines


def test_of_many_differences_some_are_told() -> None:
    here: Parts = {f"part {number:02}": number for number in range(11)}
    lines = _differences(here, {})
    assert (len(lines), lines[0], lines[-1]) == (9, "part 00: asked for 0, there it is nothing", "and 3 more")


def test_a_long_log_is_cut_at_its_beginning(
    world: World, request_of: StageRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_stage, "_LOG_BYTES", 5)
    desk = remote_stage._Desk(request_of, world.remote, world.place / "desk", None)
    assert desk.log == "", "of a stage that was never begun there is none"
    desk._log = world.place / "log"
    desk._log.write_bytes(b"epoch 1\nepoch \xff\n")
    assert desk.log == "ch \ufffd\n"
