"""The wait for a stage elsewhere: the store says what became of it, whatever the executor thinks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from modelyard.build import following
from modelyard.build.following import Follower
from modelyard.errors import StageFailed, ToolError
from modelyard.execution.request import Answer, StageRequest, answer_name
from modelyard.executors import Job
from modelyard.files.json import as_json
from modelyard.files.manifest import manifest_digest
from modelyard.store.file_system import RemoteSettings
from modelyard.store.record import Record
from modelyard.store.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelyard.executors import State

KEY = "ab" * 32
REQUEST = StageRequest(
    job="modelyard-ab-0", stage="train:net", key=KEY, parts={}, inputs={}, sources={}, overrides={}, commit=""
)
JOB = Job(name=REQUEST.job, stage=REQUEST.stage, command=("python",), environment={}, resources=())


class Scripted:
    """An executor that says what it was told to say, and goes on with the last of it."""

    def __init__(self, *states: State | Exception) -> None:
        self.states, self.submitted, self.cancelled = list(states), 0, list[str]()

    def identity(self) -> str:
        return ""

    def ask(self, command: Sequence[str]) -> str:
        raise NotImplementedError

    def submit(self, job: Job) -> None:
        self.submitted += 1

    def state(self, name: str) -> State:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return state

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)

    def close(self) -> None:
        pass


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(RemoteSettings(f"file://{tmp_path}/remote"), lambda _: None)


def follower(executor: Scripted, remote: Remote) -> Follower:
    return Follower(executor, "the executor", remote, lambda _: None)


def put_result(remote: Remote) -> None:
    assert remote.put_trace(Record(stage="train:net", key=KEY, digest=manifest_digest({}), outputs={}))


def test_a_result_counts_although_the_executor_says_that_the_job_runs(remote: Remote) -> None:
    put_result(remote)
    assert follower(Scripted("running"), remote).follow(REQUEST, lambda _: None) == Answer(key=KEY)


def test_an_answer_counts_although_the_executor_forgot_the_job(remote: Remote) -> None:
    answer = Answer(key=KEY, message="train:net: no luck", log="a line")
    assert remote.save(answer_name(REQUEST.job), as_json(answer))
    assert follower(Scripted("unknown"), remote).follow(REQUEST, lambda _: None) == answer
    assert remote.load(answer_name(REQUEST.job)) is None, "an answer that was read goes"


@pytest.mark.parametrize("data", [b"{", as_json(Answer(key="cd" * 32))])
def test_what_is_no_answer_to_this_request_is_none(remote: Remote, data: bytes) -> None:
    assert remote.save(answer_name(REQUEST.job), data)
    assert follower(Scripted("running", "ended"), remote).follow(REQUEST, lambda _: None) is None


def test_what_the_executor_knows_is_told_when_it_changes(remote: Remote) -> None:
    heard: list[str] = []
    states = Scripted("queued", "queued", "running", "running", "ended")
    assert follower(states, remote).follow(REQUEST, heard.append) is None
    assert heard == ["queued", "running"]


def test_a_result_that_was_there_before_is_no_answer_to_who_wants_it_anew(remote: Remote) -> None:
    put_result(remote)
    forced = StageRequest(
        **{name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__ if name != "force"}, force=True
    )
    assert follower(Scripted("ended"), remote).follow(forced, lambda _: None) is None


def test_an_old_answer_goes_before_a_job_is_started_and_stays_where_one_is_found(remote: Remote) -> None:
    answer = as_json(Answer(key=KEY, message="of an earlier build"))
    assert remote.save(answer_name(REQUEST.job), answer)
    follower(Scripted("running"), remote).start(JOB)
    assert remote.load(answer_name(REQUEST.job)) == answer
    follower(Scripted("ended"), remote).start(JOB)
    assert remote.load(answer_name(REQUEST.job)) is None


def test_a_job_that_its_executor_does_not_know_for_long_is_given_up(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOST_AFTER_S", 0.2)
    executor = Scripted("unknown")
    assert follower(executor, remote).follow(REQUEST, lambda _: None) is None
    assert executor.cancelled == [REQUEST.job], "it may run all the same"


def test_an_executor_out_of_reach_for_long_ends_the_wait_and_leaves_the_job_alone(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOST_AFTER_S", 0.2)
    executor = Scripted("running", OSError("no route"))
    one = follower(executor, remote)
    one.start(JOB)
    with pytest.raises(StageFailed, match="train:net: nothing was heard of it for 0 s") as caught:
        one.follow(REQUEST, lambda _: None)
    assert "OSError: no route" in str(caught.value)
    assert "a job that goes on is found by the next `doit`" in str(caught.value)
    one.close()
    assert executor.cancelled == []


def test_a_moment_out_of_reach_does_no_harm(remote: Remote) -> None:
    executor = Scripted("running", OSError("no route"), "running", "ended")
    assert follower(executor, remote).follow(REQUEST, lambda _: None) is None


def test_the_end_of_a_build_ends_the_wait_and_cancels(remote: Remote) -> None:
    executor = Scripted("running")
    one = follower(executor, remote)
    one.start(JOB)
    failed: list[BaseException] = []

    def wait() -> None:
        with pytest.raises(StageFailed, match="was cancelled, as this build ended") as caught:
            one.follow(REQUEST, lambda _: None)
        failed.append(caught.value)

    thread = threading.Thread(target=wait)
    thread.start()
    one.close()
    thread.join(10)
    assert failed
    assert executor.cancelled == [REQUEST.job]


def test_a_mistake_of_the_executor_is_told_as_its_own(remote: Remote) -> None:
    with pytest.raises(ToolError, match="the executor: its 'state' raised KeyError: 'x'"):
        follower(Scripted(KeyError("x")), remote).start(JOB)
