"""What is known of a build without numpy, of results that nothing ran."""

from __future__ import annotations

import msgspec
import pytest

from modelyard.build.state import BuildState
from modelyard.explain.provenance import builder
from modelyard.plan.planner import Plan
from modelyard.project.last_build import Journal
from modelyard.report.collect import Collected, collect
from modelyard.report.facts import StageFacts
from modelyard.stage import Input
from modelyard.stage_settings import Lineage, SelectSettings
from tests.conftest import OpenToy
from tests.report.conftest import Make
from tests.results import STARTED, leave

DATA, TRAIN, PLAIN, EVALUATE = "dataset:points", "train:model.build", "optimize:plain", "evaluate:plain"


@pytest.fixture
def state(open_toy: OpenToy) -> BuildState:
    return open_toy()


def collected(state: BuildState, plan: Plan | None = None) -> Collected:
    """Return what is collected, as the process that renders reads it."""
    made = collect(state, plan or state.plan, state.project.folder / "report")
    assert msgspec.json.decode(msgspec.json.encode(made), type=Collected) == made
    return made


def stage(made: Collected, name: str) -> StageFacts:
    return next(one for one in made.stages if one.stage == name)


def test_a_project_that_was_never_built_has_all_its_stages_and_nothing_of_them(state: BuildState) -> None:
    made = collected(state)
    assert (made.project.name, made.project.version, made.project.commit, made.project.clean) == (
        "toy",
        "1.0",
        "",
        None,
    )
    assert [one.stage for one in made.stages] == list(state.plan.stages)
    assert {(one.state, one.how, one.digest, one.duration_s) for one in made.stages} == {("missing", "", "", None)}
    assert stage(made, EVALUATE).reads == (PLAIN, DATA)
    assert stage(made, DATA).reasons == ("there is no artifact",)
    assert (made.artifacts, made.origins, made.folds, made.own_gates, made.packed_as) == ({}, (), {}, {}, "")
    assert (made.dataset, made.selection, made.image) == (DATA, "select:toy", "image:toy")
    assert (made.select.rule, made.select.gates["min_accuracy"]) == ("smallest", 0.5)
    assert [one.name for one in made.quantities][:2] == ["accuracy", "size"]
    assert made.builder == builder()


def test_a_variant_has_the_steps_of_its_chain_with_what_is_not_the_default(state: BuildState) -> None:
    variants = collected(state).variants
    assert {name: one.steps for name, one in variants.items()} == {
        "plain": ("pack",),
        "rounded": ("round decimals=1", "pack"),
        "coarse": ("round decimals=1", "scale factor=2", "pack"),
    }
    assert [(one.stage, one.data) for one in variants.values()] == [(f"evaluate:{name}", "") for name in variants]


def test_what_is_built_is_told_with_its_folder_and_what_it_was_made_of(state: BuildState) -> None:
    data, train = leave(state, DATA), leave(state, TRAIN)
    leave(state, PLAIN)
    leave(state, EVALUATE)
    made = collected(state)
    assert list(made.artifacts) == [DATA, TRAIN, PLAIN, EVALUATE]
    assert made.artifacts[TRAIN] == str(state.project.folder / "artifacts/train/model.build")
    assert stage(made, TRAIN) == StageFacts(
        stage=TRAIN,
        state="up-to-date",
        how="built",
        touched=False,
        started=STARTED,
        duration_s=2.5,
        digest=train.digest,
        reads=(DATA,),
    )
    assert {name: one.data for name, one in made.variants.items()} == {
        "plain": data.digest,
        "rounded": "",
        "coarse": "",
    }
    origin = next(one for one in made.origins if one.stage == TRAIN)
    assert (origin.key, origin.digest, origin.parameters["trainer.passes"]) == (train.key, train.digest, 1)


def test_how_an_artifact_came_is_what_the_history_says_of_its_key(state: BuildState, open_toy: OpenToy) -> None:
    leave(state, DATA)
    leave(state, TRAIN, how="restored")
    assert [stage(collected(state), name).how for name in (DATA, TRAIN)] == ["built", "restored"]
    (state.workspace.state / "history/train/model.build.jsonl").unlink()
    assert stage(collected(state), TRAIN).how == "built"
    later = open_toy({"train.passes": "2"})
    assert (stage(collected(later), TRAIN).state, stage(collected(later), TRAIN).reasons) == (
        "stale",
        ("parameter passes of the trainer: 1 -> 2",),
    )


def test_this_run_says_what_it_touched_or_else_the_last_one_does(state: BuildState) -> None:
    leave(state, DATA)
    failed = Journal(outcomes={DATA: "fresh"}, failures={TRAIN: "no memory\nmore", DATA: "of before"})
    failed.write(state.workspace.journal_file)
    made = collected(state)
    assert (stage(made, DATA).touched, stage(made, DATA).failure) == (False, "")
    assert stage(made, TRAIN).failure == "no memory\nmore"
    state.journal.outcomes[DATA] = "built"
    made = collected(state)
    assert (stage(made, DATA).touched, stage(made, TRAIN).failure) == (True, "")


def test_without_a_stage_that_selects_the_first_variant_is_the_baseline_and_no_gate_is_set(state: BuildState) -> None:
    kept = {
        name: one for name, one in state.plan.stages.items() if one.kind in ("dataset", "train", "optimize", "evaluate")
    }
    made = collected(state, Plan(state.plan.config, kept))
    assert (made.selection, made.image, made.select.rule, made.select.gates) == ("", "", "", {})
    assert (made.select.baseline, list(made.variants)) == ("plain", ["plain", "rounded", "coarse"])


def test_the_model_among_several_of_an_image_is_called_by_its_role(state: BuildState) -> None:
    image = state.plan.stages["image:toy"]
    several = msgspec.structs.replace(image, inputs=(Input("model:digits.2", "select:toy", "model"),))
    plan = Plan(state.plan.config, {**state.plan.stages, image.id: several})
    assert collected(state, plan).packed_as == "digits.2."


def test_the_gates_of_plugins_and_the_folds_that_are_done_are_told(state: BuildState) -> None:
    select = state.plan.stages["select:toy"]
    own = state.plan.stages[TRAIN].uses["trainer"]
    folds = tuple(Input(f"fold:{number}:plain", f"evaluate:{name}") for number, name in enumerate(("plain", "rounded")))
    more = msgspec.structs.replace(select, uses={"gate:no-worse": own}, inputs=(*select.inputs, *folds))
    plan = Plan(state.plan.config, {**state.plan.stages, select.id: more})
    for name in (DATA, TRAIN, PLAIN, EVALUATE):
        leave(state, name)
    made = collected(state, plan)
    assert [(name, one.component, one.params) for name, one in made.own_gates.items()] == [
        ("no-worse", "centroids", {"passes": 1})
    ]
    assert made.folds == {}, "one of the two is not there"
    for name in ("optimize:round", "optimize:rounded", "evaluate:rounded"):
        leave(state, name)
    folder = state.workspace.artifacts / "evaluate"
    assert collected(state, plan).folds == {
        "plain": {"fold-0": str(folder / "plain"), "fold-1": str(folder / "rounded")}
    }


def test_a_variant_is_compared_with_the_baseline_of_its_own_training(make: Make) -> None:
    made = make(built=(), lineages={"v2": Lineage("net", "v1")})
    assert isinstance(made.select, SelectSettings)
    assert [made.baseline_of(name) for name in ("v1", "v2")] == ["v0", "v1"]
