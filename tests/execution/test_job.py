"""One stage as its worker sees it: what its components are called with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plans import SOURCE, job_of

from modelyard.component import Component, Use
from modelyard.contexts import KindContext, StageContext
from modelyard.execution.job import Job
from modelyard.stage import Stage


@pytest.fixture
def job(tmp_path: Path) -> Job:
    def told(*args: Any, **params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, params

    uses = {
        "trainer": Use(Component("trainer", "t", told, SOURCE), {"epochs": 3, "rate": 0.1}),
        "model": Use(Component("model", "m", told, SOURCE), {"width": 8}),
    }
    return job_of(Stage("train", "net", uses=uses), {"dataset": tmp_path / "data"}, tmp_path)


def test_a_component_is_called_with_its_own_parameters(job: Job) -> None:
    assert job.call("trainer", "context") == (("context",), {"epochs": 3, "rate": 0.1})
    assert job.call("model", (8, 8), ("a", "b")) == (((8, 8), ("a", "b")), {"width": 8})
    with pytest.raises(KeyError, match="optimizer"):
        job.call("optimizer")


def test_a_context_is_the_common_part_and_what_its_kind_has_beside(job: Job) -> None:
    context = job.context(KindContext, name="net", inputs=job.inputs, settings={"size": 2})
    assert {name: getattr(context, name) for name in StageContext.__struct_fields__} == msgspec.structs.asdict(job.base)
    assert (context.name, context.inputs, context.settings) == ("net", job.inputs, {"size": 2})


def test_what_a_component_reports_is_the_stage_s(job: Job) -> None:
    context = job.context(StageContext)
    context.metrics["loss"] = 0.5
    context.warn("half of it")
    assert job.base.metrics == {"loss": 0.5}
    assert job.base.warnings == ["half of it"]


def test_two_jobs_report_apart(job: Job, tmp_path: Path) -> None:
    job.base.metrics["loss"] = 0.5
    assert job_of(job.stage, {}, tmp_path).base.metrics == {}


def test_the_pipeline_of_a_stage_is_the_plan_s(job: Job) -> None:
    assert job.config is job.plan.config_of(job.stage)
