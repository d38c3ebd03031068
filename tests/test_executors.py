"""What an executor is told of a job, and what it must have."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from modelyard.execution.local import Local
from modelyard.executors import Executor, ExecutorContext, Job, State
from tests.standins.process_executor import Process

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.executors import Here

JOB = Job(
    name="modelyard-ab-0", stage="train:net", command=("python",), environment={"A": "secret"}, resources=("gpu",)
)


def methods(kind: type) -> dict[str, list[str]]:
    """Return the parameters of each public method of a class."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: list(inspect.signature(one).parameters) for name, one in found if not name.startswith("_")}


def test_a_job_says_all_by_name_and_stays_as_it_is() -> None:
    with pytest.raises(TypeError):
        Job("modelyard-ab-0", "train:net", ("python",), {}, ())  # type: ignore[call-arg]  # values would change places unseen
    with pytest.raises(AttributeError):
        JOB.name = "other"  # type: ignore[misc]


def test_a_job_can_be_sent_to_a_process_of_another_language() -> None:
    assert msgspec.json.decode(msgspec.json.encode(JOB), type=Job) == JOB
    fields = {"name", "stage", "command", "environment", "resources"}
    assert set(msgspec.json.decode(msgspec.json.encode(JOB))) == fields
    for missing in fields:
        told: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(JOB).items() if name != missing}
        with pytest.raises(msgspec.ValidationError, match=f"missing required field `{missing}`"):
            msgspec.convert(told, Job)


def test_an_executor_of_a_plugin_has_each_method_as_it_is_called() -> None:
    wanted = methods(Executor)
    assert set(wanted) == {"identity", "ask", "submit", "state", "cancel", "close"}
    own = methods(Process)
    assert {name: len(own[name]) for name in wanted} == {name: len(words) for name, words in wanted.items()}


def test_how_a_stage_ended_is_no_state_of_its_job() -> None:
    assert get_args(State) == ("queued", "running", "ended", "unknown")


def test_a_context_makes_the_executor_of_this_machine(tmp_path: Path) -> None:
    made: Here = ExecutorContext(name="digits", project=tmp_path, here=Local).here()
    assert isinstance(made, Local)
    made.close()
