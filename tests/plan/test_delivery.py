"""The stages between selected models and what runs them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.plans import PACK, TASK, component, config, ids, plugins_of, several, use

from modelyard.component import Use
from modelyard.config.config import Config, PackedModel
from modelyard.plan.planner import build_plan
from modelyard.stage import Input
from modelyard.stage_settings import CheckedModel, CheckSettings, ImageSettings, ModelName, by_name

VARIANTS = {"plain": (use(PACK),)}
TIDY = Use(component("handler", "tidy"), {})


def packed() -> Config:
    """Return two pipelines, the second with a handler, whose models are in one image."""
    first = several(VARIANTS, "left", "right", targets={})
    (right,) = first.others
    left = msgspec.structs.replace(first, packed_in=("shop",), others=())
    right = msgspec.structs.replace(right, packed_in=("shop",), before=(TIDY,))
    models = (PackedModel(left, "left", 1), PackedModel(right, "left", 2))
    image = msgspec.structs.replace(config({}, name="shop", pipeline="shop", models=models), trainings={})
    return msgspec.structs.replace(left, others=(right, image))


def test_one_image_reads_the_models_of_several_pipelines_each_in_a_role_of_its_own(tmp_path: Path) -> None:
    plan = build_plan(packed(), plugins_of(tmp_path))
    assert ids(plan, "image", "check", "render") == ["image:shop", "check:shop", "render:shop.staging"]
    image = plan.stages["image:shop"]
    assert image.inputs == (
        Input("model:left.1", "select:left", "model"),
        Input("model:left.2", "select:right", "model"),
    )
    assert image.settings_as(ImageSettings).models == {
        "left.1": ModelName(name="left", version=1),
        "left.2": ModelName(name="left", version=2),
    }
    assert image.settings_as(ImageSettings).repository == "shop"
    assert image.uses["before:1:left.2"] is TIDY
    render = plan.stages["render:shop.staging"]
    assert [one.role for one in render.inputs] == ["image", "model:left.1", "model:left.2", "check"]
    assert render.pipeline == "shop"


def test_the_check_asks_each_model_as_its_pipeline_says(tmp_path: Path) -> None:
    check = build_plan(packed(), plugins_of(tmp_path)).stages["check:shop"]
    assert [one.role for one in check.inputs][:4] == ["image", "model:left.1", "reference:left.1", "dataset:left.1"]
    models = check.settings_as(CheckSettings).models
    assert models["left.2"] == CheckedModel(name="left", version=2, samples=32, tolerance=1e-4)
    assert {"samples", "tolerance"}.isdisjoint(by_name(check.settings))
    assert check.uses["task:left.1"].component is check.uses["task:left.2"].component is TASK


def test_an_image_of_one_pipeline_names_no_model(tmp_path: Path) -> None:
    plan = build_plan(config(VARIANTS), plugins_of(tmp_path))
    assert [one.role for one in plan.stages["check:shop"].inputs] == ["image", "model", "reference", "dataset"]
    assert all("models" not in by_name(stage.settings) for stage in plan.stages.values())


def test_the_road_of_a_pipeline_ends_in_the_images_that_its_model_is_in(tmp_path: Path) -> None:
    plan = build_plan(packed(), plugins_of(tmp_path))
    left, right = plan.roads
    assert {stage.pipeline for stage in left.stages.values()} == {"left", "shop"}
    assert {stage.pipeline for stage in right.stages.values()} == {"right", "shop"}
    assert [one.config.name for one in plan.pipelines] == ["left", "right", "shop"]
