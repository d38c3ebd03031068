"""The stages of the kinds that plugins registered."""

from __future__ import annotations

from pathlib import Path

from tests.plans import SOURCE, job_of

from modelyard.component import Component, Use
from modelyard.contexts import KindContext
from modelyard.stage import Stage
from modelyard.stages import registered


def test_the_plugin_s_function_is_given_what_the_stage_reads_and_where_to_write(tmp_path: Path) -> None:
    called: list[KindContext] = []

    def agree(context: KindContext, *, share: float) -> None:
        called.append(context)
        context.metrics["share"] = share
        (context.out / "agreement.txt").write_text(context.name)

    kind = Component("kind", "agreement", agree, SOURCE)
    stage = Stage("agreement", "net.half", uses={"kind": Use(kind, {"share": 0.5})}, settings={"of": 2}, pipeline="net")
    inputs = {"model": tmp_path / "model"}
    job = job_of(stage, inputs, tmp_path)

    registered.run(job)

    (context,) = called
    assert (context.name, context.inputs, context.settings) == ("half", inputs, {"of": 2}), "its name in its pipeline"
    assert job.base.metrics == {"share": 0.5}
    assert (tmp_path / "agreement.txt").read_text() == "half"
