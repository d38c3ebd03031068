"""The hooks around a stage: which are called, in which order, and that one that observes does nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.plans import job_of

from modelyard.errors import PluginError
from modelyard.execution import lifecycle
from modelyard.execution.job import Job
from modelyard.plugins.load import load_plugins
from modelyard.stage import Stage

HOOK = """
import os

from modelyard import hookimpl


@hookimpl{marks}
def modelyard_{hook}(stage, context):
    {body}
"""
MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Return a function that writes a plugin for each hook, `name=(hook, marks, body)`, and makes the job of a stage."""

    def make(kind: str = "train", **hooks: tuple[str, str, str]) -> Job:
        (tmp_path / "plugins").mkdir()
        for name, (hook, marks, body) in hooks.items():
            text = HOOK.format(hook=hook, marks=marks, body=body)
            (tmp_path / "plugins" / f"{name}.py").write_text(text)
        out = tmp_path / "out"
        out.mkdir()
        (out / "model.bin").write_text("weights")
        job = job_of(Stage(kind, "net"), {}, tmp_path)
        return msgspec.structs.replace(
            job, plugins=load_plugins(tmp_path), base=msgspec.structs.replace(job.base, out=out)
        )

    return make


OBSERVES = "(observes=True)"
NOTES = 'context.metrics.setdefault("called", []).append(stage)'


def test_what_shapes_a_stage_is_called_before_and_after_it(make_job: MakeJob) -> None:
    job = make_job(
        one=("before_stage_run", "", NOTES + '; (context.out / "seed").write_text("1")'),
        two=("after_stage_run", "", NOTES + '; context.metrics["files"] = len(list(context.out.iterdir()))'),
    )
    lifecycle.before(job)
    assert job.base.metrics == {"called": ["train:net"]}
    lifecycle.after(job)
    assert job.base.metrics == {"called": ["train:net", "train:net"], "files": 2}


def test_a_hook_of_other_kinds_is_not_called(make_job: MakeJob) -> None:
    job = make_job(
        one=("before_stage_run", '(kinds=["render"])', NOTES),
        two=("before_stage_run", '(observes=True, kinds=["render"])', 'raise OSError("called")'),
    )
    lifecycle.before(job)
    assert job.base.metrics == {}


def test_one_that_observes_comes_last_and_sees_what_the_others_made_and_what_it_reads_is_not_heard(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job(
        a_observer=("after_stage_run", OBSERVES, 'open(context.project / "seen", "w").write(str(context.metrics))'),
        shaper=("after_stage_run", "", NOTES),
    )
    heard: list[bool] = []

    @contextmanager
    def unheard() -> Iterator[None]:
        heard.append((tmp_path / "seen").exists())
        yield
        heard.append((tmp_path / "seen").exists())

    lifecycle.after(msgspec.structs.replace(job, unheard=unheard))
    assert (tmp_path / "seen").read_text() == "{'called': ['train:net']}"
    assert heard == [False, True]


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ('(context.out / "new").write_text("x")', "new"),
        ('(context.out / "model.bin").unlink()', "model.bin"),
        ('(context.out / "model.bin").write_text("weighty")', "model.bin"),
        ('os.environ["OBSERVED"] = "yes"', "the environment variables"),
    ],
)
def test_one_that_only_observes_is_told_what_it_changed(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, changed: str
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    job = make_job(mine=("before_stage_run", OBSERVES, body))
    with pytest.raises(PluginError) as caught:
        lifecycle.before(job)
    first, second = str(caught.value).splitlines()
    file = tmp_path / "plugins" / "mine.py"
    assert first == f"plugin {file}: modelyard_before_stage_run says that it only observes, but it changed {changed}"
    assert second.startswith("  leave `observes` out")


def test_what_one_that_observes_writes_into_its_metrics_is_its_own(make_job: MakeJob) -> None:
    body = 'context.metrics["seen"] = 1; context.metrics["rows"].append(2); context.warn("odd")'
    job = make_job(mine=("after_stage_run", OBSERVES, body))
    job.base.metrics["rows"] = [1]
    lifecycle.after(job)
    assert (job.base.metrics, job.base.warnings) == ({"rows": [1]}, [])


def test_what_a_hook_raises_ends_the_stage(make_job: MakeJob) -> None:
    with pytest.raises(ZeroDivisionError):
        lifecycle.before(make_job(mine=("before_stage_run", "", "1 / 0")))


def test_both_kinds_of_hook_are_told_of_an_error(make_job: MakeJob, tmp_path: Path) -> None:
    note = '(context.project / "{}").write_text(f"{{stage}}: {{error}}")'
    both = {name: ("on_stage_error", marks, note.format(name)) for name, marks in (("a", ""), ("b", OBSERVES))}
    job = make_job(**both, other=("on_stage_error", '(kinds=["render"])', note.format("c")))
    for file in (tmp_path / "plugins").glob("*.py"):
        file.write_text(file.read_text().replace("(stage, context)", "(stage, context, error)"))
    lifecycle.tell_error(msgspec.structs.replace(job, plugins=load_plugins(tmp_path)), ValueError("no luck"))
    assert [(tmp_path / name).exists() for name in "abc"] == [True, True, False]
    assert (tmp_path / "a").read_text() == "train:net: no luck"
