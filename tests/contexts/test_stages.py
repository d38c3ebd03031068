"""What every stage may do with its context, and what the plan of a kind of a plugin's is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.contexts import PlanContext, StageContext
from modelyard.stage import Input, Stage

if TYPE_CHECKING:
    from pathlib import Path


def test_a_warning_goes_to_the_log_and_is_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    context = StageContext(
        out=tmp_path, project=tmp_path, cache=tmp_path, seed=0, progress=lambda *_, **__: None, log=lines.append
    )
    context.warn("two layers stay float32")
    assert (lines, context.warnings) == (["warning: two layers stay float32"], ["two layers stay float32"])


def test_two_contexts_share_no_warnings(tmp_path: Path) -> None:
    contexts = [
        StageContext(
            out=tmp_path, project=tmp_path, cache=tmp_path, seed=0, progress=lambda *_, **__: None, log=lambda _: None
        )
        for _ in range(2)
    ]
    contexts[0].warn("one")
    assert contexts[1].warnings == []


def test_what_was_decoded_is_known_to_the_same_code_in_the_same_way(tmp_path: Path) -> None:
    def made(code: str, way: str) -> int:
        context = StageContext(
            out=tmp_path,
            project=tmp_path,
            cache=tmp_path,
            seed=0,
            progress=lambda *_, **__: None,
            log=lambda _: None,
            code=code,
        )
        with context.decoded(way) as decoded:
            assert decoded.once(b"raw", bytes.upper) == b"RAW"
        return decoded.made

    assert [made(*each) for each in (("1", "a"), ("1", "a"), ("2", "a"), ("1", "b"), ("2", "a"))] == [1, 0, 1, 1, 0]


def _stage(kind: str, name: str) -> Stage:
    return Stage(kind, name)


def test_a_plan_finds_the_stages_of_a_kind_and_makes_further_ones() -> None:
    planned = {name: _stage(*name.split(":")) for name in ("evaluate:a", "select:", "evaluate:b")}
    context = PlanContext(
        name="toy",
        version="1",
        variants=("a", "b"),
        stages=planned,
        make=lambda name, inputs, settings: Stage("notify", name, inputs=inputs, settings=settings),
    )
    assert [stage.name for stage in context.of_kind("evaluate")] == ["a", "b"]
    assert context.of_kind("nothing") == []
    made = context.stage("all", Input("table", "select:"), url="x")
    assert (made.name, made.inputs, made.settings) == ("all", (Input("table", "select:"),), {"url": "x"})
