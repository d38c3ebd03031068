"""Stages on another machine: in a folder that shares nothing with the project but a remote store, by processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.keys import pinning
from tests.conftest import doit_environment
from tests.front_door.builds import Build, build

STANDIN = Path(__file__).parents[1] / "standins" / "process_executor.py"
WATCH = """
import time
from pathlib import Path

from modelyard import hookimpl


@hookimpl(observes=True, kinds=("train",))
def modelyard_before_stage_run(context):
    context.log(f"trained in {{context.project}}")
    while Path({hold!r}).exists():
        time.sleep(0.05)
"""


def hear_interrupts() -> None:
    """A shell lets its background jobs, and so all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class World:
    """A project, the folder that its executor's jobs run in, and the remote store between them."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project, self.desk, self.remote = project, folder / "desk", folder / "remote"
        self.desk.mkdir()
        self.host(**{name: os.environ[name] for name in pinning.SHAPING if name in os.environ})
        shutil.copy(STANDIN, project / "plugins")
        (project / "plugins" / "watch.py").write_text(WATCH.format(hold=str(self.desk / "hold")))
        with (project / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.modelyard.store]\nremote = "file://{self.remote}"\n')
            file.write(f'\n[tool.modelyard.executor]\nuse = "process"\nfolder = "{self.desk}"\nkinds = ["train"]\n')

    def host(self, **variables: str) -> None:
        """Have the executor's machines set `variables`; they begin with what shapes results here."""
        (self.desk / "hosts").write_text("\n".join(f"{name}={value}" for name, value in variables.items()))

    def train(self, *arguments: str) -> Build:
        return build(self.project, "train", *arguments)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a build of the training, and wait until it runs elsewhere."""
        (self.desk / "hold").touch()
        command = [sys.executable, "-m", "doit", "train", *arguments]
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        pipe["preexec_fn"] = hear_interrupts
        running = subprocess.Popen(command, cwd=self.project, env=doit_environment(), start_new_session=True, **pipe)
        wait_for(lambda: bool(self.jobs) and self.pid(self.jobs[-1]) > 0)
        return running

    def release(self) -> None:
        (self.desk / "hold").unlink()

    def told(self, name: str) -> list[str]:
        """Return what the executor wrote down under `name`."""
        file = self.desk / name
        return file.read_text().splitlines() if file.exists() else []

    @property
    def jobs(self) -> list[str]:
        return [line.split()[0] for line in self.told("submitted")]

    def pid(self, job: str) -> int:
        file = self.desk / f"{job}.pid"
        return int(file.read_text() or 0) if file.exists() else 0

    def record(self, stage: str = "train/model.build") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.project / "artifacts" / stage / "stage.json").read_text())
        return found

    @property
    def has_result(self) -> bool:
        """Whether the remote store has a result of a training."""
        return any(b'"stage":"train:' in file.read_bytes() for file in self.remote.glob("traces/*/*.json"))


def wait_for(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def world(toy_project: Path, tmp_path: Path) -> Iterator[World]:
    world = World(toy_project, tmp_path)
    yield world
    for job in set(world.jobs):
        if world.pid(job):
            try:
                os.killpg(world.pid(job), signal.SIGKILL)
            except ProcessLookupError:
                continue


def test_a_stage_runs_in_another_folder_and_its_result_is_the_same(world: World, tmp_path: Path) -> None:
    done = world.train()
    assert done.built == {"dataset:points", "train:model.build"}, done.output
    assert [line.split()[1] for line in world.told("submitted")] == ["train:model.build"]
    log = (world.project / ".modelyard/logs/train/model.build.log").read_text()
    assert f"trained in {world.desk}/" in log
    assert "trained\n" in log
    assert world.train().having("fresh") == {"dataset:points", "train:model.build"}
    assert len(world.told("asked")) == 1, "asked once, and not again by a build with nothing to do"
    assert not any((world.remote / "jobs").iterdir()), "an answer that was read goes"
    there = world.record()
    other = tmp_path / "other"
    ignored = shutil.ignore_patterns("artifacts", ".modelyard", "*executor*", "__pycache__")
    shutil.copytree(world.project, other, ignore=ignored)
    text = (other / "pyproject.toml").read_text().partition("[tool.modelyard.store]")[0]
    (other / "pyproject.toml").write_text(text)
    here = build(other, "train")
    assert here.built == {"dataset:points", "train:model.build"}, here.output
    record = json.loads((other / "artifacts/train/model.build/stage.json").read_text())
    assert record["key"] == there["key"]
    assert record["outputs"] == there["outputs"]


def test_a_folder_that_has_the_result_takes_it_from_the_store(world: World, tmp_path: Path) -> None:
    assert world.train().code == 0
    second = tmp_path / "second"
    shutil.copytree(world.project, second, ignore=shutil.ignore_patterns("artifacts", ".modelyard", "__pycache__"))
    done = build(second, "train")
    assert done.having("restored") == {"dataset:points", "train:model.build"}, done.output
    assert len(world.jobs) == 1


def test_a_machine_that_is_another_by_now_is_refused_before_anything_runs(world: World) -> None:
    world.host(OPENBLAS_CORETYPE="Prescott")
    assert world.train().code == 0
    world.host(OPENBLAS_CORETYPE="Haswell")
    done = world.train("train.passes=2")
    assert done.code == 1
    assert (
        "train:model.build: the machine that it was to run on is another than its key says, so it was not run"
        in done.output
    )
    assert "environment OPENBLAS_CORETYPE: asked for 'Prescott', there it is 'Haswell'" in done.output
    assert len(world.jobs) == 2, "a refusal is not tried again"
    assert world.record()["metrics"] == {"passes": 1}


def test_a_stage_that_fails_there_fails_here_and_is_not_kept(world: World) -> None:
    plugin = world.project / "plugins" / "toy.py"
    plugin.write_text(plugin.read_text().replace('context.log("trained")', 'raise ValueError("no luck")'))
    done = world.train()
    assert done.code == 1
    assert "plugins/toy.py" in done.output
    assert "raised ValueError: no luck" in done.output
    assert "raise ValueError" in (world.project / ".modelyard/logs/train/model.build.log").read_text()
    assert not world.has_result
    assert world.train().code == 1
    assert len(world.jobs) == 2, "a failure is not kept: the second build runs it again"


def test_a_job_that_ends_without_a_word_is_tried_again_and_then_told(world: World) -> None:
    assert world.train().code == 0
    (world.desk / "python").write_text(shutil.which("false") or "/bin/false")
    done = world.train("train.passes=2", "executor.retries=1")
    assert done.code == 1
    assert "train:model.build: its machine went away; it is tried again" in done.output
    assert "train:model.build: lost 2 times: the executor 'process' says that its job has ended" in done.output
    assert world.record()["metrics"] == {"passes": 1}


def test_a_store_that_does_not_work_stops_the_stage_before_it_starts(world: World) -> None:
    world.remote.write_text("not a folder")
    done = world.train()
    assert done.code == 1
    assert "train:model.build: what it needs could not be given to file://" in done.output
    assert world.jobs == []


def test_an_executor_that_cannot_be_reached_is_told_before_anything_runs(world: World) -> None:
    (world.desk / "silent").touch()
    done = world.train()
    assert done.code != 0
    assert "this build cannot reach its end, so that nothing was started" in done.output
    assert "the executor 'process': its 'ask' raised ConnectionError: nobody answers" in done.output
    assert done.stages == {}


def test_no_remote_store_is_told_before_anything_runs(world: World) -> None:
    done = world.train("store.remote=")
    assert done.code != 0
    assert "there is no remote store to meet in" in done.output
    assert "set `remote` in [tool.modelyard.store]" in done.output
    assert done.stages == {}


def test_a_build_that_is_killed_leaves_its_job_and_the_next_one_finds_it(world: World) -> None:
    running = world.started()
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    again = world.started()
    world.release()
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    assert len(world.jobs) == 1, "the second build goes on with the first one's job"
    assert world.record()["metrics"] == {"passes": 1}


def test_a_worker_that_is_killed_is_started_again(world: World) -> None:
    running = world.started()
    os.kill(world.pid(world.jobs[0]), signal.SIGKILL)
    wait_for(lambda: len(world.jobs) == 2)
    world.release()
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output
    assert "its machine went away; it is tried again" in output
    assert world.record()["metrics"] == {"passes": 1}


def test_a_build_that_is_interrupted_cancels_its_jobs(world: World) -> None:
    running = world.started()
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode != 0, output
    assert world.told("cancelled") == world.jobs
    assert "Traceback" not in output
    assert not world.has_result
    world.release()
    assert world.train().code == 0


def test_forced_it_runs_although_the_store_has_its_result(world: World) -> None:
    assert world.train().code == 0
    done = build(world.project, "-s", "-a", "train:model.build")
    assert done.built == {"train:model.build"}, done.output
    assert len(world.jobs) == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            'kinds = ["trian"]',
            "key 'kinds': 'trian' is not allowed: there is no such kind of stage, did you mean 'train'?",
        ),
        ('kinds = ["image"]', "key 'kinds': 'image' is not allowed: its stages do not compute, and run here"),
        ("retries = -1", "key 'retries'"),
        ('queue = "fast"', "unknown key 'queue'"),
    ],
)
def test_a_mistake_in_the_table_is_told_at_its_place(world: World, setting: str, told: str) -> None:
    file = world.project / "pyproject.toml"
    kept = file.read_text().replace('kinds = ["train"]\n', "")
    file.write_text(f"{kept}{setting}\n")
    done = build(world.project, "list")
    assert done.code != 0
    assert told in done.output
    assert "[tool.modelyard.executor]" in done.output
