from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plans import PACK, PRUNE, assert_sorted, config, ids, plugins_of, use

from modelyard.component import Use
from modelyard.plan.planner import build_plan
from modelyard.plugins.load import Plugins


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return plugins_of(tmp_path_factory.mktemp("empty"))


def test_a_shared_prefix_is_built_once(plugins: Plugins) -> None:
    prune = use(PRUNE)
    plan = build_plan(config({"a": (prune, use(PACK)), "b": (prune, use(PRUNE, amount=0.9), use(PACK))}), plugins)
    assert ids(plan, "optimize") == ["optimize:prune", "optimize:a", "optimize:prune-prune", "optimize:b"]
    parents = {name: plan.stages[f"optimize:{name}"].inputs[0].stage for name in ("a", "prune-prune", "b")}
    assert parents == {"a": "optimize:prune", "prune-prune": "optimize:prune", "b": "optimize:prune-prune"}


def test_equal_variants_share_their_model_and_are_both_measured(plugins: Plugins) -> None:
    plan = build_plan(config({"a": (use(PACK),), "b": (use(PACK),)}), plugins)
    assert ids(plan, "optimize", "evaluate") == ["optimize:a", "evaluate:a", "evaluate:b"]
    assert plan.stages["evaluate:b"].inputs[0].stage == "optimize:a"


def test_prefixes_that_differ_in_a_parameter_are_told_apart_by_it(plugins: Plugins) -> None:
    variants = {f"v{n}": (use(PRUNE, amount=n / 10), use(PACK)) for n in (3, 7)}
    plan = build_plan(config(variants), plugins)
    expected = ["optimize:prune-amount-0.3", "optimize:v3", "optimize:prune-amount-0.7", "optimize:v7"]
    assert ids(plan, "optimize") == expected
    reversed_plan = build_plan(config(dict(reversed(variants.items()))), plugins)
    assert sorted(ids(reversed_plan, "optimize")) == sorted(expected), "the order does not matter"


def test_a_variant_keeps_its_name_when_a_prefix_would_like_it(plugins: Plugins) -> None:
    variants = {
        "a": (use(PRUNE), use(PACK)),
        "b": (use(PRUNE, amount=0.7), use(PACK)),
        "prune-amount-0.7": (use(PRUNE, amount=0.9), use(PACK)),
        "prune": (use(PACK),),
    }
    plan = build_plan(config(variants), plugins)
    by_variant = {v: plan.stages[f"evaluate:{v}"].inputs[0].stage for v in variants}
    assert by_variant == {v: f"optimize:{v}" for v in variants}
    parents = {
        v: plan.stages[plan.stages[f"optimize:{v}"].inputs[0].stage].uses["optimizer"].params for v in ("a", "b")
    }
    assert [parents[v]["amount"] for v in ("a", "b")] == [0.5, 0.7]


@pytest.mark.parametrize("note", ["/home/me/a file.csv", "Ü", "..", "x" * 300, "a:b"])
def test_a_parameter_in_a_name_cannot_break_it(note: str, plugins: Plugins) -> None:
    variants = {"a": (use(PRUNE), use(PACK)), "b": (use(PRUNE, note=note), use(PACK))}
    for stage in build_plan(config(variants), plugins).of_kind("optimize"):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?", stage.name), stage.name


def test_a_step_with_which_a_variant_ends_has_its_name_wherever_else_it_stands(plugins: Plugins) -> None:
    same = msgspec.structs.replace(PACK, accepts=("raw", "packed"))
    variants = {"long": (use(same), use(same, amount=0.7)), "short": (use(same),)}
    plan = build_plan(config(variants), plugins)
    assert ids(plan, "optimize") == ["optimize:short", "optimize:long"]
    assert plan.stages["optimize:long"].inputs[0].stage == "optimize:short"


STEPS = st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["", "a/b", "c"])), max_size=3).map(
    lambda pairs: (*(use(PRUNE, amount=a, note=n) for a, n in pairs), use(PACK))
)
NAMES = st.sampled_from(
    ["a", "b", "prune", "prune-pack", "prune-amount-0.9", "prune-prune", "prune-amount-0.9-2", "pack"]
)


@settings(max_examples=60)
@given(st.dictionaries(NAMES, STEPS, min_size=1, max_size=6))
def test_equal_chains_share_stages_and_others_do_not(plugins: Plugins, variants: dict[str, tuple[Use, ...]]) -> None:
    plan = build_plan(config(variants), plugins)

    def chain_of(stage_id: str) -> tuple[Use, ...]:
        found = plan.stages[stage_id]
        return (*chain_of(found.inputs[0].stage), found.uses["optimizer"]) if found.kind == "optimize" else ()

    for variant, steps in variants.items():
        assert chain_of(plan.stages[f"evaluate:{variant}"].inputs[0].stage) == steps
    chains = [chain_of(stage.id) for stage in plan.of_kind("optimize")]
    prefixes = {repr(steps[: n + 1]) for steps in variants.values() for n in range(len(steps))}
    assert sorted(map(repr, chains)) == sorted(prefixes)
    assert_sorted(plan.stages)
