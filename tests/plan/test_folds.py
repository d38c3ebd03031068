"""The stages of a cross-validation: for each fold a data set, each training, and the variants that are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plans import PACK, PRUNE, TRAINER, config, ids, plugins_of, refused, training, use

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.config.tables import CrossValidation
from modelyard.errors import ConfigError, PlanError
from modelyard.plan.planner import Plan, build_plan
from modelyard.stage_settings import DatasetSettings, EvaluateSettings, HeldOut, by_name

CHAINS = {"plain": (use(PACK),), "pruned": (use(PRUNE), use(PACK))}


def validated(chains: Any = CHAINS, **table: Any) -> Config:
    found = config(chains)
    settings = msgspec.structs.replace(found.settings, cross_validation=CrossValidation(**table))
    return msgspec.structs.replace(found, settings=settings)


def planned(tmp_path: Path, **table: Any) -> Plan:
    return build_plan(validated(**table), plugins_of(tmp_path))


def test_every_training_is_done_for_each_fold_and_measured_on_its_data(tmp_path: Path) -> None:
    plan = planned(tmp_path, folds=2)
    own = ids(planned(tmp_path / "own"), "train")
    assert ids(plan, "dataset") == ["dataset:data", "dataset:data.fold-0", "dataset:data.fold-1"]
    assert ids(plan, "train") == [*own, "train:fold-0", "train:fold-1"]
    measured = plan.stages["evaluate:fold-1.pruned"]
    assert {one.role: one.stage for one in measured.inputs} == {
        "model": "optimize:fold-1.pruned",
        "dataset": "dataset:data.fold-1",
        "baseline": "optimize:fold-1.plain",
    }
    assert plan.stages["dataset:data.fold-1"].settings_as(DatasetSettings).fold == HeldOut(folds=2, fold=1)
    how = measured.settings_as(EvaluateSettings)
    assert (how.latency_samples, how.warmup) == (1, 0)


def test_one_selection_reads_them_all_and_nothing_of_a_fold_ships(tmp_path: Path) -> None:
    plan = planned(tmp_path, folds=2)
    read = {one.role: one.stage for one in plan.stages["select:shop"].inputs}
    assert {role for role in read if role.startswith("fold:")} == {
        f"fold:{number}:{name}" for number in (0, 1) for name in CHAINS
    }
    assert read["fold:1:pruned"] == "evaluate:fold-1.pruned"
    assert {role for role in read if role.startswith("model:")} == {"model:plain", "model:pruned"}


def test_only_some_variants_are_measured_where_that_is_asked_for_and_always_the_baseline(tmp_path: Path) -> None:
    chains = {**CHAINS, "other": (use(PACK),)}
    plan = build_plan(validated(chains, folds=2, variants=["pr*"]), plugins_of(tmp_path))
    assert [one for one in ids(plan, "evaluate") if "fold-1" in one] == [
        "evaluate:fold-1.plain",
        "evaluate:fold-1.pruned",
    ]


def test_without_folds_all_is_as_it_was(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert ids(plan, "dataset") == ["dataset:data"]
    assert by_name(plan.stages["dataset:data"].settings) == {"normalize": "auto"}


def test_a_variant_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cross_validation.*: there is no variant 'prund', did you mean 'pruned'"):
        planned(tmp_path, folds=2, variants=["prund"])


def test_a_model_that_was_trained_before_is_refused_unless_the_variant_trains_it_further(tmp_path: Path) -> None:
    tuned = use(msgspec.structs.replace(PRUNE, trains_like="prune"))
    found = validated({"plain": (use(PACK),), "tuned": (tuned, use(PACK))}, folds=2)
    brought = Use(msgspec.structs.replace(TRAINER, name="brings", takes_model=False, learns=False))
    config = training(found, train=brought)
    told = refused(lambda: build_plan(config, plugins_of(tmp_path)))
    assert "[tool.modelyard.cross_validation]: no fold trains 'plain': the trainer 'brings' brings a model" in told
    only = msgspec.structs.replace(config.settings, cross_validation=CrossValidation(folds=2, variants=["tuned"]))
    plan = build_plan(msgspec.structs.replace(config, settings=only), plugins_of(tmp_path))
    assert "evaluate:fold-1.tuned" in ids(plan, "evaluate")


def test_too_many_are_told(tmp_path: Path) -> None:
    chains = {f"v{number}": (use(PACK),) for number in range(11)}
    with pytest.raises(PlanError, match="1,100 variants of all folds are more than 1,024\n  choose some"):
        build_plan(validated(chains, folds=100), plugins_of(tmp_path))


def test_gates_over_folds_are_there_if_every_variant_is_measured() -> None:
    assert "folds_accuracy" in {one.name for one in validated(folds=2).quantities}
    assert "folds_accuracy" not in {one.name for one in validated(folds=2, variants=["plain"]).quantities}
