from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from tests.plans import PACK, PRUNE, component, config, ids, plugins_of, refused, use

from modelyard.component import Use
from modelyard.plan.planner import Plan, build_plan
from modelyard.plugins.load import Plugins
from modelyard.stage_settings import SelectSettings


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return plugins_of(tmp_path_factory.mktemp("empty"))


TUNE = msgspec.structs.replace(component("optimizer", "tune", ("raw",), "raw"), trains_like="tune")
TRAINING = msgspec.structs.replace(PRUNE, name="sparse", trains_like="tune")


def planned(variants: dict[str, tuple[Use, ...]], plugins: Plugins, *, gate: bool = True, **select: object) -> Plan:
    more = {("optimizer", c.name): c for c in (TUNE, TRAINING)}
    known = Plugins(plugins.manager, {**plugins.components, **more}, sources=plugins.sources)
    wanted = config(variants)
    wanted.settings.gates["max_accuracy_drop"] = 0.01 if gate else None
    wanted.settings.gates["equal_training"] = select.pop("equal_training", True)
    for key, value in select.items():
        setattr(wanted.settings.select, key, value)
    return build_plan(wanted, known)


def selecting(plan: Plan) -> SelectSettings:
    return plan.stages["select:shop"].settings_as(SelectSettings)


def compared(plan: Plan) -> dict[str, str]:
    return dict(selecting(plan).trained_alike)


PRUNED = {
    "plain": (use(PACK),),
    "sparse": (use(TRAINING, amount=0.3), use(PACK)),
    "sparse-noted": (use(TRAINING, amount=0.3, note="x"), use(PACK)),
    "longer": (use(TRAINING, amount=0.9), use(PACK)),
    "twice": (use(TRAINING, amount=0.3), use(TRAINING, amount=0.3), use(PACK)),
}


def test_what_trains_is_compared_with_a_baseline_that_was_trained_alike(plugins: Plugins) -> None:
    plan = planned(PRUNED, plugins)
    assert compared(plan) == {
        "sparse": "plain-tune-amount-0.3-note",
        "sparse-noted": "plain-tune-amount-0.3-note-x",
        "longer": "plain-tune-amount-0.9-note",
        "twice": "plain-tune-tune",
    }
    made = plan.stages["optimize:plain-tune-amount-0.9-note"]
    assert made.uses["optimizer"] == use(PACK)
    assert plan.stages[made.inputs[0].stage].uses["optimizer"] == use(TUNE, amount=0.9)
    assert selecting(plan).controls == list(compared(plan).values())
    tunings = [s for s in plan.of_kind("optimize") if s.uses["optimizer"].component.name == "tune"]
    assert len(tunings) == 4, "the first tuning of `twice` is that of `sparse`"


def test_variants_that_were_trained_alike_share_their_baseline(plugins: Plugins) -> None:
    same = msgspec.structs.replace(TRAINING, name="sparser")
    plan = planned({"plain": (use(PACK),), "a": (use(TRAINING), use(PACK)), "b": (use(same), use(PACK))}, plugins)
    assert compared(plan) == {"a": "plain-tune", "b": "plain-tune"}
    assert ids(plan, "evaluate") == ["evaluate:plain", "evaluate:a", "evaluate:b", "evaluate:plain-tune"]


def test_a_variant_that_is_what_is_needed_is_taken_and_ships_as_any_other(plugins: Plugins) -> None:
    plan = planned({"plain": (use(PACK),), "mine": (use(TUNE), use(PACK)), "a": (use(TRAINING), use(PACK))}, plugins)
    assert compared(plan) == {"a": "mine"}
    assert selecting(plan).controls == []


def test_a_baseline_that_was_trained_on_gets_the_training_that_it_lacks(plugins: Plugins) -> None:
    variants = {"base": (use(TRAINING, amount=0.3), use(PACK)), **PRUNED}
    plan = planned(variants, plugins, baseline="base")
    assert compared(plan) == {"twice": "base-tune"}, "what was trained alike is compared with the baseline"
    chain = plan.stages["optimize:base-tune"]
    assert plan.stages[chain.inputs[0].stage].uses["optimizer"] == use(TUNE, amount=0.3)


def unlike(plan: Plan) -> dict[str, str]:
    return dict(selecting(plan).trained_unlike)


def test_what_cannot_be_trained_alike_is_said_with_the_reason(plugins: Plugins) -> None:
    variants = {"base": (use(TRAINING, amount=0.3), use(PACK)), **PRUNED}
    before = "the baseline was trained further by tune amount=0.3, the variant by"
    assert unlike(planned(variants, plugins, baseline="base")) == {
        "plain": f"{before} nothing",
        "sparse-noted": f"{before} tune amount=0.3 note=x",
        "longer": f"{before} tune amount=0.9",
    }
    assert unlike(planned(PRUNED, plugins)) == {}
    assert unlike(planned(variants, plugins, baseline="base", gate=False)) == {}


def test_training_in_a_format_that_the_baseline_does_not_have_is_said(plugins: Plugins) -> None:
    later = msgspec.structs.replace(TUNE, name="late-tune", accepts=("packed",), produces="packed", trains_like="tune")
    twin = msgspec.structs.replace(later, trains_like="late-tune")
    known = Plugins(plugins.manager, {**plugins.components, ("optimizer", "late-tune"): twin}, sources=plugins.sources)
    variants = {"plain": (use(PACK),), "late": (use(PACK), use(twin))}
    plan = planned(variants, known)
    assert unlike(plan) == {"late": "in late-tune, pack, the trainer gives raw, but late-tune takes packed"}
    assert ids(plan, "evaluate") == ["evaluate:plain", "evaluate:late"]


def test_a_control_that_the_runtime_does_not_take_is_not_planned(plugins: Plugins) -> None:
    """The baseline ships as it was trained, and what trains further gives another format."""
    runner = component("runtime", "runner", accepts=("packed", "raw"))
    heavy = msgspec.structs.replace(TUNE, name="heavy-tune", produces="heavy", trains_like="heavy-tune")
    sparse = msgspec.structs.replace(heavy, name="heavy-sparse")
    bake = component("optimizer", "bake", ("heavy",), "packed")
    more = {(c.kind, c.name): c for c in (heavy, sparse, bake)}
    known = Plugins(plugins.manager, {**plugins.components, **more}, sources=plugins.sources)
    wanted = config({"plain": (), "a": (use(sparse), use(bake))})
    wanted.uses["runtime"] = Use(runner, {})
    wanted.settings.gates["max_accuracy_drop"] = 0.01
    plan = build_plan(wanted, known)
    assert unlike(plan) == {"a": "in heavy-tune, heavy-tune gives heavy, but the runtime takes packed, raw"}


@pytest.mark.parametrize("how", [{"gate": False}, {"equal_training": False}])
def test_without_a_bound_on_the_drop_or_if_told_so_there_is_no_further_baseline(
    how: dict[str, Any], plugins: Plugins
) -> None:
    plan = planned(PRUNED, plugins, **how)
    assert compared(plan) == {}
    assert len(plan.of_kind("evaluate")) == len(PRUNED)


def test_such_a_baseline_may_be_asked_for_by_its_name(plugins: Plugins) -> None:
    variants = {"plain": (use(PACK),), "a": (use(TRAINING), use(PACK))}
    assert selecting(planned(variants, plugins, rule="plain-tune")).rule == "plain-tune"
    assert "allowed: smallest," in refused(lambda: planned(variants, plugins, rule="plain-tuna"))


def test_the_name_of_such_a_baseline_gives_way_to_a_variants(plugins: Plugins) -> None:
    plan = planned({"plain": (use(PACK),), "plain-tune": (use(TRAINING), use(PACK))}, plugins)
    assert compared(plan) == {"plain-tune": "plain-tune-2"}


def test_what_trains_like_nothing_that_exists_is_the_plugins_mistake(plugins: Plugins) -> None:
    wrong = msgspec.structs.replace(TRAINING, trains_like="tun")
    told = refused(lambda: planned({"plain": (use(PACK),), "a": (use(wrong), use(PACK))}, plugins))
    assert (
        "the model optimizer 'sparse' (test.py) trains like 'tun', which is no model optimizer, did you mean 'tune'?"
        in told
    )


def test_many_variants_are_planned_in_time_that_grows_with_their_number(plugins: Plugins) -> None:
    def work(count: int) -> int:
        calls = 0

        def profile(frame: object, event: str, arg: object) -> None:
            nonlocal calls
            calls += event == "call"

        variants: dict[str, tuple[Use, ...]] = {
            f"v{n}": (use(TRAINING, amount=n / count), use(PACK)) for n in range(count)
        }
        sys.setprofile(profile)
        try:
            planned(variants, plugins)
        finally:
            sys.setprofile(None)
        return calls

    assert work(400) < 2.5 * work(200)
