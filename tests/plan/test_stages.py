"""A stage made from the configuration, without a plan around it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.plans import PACK, PRUNE, SOURCE, TRAINER, config, nothing, refused, use

from modelyard.component import Component, Use
from modelyard.kinds import BUILT_IN, Kind
from modelyard.plan.stages import new_stage, typed_settings, with_typed_settings, without
from modelyard.stage import Input, Stage
from modelyard.stage_settings import DatasetSettings, TrainSettings


class Message(msgspec.Struct, frozen=True):
    about: str
    copies: int = 1


NOTIFY = Kind(name="notify", title="", doc="", runner="", settings=Message)
PLAIN = Kind(name="plain", title="", doc="", runner="")


def made(kind: str, seed: int | None = None, **changes: Any) -> Stage:
    uses = {"train": use(Component("trainer", "fit", nothing, SOURCE, resources=("gpu", "license")))}
    return new_stage(
        BUILT_IN[kind], "one", uses, TrainSettings(), [Input("d", "dataset:data")], config({}, **changes), seed
    )


def test_a_kind_that_draws_has_the_projects_seed_or_its_own_and_no_other_has_one() -> None:
    assert (made("train").seed, made("train", seed=0).seed) == (3, 0)
    assert made("select").seed is made("select", seed=4).seed is None


def test_it_computes_with_the_projects_threads_and_with_its_instructions_where_it_computes() -> None:
    assert (made("train", isa="avx2").threads, made("train", isa="avx2").isa) == (2, "avx2")
    assert made("image", isa="avx2").isa is None


def test_it_holds_the_resources_of_its_kind_and_of_its_components_that_the_project_counts() -> None:
    counted = {"license": 1, "select": 2, "train": 1, "cpu": 1}
    assert made("train", resources=counted).resources == ("license", "train")
    assert made("select", resources=counted).resources == ("license", "select")
    assert made("train").resources == ()


def test_it_is_of_its_pipeline_and_has_the_row_that_a_plugin_registered() -> None:
    one = made("train", pipeline="left")
    assert (one.pipeline, one.id, one.inputs, one.registered) == (
        "left",
        "train:one",
        (Input("d", "dataset:data"),),
        None,
    )
    own = new_stage(NOTIFY, "all", {}, Message("x"), [], config({}))
    assert own.registered is own.row is NOTIFY


@pytest.mark.parametrize(
    ("settings", "found"),
    [({"about": "all"}, Message("all")), ({"about": "all", "copies": 2}, Message("all", 2))],
)
def test_settings_by_name_are_the_struct_that_the_kind_names(settings: dict[str, Any], found: Message) -> None:
    assert typed_settings(settings, NOTIFY) == found
    assert typed_settings(settings, PLAIN) is settings, "a kind without a struct takes any"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"abuot": "all"}, "it has no 'abuot', did you mean 'about'?"),
        ({"about": "all", "to": "ops"}, "it has no 'to'"),
        ({}, "Object missing required field `about`"),
        ({"about": 3}, "Expected `str`, got `int` - at `$.about`"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_those_that_there_are(settings: dict[str, Any], said: str) -> None:
    assert (
        refused(lambda: typed_settings(settings, NOTIFY)) == f"{said}\n  settings of the kind 'notify': about, copies"
    )


def test_a_stage_that_a_plugin_made_has_the_struct_afterwards() -> None:
    given = Stage("notify", "all", settings={"about": "all"}, registered=NOTIFY)
    assert with_typed_settings(given).settings == Message("all")
    for fitting in (made("train"), Stage("plain", "all", settings={"a": 1}, registered=PLAIN)):
        assert with_typed_settings(fitting) is fitting
    other = Stage("notify", "all", settings=Message("all", 3), registered=NOTIFY)
    assert with_typed_settings(other) is other


def test_a_stage_with_the_settings_of_another_kind_is_told_with_its_place() -> None:
    wrong = Stage("train", "net", settings=DatasetSettings(normalize="auto"), made_at="plugins/a.py:3")
    told = refused(lambda: with_typed_settings(wrong))
    assert told.startswith("plugins/a.py:3: the settings of the stage 'train:net' do not fit: it has no 'normalize'")
    assert "\n  settings of the kind 'train': loss_weights, signature" in told
    unplaced = msgspec.structs.replace(wrong, made_at="")
    assert refused(lambda: with_typed_settings(unplaced)).startswith("the settings of the stage")


def test_parameters_that_concern_something_else_are_left_out() -> None:
    one = use(PRUNE, amount=0.7)
    assert without(one, ("note", "other")) == Use(PRUNE, {"amount": 0.7})
    assert one.params == {"amount": 0.7, "note": ""}, "the configuration keeps them"
    assert without(use(PACK), ()) == use(PACK)
    assert without(use(TRAINER), ["amount", "note"]).params == {}
