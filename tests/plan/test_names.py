from __future__ import annotations

import pytest
from tests.plans import PACK, PRUNE, config, ids, plugins_of, use

from modelyard.errors import PlanError
from modelyard.plan.names import stages_named, with_upstream
from modelyard.plan.planner import Plan, build_plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    variants = {"plain": (use(PACK),), "pruned": (use(PRUNE), use(PACK))}
    return build_plan(config(variants), plugins_of(tmp_path_factory.mktemp("empty")))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train:net"], ["train:net"]),
        (["evaluate"], ["evaluate:plain", "evaluate:pruned"]),
        (["*:plain", "dataset"], ["dataset:data", "optimize:plain", "evaluate:plain"]),
        (["select", "select:shop"], ["select:shop"]),
        ([], []),
    ],
)
def test_a_stage_a_kind_or_a_pattern_in_the_order_of_a_build(plan: Plan, names: list[str], found: list[str]) -> None:
    assert [stage.id for stage in stages_named(plan, names, "why")] == [one for one in ids(plan) if one in found]
    assert {stage.id for stage in stages_named(plan, names, "why")} == set(found)


def test_a_name_that_stands_for_nothing_is_an_error_with_what_there_is(plan: Plan) -> None:
    with pytest.raises(
        PlanError, match=r"^why: there is no stage 'trian', did you mean 'train'\?\n  stages: .*train:net"
    ):
        stages_named(plan, ["select", "trian"], "why")
    with pytest.raises(PlanError, match=r"no stage 'TRAIN:\*'"):
        stages_named(plan, ["TRAIN:*"], "why")


def test_what_a_stage_reads_directly_or_not(plan: Plan) -> None:
    assert [s.id for s in with_upstream(plan, [plan.stages["optimize:plain"]])] == [
        "dataset:data",
        "train:net",
        "optimize:plain",
    ]
    assert [s.id for s in with_upstream(plan, plan.stages.values())] == ids(plan)
    assert with_upstream(plan, []) == []
