"""Where stages run, and what the machines there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from modelyard.build.placement import DESCRIBE, Placement
from modelyard.errors import ToolError
from modelyard.execution.local import Local
from modelyard.files.digests import DigestTable
from modelyard.keys.platform import HERE, Described, describe
from modelyard.project.load import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelyard.executors import Executor, Job, State


class Asked:
    """An executor that only says what its machines are."""

    def __init__(self, told: str, identity: str = "image 1") -> None:
        self.told, self.name, self.questions, self.is_closed = told, identity, list[tuple[str, ...]](), False

    def identity(self) -> str:
        return self.name

    def ask(self, command: Sequence[str]) -> str:
        self.questions.append(tuple(command))
        return self.told

    def submit(self, job: Job) -> None:
        raise NotImplementedError

    def state(self, name: str) -> State:
        raise NotImplementedError

    def cancel(self, name: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


def as_text(**changes: object) -> str:
    return msgspec.json.encode(msgspec.structs.replace(describe([]), **changes)).decode()


def place(project: Path, executor: Executor | Local | None = None, **overrides: str) -> Placement:
    loaded = load(project, {key.replace("__", "."): value for key, value in overrides.items()})
    return Placement(loaded, DigestTable(project / "state.sqlite"), lambda _: None, executor)


def where(placement: Placement) -> set[str]:
    """Return the kinds of stage that run elsewhere."""
    plan = placement._project.plan
    return {stage.kind for stage in plan.stages.values() if placement.is_elsewhere(stage)}


def test_without_an_executor_all_runs_here(toy_project: Path) -> None:
    placement = place(toy_project)
    assert where(placement) == set()
    stage = next(iter(load(toy_project).plan.stages.values()))
    assert placement.platform(stage) is HERE


def test_the_executor_local_is_this_machine(toy_project: Path) -> None:
    placement = place(toy_project, executor__use="local")
    assert where(placement) == set()
    assert isinstance(placement.local, Local)
    placement.close()


def test_what_computes_runs_elsewhere_or_those_kinds_of_it_that_are_named(toy_project: Path) -> None:
    assert where(place(toy_project, Asked(as_text()))) == {"dataset", "train", "optimize", "evaluate"}


def test_machines_are_asked_once_for_each_environment(toy_project: Path) -> None:
    stage = load(toy_project).plan.stages["train:model.build"]
    one = Asked(as_text(accelerator="cuda NVIDIA H100"))
    placement = place(toy_project, one)
    assert placement.platform(stage).accelerator == "cuda NVIDIA H100"
    assert placement.platform(stage) is placement.platform(stage)
    assert len(one.questions) == 1
    assert one.questions[0][: len(DESCRIBE)] == DESCRIBE
    assert "TOY_EPOCH" in one.questions[0]
    again = Asked(as_text())
    assert place(toy_project, again).platform(stage).accelerator == "cuda NVIDIA H100"
    assert again.questions == [], "another build with the same environment does not ask"
    other = Asked(as_text(accelerator="rocm 90010"), "image 2")
    assert place(toy_project, other).platform(stage).accelerator == "rocm 90010"
    for _ in range(2):
        unnamed = Asked(as_text(), "")
        place(toy_project, unnamed).platform(stage)
        assert len(unnamed.questions) == 1, "without an identity each build asks"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("No module named modelyard", "was asked what its machines are, and said 'No module named modelyard'"),
        (as_text(python="3.7"), f"have Python 3.7, and here {HERE.python}"),
        (as_text(distributions={}), "have modelyard not installed, and here"),
    ],
)
def test_machines_that_will_not_do_are_told_and_not_asked_again(toy_project: Path, told: str, message: str) -> None:
    stage = load(toy_project).plan.stages["train:model.build"]
    executor = Asked(told)
    placement = place(toy_project, executor)
    for _ in range(2):
        with pytest.raises(ToolError, match=message):
            placement.platform(stage)
    assert len(executor.questions) == 1


def test_what_was_given_is_for_the_giver_to_end(toy_project: Path) -> None:
    given = Asked(as_text())
    placement = place(toy_project, given)
    assert isinstance(placement.local, Local)
    placement.close()
    assert not given.is_closed


PLUGIN = """
from modelyard import hookimpl


def broken(context, *, what: str):
    if what == "raise":
        raise OSError("no route")
    return object()


@hookimpl
def modelyard_register_executors(register):
    register("broken", broken)
"""


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raise", "the executor 'broken': its 'broken' raised OSError: no route"),
        ("object", "which has no identity, ask, submit, state, cancel, close"),
    ],
)
def test_a_plugin_that_gives_no_executor_is_told(toy_project: Path, what: str, message: str) -> None:
    (toy_project / "plugins" / "broken.py").write_text(PLUGIN)
    placement = place(toy_project, executor__use="broken", executor__what=what)
    with pytest.raises(ToolError, match=message):
        where(placement)


def test_a_description_says_all_that_a_key_asks() -> None:
    assert isinstance(msgspec.json.decode(as_text(), type=Described), Described)
