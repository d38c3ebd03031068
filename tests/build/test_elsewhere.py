"""A stage that runs on another machine: what is sent there, and what is taken of what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.build.elsewhere import World

from modelyard.build.elsewhere import MODULE, OPTIONS, _bare, _job
from modelyard.errors import StageFailed
from modelyard.execution.request import Answer, answer_name
from modelyard.executors import Job
from modelyard.files.json import as_json
from modelyard.files.manifest import FileEntry
from modelyard.store.file_system import RemoteSettings
from modelyard.store.record import Record
from modelyard.store.remote import Remote

Make = Callable[..., World]


@pytest.fixture
def make(new_toy: Path, tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def world(**overrides: str) -> World:
        made.append(World(new_toy, tmp_path, **overrides))
        return made[-1]

    yield world
    for one in made:
        one.close()


def test_a_job_is_asked_all_that_its_machine_must_know(make: Make) -> None:
    world = make()
    world.there.does = lambda _: world.put_result()
    world.run()
    (job,) = world.there.jobs
    asked, key = world.asked(job), world.engine.judge.fingerprint(world.stage).key
    assert (asked.job, asked.stage, asked.key) == (job.name, "train:model.build", key)
    assert job.name == f"modelyard-{key[:16]}-0"
    assert job.command[:3] == ("python", "-m", MODULE)
    assert {"pyproject.toml", "plugins/toy.py", "model.py"} <= set(asked.sources)
    assert set(asked.inputs) == {"dataset:points"}
    sent = [*asked.inputs["dataset:points"].outputs.values(), *asked.sources.values()]
    assert all(world.remote.has(entry) for entry in sent)
    assert asked.overrides == world.engine.project.overrides


def test_its_result_is_in_the_store_here_and_its_log_where_logs_are(make: Make) -> None:
    world = make()
    there: list[Record] = []

    def work(job: Job) -> None:
        there.append(world.put_result())
        assert world.remote.save(answer_name(job.name), as_json(Answer(key=there[0].key, log="epoch 1\n")))

    world.there.does = work
    record = world.run()
    assert record == there[0]
    assert world.engine.store.find(record.key) == record
    assert world.engine.workspace.log(world.stage).read_text() == "epoch 1\n"


def test_a_stage_that_failed_there_fails_here_in_the_same_words(make: Make) -> None:
    world = make()

    def fail(job: Job) -> None:
        key = world.asked(job).key
        answer = Answer(key=key, message="train:model.build: no luck\n  try again", log="a traceback\n")
        assert world.remote.save(answer_name(job.name), as_json(answer))

    world.there.does = fail
    with pytest.raises(StageFailed, match=r"^train:model\.build: no luck\n  try again$"):
        world.run()
    assert world.engine.workspace.log(world.stage).read_text() == "a traceback\n"


def test_a_machine_that_goes_away_is_tried_again_under_another_name(make: Make) -> None:
    world = make(executor__use="local", executor__retries="1")
    world.there.does = lambda job: world.put_result() if job.name.endswith("-1") else None
    assert world.run().stage == "train:model.build"
    assert [job.name[-2:] for job in world.there.jobs] == ["-0", "-1"]
    assert world.told == ["train:model.build: its machine went away; it is tried again"]


@pytest.mark.parametrize(("retries", "often"), [("0", "lost once"), ("2", "lost 3 times")])
def test_a_stage_that_is_lost_too_often_is_given_up(make: Make, retries: str, often: str) -> None:
    world = make(executor__use="local", executor__retries=retries)
    with pytest.raises(StageFailed, match=f"^train:model.build: {often}: the executor says that its job has ended"):
        world.run()
    assert len(world.there.jobs) == int(retries) + 1


@pytest.mark.parametrize("store", [{"store__mode": "read-only"}, {"store__mode": "off"}])
def test_without_a_remote_that_is_written_to_nothing_is_started(make: Make, store: dict[str, str]) -> None:
    world = make(**store)
    with pytest.raises(StageFailed, match="goes through a remote store\n  set `remote` in"):
        world.run()
    assert world.there.jobs == []


def test_an_input_that_the_store_has_lost_is_told_before_anything_is_started(make: Make) -> None:
    world = make()
    shutil.rmtree(world.engine.store.root / "objects")
    with pytest.raises(
        StageFailed, match="an artifact that it reads is not whole in the store here, so it was not started"
    ):
        world.run()
    assert world.there.jobs == []


def test_a_result_that_the_remote_has_lost_is_not_believed_again(make: Make) -> None:
    world = make()

    def lose(_: Job) -> None:
        record = world.put_result()
        shutil.rmtree(world.engine.store.root / "objects")
        for entry in record.outputs.values():
            (world.place / "remote" / "objects" / entry.digest[:2] / entry.digest[2:]).unlink()

    world.there.does = lose
    with pytest.raises(
        StageFailed, match=r"its result cannot be fetched whole from .*\n  run `doit` again: it is made anew"
    ):
        world.run()
    record = world.put_result()
    assert all(world.remote.has(entry) for entry in record.outputs.values()), "who makes it anew gives all of it"


def test_what_it_read_there_and_is_another_here_is_told(make: Make) -> None:
    world = make()

    def work(_: Job) -> None:
        record = msgspec.structs.replace(world.put_result(), discovered={"sizes.json": "12" * 32})
        world.remote.distrust(record.key)
        assert world.remote.put_trace(record)

    world.there.does = work
    with pytest.raises(StageFailed, match=r"changed while the stage ran: sizes\.json\n  its result was not kept"):
        world.run()


def test_what_may_be_secret_is_in_no_command_and_no_document(make: Make, tmp_path: Path) -> None:
    stage = make().stage
    secret = RemoteSettings(f"file://{tmp_path}/remote", True, 2.5, {"token": "hush"})
    job = _job(stage, "modelyard-ab-0", FileEntry("ab" * 32, 7), Remote(secret, lambda _: None))
    assert job.command[3:] == (secret.url, "2.5", "ab" * 32, "7")
    assert msgspec.json.decode(job.environment[OPTIONS]) == {"token": "hush"}
    assert "hush" not in " ".join(job.command)
    open_to_all = RemoteSettings(secret.url)
    assert _job(stage, "x", FileEntry("ab" * 32, 7), Remote(open_to_all, lambda _: None)).environment == {}


def test_how_an_input_was_made_is_of_no_use_there() -> None:
    whole = Record(stage="dataset:d", key="ab", digest="cd", outputs={"x": FileEntry("12", 3)}, discovered={"a": "1"})
    told = msgspec.structs.replace(whole, parts={"seed": 3}, metrics={"rows": 2}, made_on="here", git="abc")
    assert _bare(told) == whole
