"""The stages that the kinds of plugins plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.plans import PACK, SOURCE, config, ids, nothing, plugins_of, refused, several, use

from modelyard.component import Component
from modelyard.errors import PlanError, PluginError
from modelyard.plan.planner import Plan, build_plan
from modelyard.plugins.kinds import kinds_of
from modelyard.stage import Input, Stage

if TYPE_CHECKING:
    from modelyard.contexts import PlanContext

Planning = Callable[..., Any]


def one(context: PlanContext, **params: Any) -> Iterator[Stage]:
    yield context.stage("all", Input("model", f"select:{context.name}", "model"), params=sorted(params))


def planned(plan: Planning, tmp_path: Path, pipelines: tuple[str, ...] = (), **traits: Any) -> Plan:
    """Plan a project that asks for the kind `extra`, which `plan` plans, behind `select` unless told otherwise."""
    traits = {"after": "select", "plan_only": ("note",), **traits}
    extra = Component("kind", "extra", nothing, SOURCE, plan=plan, **traits)
    known = plugins_of(tmp_path)
    known = msgspec.structs.replace(
        known, components={**known.components, ("kind", "extra"): extra}, kinds=kinds_of([extra])
    )
    variants = {"a": (use(PACK),), "b": (use(PACK),)}
    asked: dict[str, Any] = {"kinds": {"extra": use(extra, amount=0.7, note="x")}, "resources": {"extra": 1}}
    return build_plan(several(variants, *pipelines, **asked) if pipelines else config(variants, **asked), known)


def test_a_stage_stands_where_its_kind_does_and_has_what_the_row_says(tmp_path: Path) -> None:
    plan = planned(one, tmp_path, seeded=True)
    assert ids(plan)[-5:] == ["select:shop", "extra:all", "image:shop", "check:shop", "render:staging"]
    stage = plan.stages["extra:all"]
    assert stage.uses["kind"].params == {"amount": 0.7}, "what concerns the plan alone is not the stage's"
    assert stage.settings == {"params": ["amount", "note"]}
    assert (stage.seed, stage.threads, stage.resources) == (3, 2, ("extra",))
    assert stage.row.name == "extra"
    assert stage.doc == "Do nothing"
    assert "extra" in plan.present_kinds
    assert planned(one, tmp_path).stages["extra:all"].seed is None


class Message(msgspec.Struct, frozen=True):
    about: str
    copies: int = 1


def test_settings_that_are_a_struct_are_one_in_the_stage(tmp_path: Path) -> None:
    plan = planned(lambda c, **_: [c.stage("a", about="all")], tmp_path, settings=Message)
    assert plan.stages["extra:a"].settings == Message("all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"abuot": "all"}, "do not fit: it has no 'abuot', did you mean 'about'?"),
        ({"copies": 2}, "do not fit: Object missing required field `about`"),
        ({"about": "all", "copies": "two"}, "do not fit: Expected `int`, got `str` - at `$.copies`"),
        ({"about": "all", "to": "ops"}, "gives the stage 'a' settings that do not fit: it has no 'to'"),
    ],
)
def test_settings_that_do_not_fit_the_struct_are_told_when_they_are_given(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    told = refused(lambda: planned(lambda c, **_: [c.stage("a", **settings)], tmp_path, settings=Message), PluginError)
    assert message in told
    assert "settings of the kind 'extra': about, copies" in told


def test_a_kind_sees_what_is_planned(tmp_path: Path) -> None:
    seen: list[PlanContext] = []

    def look(context: PlanContext, **params: Any) -> list[Stage]:
        seen.append(context)
        return [context.stage(f"of-{s.name}", Input("evaluation", s.id)) for s in context.of_kind("evaluate")]

    plan = planned(look, tmp_path, after="train")
    assert [s.name for s in plan.of_kind("extra")] == ["of-a", "of-b"]
    assert seen[0].variants == ("a", "b")
    assert "render:staging" in seen[0].stages
    order = list(plan.stages)
    assert order.index("evaluate:a") < order.index("extra:of-a"), "an input comes first wherever the kind stands"
    with pytest.raises(TypeError):
        seen[0].stages["x:y"] = plan.stages["train:net"]  # type: ignore[index]


def test_in_each_of_several_pipelines_a_kind_sees_its_own_stages_by_the_names_that_they_have_there(
    tmp_path: Path,
) -> None:
    def each(context: PlanContext, **params: Any) -> Iterator[Stage]:
        for name in context.variants:
            yield context.stage(name, Input("model", context.stages[f"evaluate:{name}"].inputs[0].stage))
        yield context.stage("all", *(Input(f"of:{name}", f"extra:{name}") for name in context.variants))
        yield context.stage("best", Input("model", f"select:{context.name}", "model"))
        yield context.stage("data", Input("dataset", "dataset:data"))

    plan = planned(each, tmp_path, ("left", "right"))
    assert [s.name for s in plan.of_kind("extra")] == [
        f"{side}.{name}" for side in ("left", "right") for name in ("a", "b", "all", "best", "data")
    ]
    read = {stage.id: [one.stage for one in stage.inputs] for stage in plan.of_kind("extra")}
    assert read["extra:right.a"] == ["optimize:right.a"]
    assert read["extra:right.all"] == ["extra:right.a", "extra:right.b"]
    assert read["extra:right.best"] == ["select:right"]
    assert read["extra:left.data"] == ["dataset:left.data"]


def test_a_kind_may_plan_nothing(tmp_path: Path) -> None:
    assert planned(lambda context, **params: [], tmp_path).of_kind("extra") == []


def raising(context: PlanContext, **params: Any) -> Iterator[Stage]:
    yield context.stages["train:nett"]


@pytest.mark.parametrize(
    ("plan", "kind", "message"),
    [
        (raising, PluginError, "the plan of the kind of stage 'extra' raised KeyError: 'train:nett'"),
        (lambda c, **_: ["x"], PluginError, "gave 'x', which is no stage of its kind\n  yield context.stage(name"),
        (lambda c, **_: [c.stages["select:shop"]], PluginError, "which is no stage of its kind"),
        (lambda c, **_: None, PluginError, "raised TypeError: 'NoneType' object is not iterable"),
        (lambda c: [], PluginError, "raised TypeError: "),
        (lambda c, **_: [c.stage("A b")], PluginError, "calls a stage 'A b'\n  allowed: 1 to 100 lower-case letters"),
        (lambda c, **_: [c.stage("../x")], PluginError, "calls a stage '../x'"),
        (
            lambda c, **_: [c.stage("a", "select:shop")],
            PluginError,
            "gives the stage 'a' the input 'select:shop'\n  write",
        ),
        (
            lambda c, **_: [c.stage("a", Input("m", "train:net"), Input("m", "select:shop"))],
            PluginError,
            "gives the stage 'a' two inputs in one role: m, m",
        ),
        (lambda c, **_: [c.stage("a", x=object())], PluginError, "settings that JSON cannot hold"),
        (lambda c, **_: [c.stage("a"), c.stage("a")], PlanError, "two stages are called 'extra:a'"),
        (lambda c, **_: [c.stage("a", Input("m", "select:x"))], PlanError, "reads 'select:x', which no stage makes"),
        (
            lambda c, **_: [c.stage("a", Input("m", "select:shop", "modle"))],
            PlanError,
            "reads the part 'modle' of 'select:shop', did you mean 'model'?\n  parts of a stage of the kind 'select': model",
        ),
        (lambda c, **_: [c.stage("a", Input("m", "extra:a"))], PlanError, "wait for each other"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    plan: Planning, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    assert message in refused(lambda: planned(plan, tmp_path), kind)
