"""Several trainings in one plan: stages of each, one selection over all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.plans import PACK, PRUNE, TRAINER, UNPACK, component, config, ids, plugins_of, refused, training, use

from modelyard import hookimpl
from modelyard.component import Component, Source, Use
from modelyard.config.config import Config
from modelyard.config.training import Training
from modelyard.plan.planner import build_plan
from modelyard.plugins.load import Plugins
from modelyard.stage import CLASSES_ROLE
from modelyard.stage_settings import Lineage, SelectSettings, by_name


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    return plugins_of(tmp_path)


def several(found: Config, **seeds: int) -> Config:
    """Return a configuration whose trainings differ in their seeds."""
    only = found.training
    trainings = {
        name: Training(uses=only.uses, variants=only.variants, where=only.where, name=name, seed=seed, over_seeds="net")
        for name, seed in seeds.items()
    }
    return msgspec.structs.replace(found, trainings=trainings)


CHAINS = {"plain": (use(PACK),), "pruned": (use(PRUNE), use(PACK))}


def test_each_has_its_stages_and_all_have_one_data_set_and_one_selection(plugins: Plugins) -> None:
    plan = build_plan(several(config(CHAINS), a=1, b=2), plugins)
    assert ids(plan, "dataset", "train", "select") == ["dataset:data", "train:a", "train:b", "select:shop"]
    assert ids(plan, "evaluate") == ["evaluate:a.plain", "evaluate:a.pruned", "evaluate:b.plain", "evaluate:b.pruned"]
    assert ids(plan, "optimize") == [
        f"optimize:{name}.{step}" for name in "ab" for step in ("plain", "prune", "pruned")
    ]


def test_the_seed_is_that_of_the_training_and_its_variants_and_not_of_the_data(plugins: Plugins) -> None:
    plan = build_plan(several(config(CHAINS), a=1, b=2), plugins)
    seeds = {stage.id: stage.seed for stage in plan.stages.values() if stage.seed is not None}
    assert {name: seed for name, seed in seeds.items() if ":b" in name} == {
        "train:b": 2, "optimize:b.plain": 2, "optimize:b.prune": 2, "optimize:b.pruned": 2,
    }  # fmt: skip
    assert seeds["dataset:data"] == 3


def test_a_variant_is_measured_and_judged_against_the_baseline_of_its_own_training(plugins: Plugins) -> None:
    plan = build_plan(several(config(CHAINS), a=1, b=2), plugins)
    baseline = [one.stage for one in plan.stages["evaluate:b.pruned"].inputs if one.role == "baseline"]
    assert baseline == ["optimize:b.plain"]
    settings = plan.stages["select:shop"].settings_as(SelectSettings)
    assert settings.baseline == "a.plain"
    assert settings.lineages["b.pruned"] == Lineage("b", "b.plain", "net.pruned")


def test_a_project_with_one_is_planned_as_it_ever_was(plugins: Plugins) -> None:
    plan = build_plan(config(CHAINS), plugins)
    assert ids(plan) == [
        "dataset:data", "train:net", "optimize:plain", "optimize:prune", "optimize:pruned", "evaluate:plain",
        "evaluate:pruned", "select:shop", "image:shop", "check:shop", "render:staging",
    ]  # fmt: skip
    assert "lineages" not in by_name(plan.stages["select:shop"].settings)
    assert {stage.seed for stage in plan.stages.values()} == {None, 3}


@pytest.mark.parametrize(
    ("format_name", "origin", "steps"),
    [
        ("raw", "project", {"optimize:plain", "optimize:again"}),
        ("packed", "project", {"optimize:pack-unpack"}),
        ("raw", "built-in", set()),
        ("", "project", set()),
    ],
)
def test_a_step_that_reads_files_with_classes_in_them_stands_on_the_module_of_the_projects_own_model(
    plugins: Plugins, format_name: str, origin: str, steps: set[str]
) -> None:
    plugins.manager.register(Formats(format_name))
    model = Component("model", "net", build, Source("net", origin, Path("net.py")), produces="raw")
    chains = {"plain": (use(PACK),), "again": (use(PACK), use(UNPACK), use(PACK))}
    plan = build_plan(training(config(chains), model=Use(model)), plugins)
    assert {stage.id for stage in plan.stages.values() if CLASSES_ROLE in stage.uses} == steps


class Formats:
    """A plugin with a format whose files name classes."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def modelyard_formats_with_classes(self) -> list[str]:
        """Return the one format, if there is one."""
        return [self.name] if self.name else []


def build(input_shape: object, classes: object) -> None:
    """Build nothing."""


def test_each_is_compared_with_its_own_baseline_that_was_trained_as_long(plugins: Plugins) -> None:
    tuned = msgspec.structs.replace(component("optimizer", "tune", ("raw",), "raw"), trains_like="tune")
    known = {**plugins.components, ("optimizer", "tune"): tuned}
    found = config({"plain": (use(PACK),), "tuned": (use(tuned), use(PRUNE), use(PACK))})
    found.settings.gates["max_accuracy_drop"] = 0.1
    plan = build_plan(several(found, a=1, b=2), Plugins(plugins.manager, known, sources=plugins.sources))
    settings = plan.stages["select:shop"].settings_as(SelectSettings)
    assert settings.trained_alike == {"a.tuned": "a.plain-tune", "b.tuned": "b.plain-tune"}
    assert settings.controls == ["a.plain-tune", "b.plain-tune"]
    assert "evaluate:b.plain-tune" in plan.stages


def test_a_variant_that_one_cannot_have_is_named_with_the_training_and_the_way_out(plugins: Plugins) -> None:
    found = several(config(CHAINS), a=1, b=2)
    other = Use(msgspec.structs.replace(TRAINER, produces="other"))
    b = found.trainings["b"]
    uses = {"train": other}
    wrong = msgspec.structs.replace(found, trainings={**found.trainings, "b": msgspec.structs.replace(b, uses=uses)})
    told = refused(lambda: build_plan(wrong, plugins))
    assert "plain of the training 'b': the trainer gives other, but pack takes raw" in told
    assert told.endswith("or say with `variants` which ones the training has")


def test_a_baseline_that_one_training_lacks_is_refused(plugins: Plugins) -> None:
    found = several(config(CHAINS), a=1, b=2)
    found.settings.select.baseline = "pruned"
    b = msgspec.structs.replace(found.trainings["b"], variants=("plain",))
    told = refused(lambda: build_plan(msgspec.structs.replace(found, trainings={**found.trainings, "b": b}), plugins))
    assert "key 'baseline': 'pruned' is no variant of the training 'b'\n  allowed: plain" in told


def test_a_name_that_two_trainings_give_a_variant_is_refused_with_both(plugins: Plugins) -> None:
    """`a` with `b.plain`, and `a.b` with `plain`."""
    found = several(config({"plain": (use(PACK),), "b.plain": (use(PACK),)}), **{"a": 1, "a.b": 2})
    told = refused(lambda: build_plan(found, plugins))
    assert "'plain' of the training 'a.b' is called 'a.b.plain', and so is 'b.plain' of the training 'a'\n" in told
    assert told.endswith("give a training or a variant another name")
