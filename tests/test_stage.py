"""A stage: its names and places, and what two processes must see alike of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.component import Component
from modelyard.kinds import BUILT_IN, Kind
from modelyard.stage import Input, Stage, outline
from modelyard.stage_settings import OptimizeSettings, TrainSettings
from tests.plans import PRUNE, SOURCE, TRAINER, nothing, use

STEP = Stage(
    "optimize",
    "net.small",
    uses={"optimizer": use(PRUNE)},
    settings=OptimizeSettings(),
    inputs=(Input("model", "train:net"),),
    seed=3,
    pipeline="net",
)


def changed(**fields: Any) -> Stage:
    return msgspec.structs.replace(STEP, **fields)


def test_a_stage_is_named_by_its_kind_and_lies_in_a_folder_of_its_name() -> None:
    assert (STEP.id, STEP.place) == ("optimize:net.small", "artifacts/optimize/net.small")
    assert STEP.row is BUILT_IN["optimize"]


@pytest.mark.parametrize(
    ("pipeline", "name", "own"), [("net", "net.small", "small"), ("", "net.small", "net.small"), ("net", "net", "net")]
)
def test_its_own_name_is_without_its_pipeline(pipeline: str, name: str, own: str) -> None:
    assert changed(pipeline=pipeline, name=name).own_name == own


def test_doit_sees_an_artifact_as_the_file_that_stands_for_it() -> None:
    select = Stage("select", "shop")
    assert select.handle() == "artifacts/select/shop/stage.json"
    parts = BUILT_IN["select"].parts
    assert parts, "a later stage may depend on the selected model alone"
    assert [select.handle(part) for part in parts] == [f"artifacts/select/shop/{file}" for file in parts.values()]
    assert select.handle("other/file.bin") == "artifacts/select/shop/other/file.bin"


def test_a_row_of_a_plugin_s_comes_before_the_table() -> None:
    row = Kind(name="note", title="", doc="note {name}", runner="modelyard.stages.registered")
    stage = Stage("note", "shop", registered=row)
    assert stage.row is row
    assert stage.doc == "note shop"
    with pytest.raises(KeyError, match="note"):
        _ = Stage("note", "shop").row


def test_settings_are_what_the_row_of_the_kind_says() -> None:
    assert STEP.settings_as(OptimizeSettings) is STEP.settings
    with pytest.raises(AssertionError, match=r"optimize:net\.small has OptimizeSettings, not TrainSettings"):
        STEP.settings_as(TrainSettings)


def test_the_first_component_says_whether_it_gives_the_same_bytes_on_an_accelerator() -> None:
    steady = Component("optimizer", "steady", nothing, SOURCE, deterministic=True)
    assert Stage("select", "shop").is_deterministic, "without a component nothing is drawn"
    assert not STEP.is_deterministic
    assert changed(uses={"optimizer": use(steady), "model": use(TRAINER)}).is_deterministic
    assert not changed(uses={"model": use(TRAINER), "optimizer": use(steady)}).is_deterministic


def test_one_of_many_stages_says_what_it_changes_in_a_line_of_its_list() -> None:
    assert STEP.doc == "Do nothing"
    assert changed(uses={"optimizer": use(PRUNE, amount=0.25)}).doc == "(amount=0.25) Do nothing"
    long = changed(uses={"optimizer": use(PRUNE, amount=0.25, note="a\n  b " + "c" * 80)}).doc
    assert long.startswith("(amount=0.25, note=a b ccc")
    assert long.endswith("c…) Do nothing")
    assert len(long.partition(") ")[0]) == 61


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "train"},
        {"name": "net.other"},
        {"seed": None},
        {"threads": 8},
        {"isa": "x86-64-v3"},
        {"inputs": (Input("model", "train:net", "weights"),)},
        {"settings": OptimizeSettings(loss_weights={"a": 0.5})},
        {"uses": {"optimizer": use(PRUNE, amount=0.25)}},
        {"uses": {"trainer": use(PRUNE)}},
        {"uses": {"optimizer": use(msgspec.structs.replace(PRUNE, environment={"THREADS": "1"}))}},
        {"uses": {"optimizer": use(msgspec.structs.replace(PRUNE, produces="packed"))}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_worker_sees_that_its_stage_is_another(other: dict[str, Any]) -> None:
    assert outline(changed(**other)) != outline(STEP)


@pytest.mark.parametrize(
    "trait",
    [
        {"templates": ("a.j2",)},
        {"server": Path("server")},
        {"requirements": Path("r.txt")},
        {"optional_requirements": {"grpc": Path("g.txt")}},
        {"entrypoint": ("serve",)},
        {"client": Path("client")},
        {"package": Path("package")},
        {"schemes": {"nats": 4222}},
        {"server_environment": {"THREADS": "1"}},
    ],
    ids=lambda trait: next(iter(trait)),
)
def test_what_a_component_is_registered_with_is_of_its_stage(trait: dict[str, Any]) -> None:
    other = changed(uses={"optimizer": use(msgspec.structs.replace(PRUNE, **trait))})
    assert outline(other) != outline(STEP)


def test_a_worker_that_reads_the_same_sees_the_same() -> None:
    again = changed(uses={"optimizer": use(PRUNE, note="", amount=0.5)}, made_at="plugins/x.py:3")
    assert outline(again) == outline(STEP), "neither the order of parameters nor a line of a plugin is of the stage"
