"""`[tool.modelyard.images]`: which pipelines' models an image serves, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.errors import ConfigError

LEFT, RIGHT = "tool.modelyard.pipelines.left", "tool.modelyard.pipelines.right"
SHOP = "tool.modelyard.images.shop"
BOTH = {LEFT: "", RIGHT: "", SHOP: 'models = ["left", "right"]'}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return Load(tmp_path / "project")


def test_an_image_has_the_models_of_its_pipelines_which_then_have_none(load: Load) -> None:
    tables = BOTH | {
        "tool.modelyard.targets.cluster": "replicas = 3",
        "tool.modelyard.pipelines.alone": "",
        SHOP: 'models = ["left", { pipeline = "right", name = "left", version = 2 }]\nserve = { port = 8090 }',
    }
    left, right, alone, shop = load(tables).pipelines
    assert [(one.name, one.version, one.config.name) for one in shop.models] == [
        ("left", 1, "left"),
        ("left", 2, "right"),
    ]
    assert (left.packed_in, right.packed_in, alone.packed_in) == (("shop",), ("shop",), ())
    assert (shop.name, shop.pipeline, shop.version, shop.settings.serve.port) == ("shop", "shop", "2.1", 8090)
    assert (left.targets, right.targets, list(alone.targets), list(shop.targets)) == ({}, {}, ["cluster"], ["cluster"])
    assert load(tables).target_names == {"alone.cluster", "shop.cluster"}


def test_a_model_may_be_in_several_images_and_an_image_may_have_but_one(load: Load) -> None:
    tables = BOTH | {"tool.modelyard.images.small": 'models = ["left"]'}
    left, right, *images = load(tables).pipelines
    assert (left.packed_in, right.packed_in) == (("shop", "small"), ("shop",))
    assert [(one.name, len(one.models)) for one in images] == [("shop", 2), ("small", 1)]


def test_what_builds_an_image_is_looked_at_for_the_image_and_for_none_of_its_models(load: Load, tmp_path: Path) -> None:
    tables = BOTH | {
        "tool.modelyard.runtime": 'use = "tensorflow-serving"',
        "tool.modelyard.variants": 'served = ["saved-model"]',
    }
    with pytest.raises(ConfigError, match="base_image") as caught:
        load(tables)
    assert "[tool.modelyard.images.shop.image]: key 'base_image' is missing" in str(caught.value)
    (tmp_path / "project" / "base.tar").write_bytes(b"")
    *_, shop = load(tables | {"tool.modelyard.image": 'use = "oci"\nbase_image = "base.tar"'}).pipelines
    assert str(shop.uses["image"].params["base_image"]).endswith("base.tar")


def test_the_command_line_and_a_profile_say_what_an_image_does(load: Load) -> None:
    def ports(**overrides: str) -> list[int]:
        tables = BOTH | {"tool.modelyard.profiles.other.images.shop.serve": "port = 7000"}
        return [one.settings.serve.port for one in load(tables, **overrides).pipelines if one.models]

    assert ports() == [8080]
    assert ports(serve__port="9000") == [9000]
    assert ports(images__shop__serve__port="9001") == [9001]
    assert ports(profile="other") == [7000]


@pytest.mark.parametrize(
    ("tables", "parts"),
    [
        ({SHOP: 'models = ["left", "rihgt"]'}, ["[tool.modelyard.images.shop]: there is no pipeline 'rihgt', did you mean 'right'?"]),
        ({SHOP: "models = [3]"}, ["3 is not a model", "write a pipeline's name, or { pipeline ="]),
        ({SHOP: "models = []"}, ["key 'models': [] is not allowed", 'for instance models = ["left", "right"]']),
        ({SHOP: ""}, ["key 'models' is missing"]),
        ({SHOP: 'models = ["left", "left"]'}, ["version 1 of 'left' is there twice"]),
        ({SHOP: 'models = [{ pipeline = "left", version = 0 }]'}, ["key 'version': 0 is not allowed"]),
        ({SHOP: 'models = [{ pipeline = "left", verison = 2 }]'}, ["unknown key 'verison', did you mean 'version'?"]),
        ({SHOP: 'models = ["left"]\ntraget = {}'}, ["unknown key 'traget', did you mean 'targets'?"]),
        ({SHOP: 'models = ["left"]\ncheck = { samples = 3 }'}, ["key 'samples' concerns one model, not the image"]),
        ({SHOP: 'models = ["left"]\ncheck = { smaples = 3 }'}, ["[tool.modelyard.images.shop.check]: unknown key 'smaples'"]),
        ({"tool.modelyard": "images = 3"}, ["3 is not a table", "write [tool.modelyard.images.NAME]"]),
        ({"tool.modelyard.images": "shop = 3"}, ["[tool.modelyard.images.shop]: 3 is not a table"]),
        ({"tool.modelyard.images.left": 'models = ["left"]'}, ["there is a pipeline 'left', too"]),
        ({"tool.modelyard.images.Sh_op": 'models = ["left"]'}, ["key 'Sh_op': 'Sh_op' is not allowed"]),
        ({LEFT: "targets = { cluster = {} }"}, ["key 'targets' means nothing: the model is in the image 'shop'", "write it in [tool.modelyard.images.shop.targets]"]),
        ({LEFT: 'events = { use = "x" }'}, ["key 'events' means nothing", "or give the pipeline an image of its own"]),
        ({LEFT: "images = {}"}, ["key 'images' is the project's", "write it in [tool.modelyard.images]"]),
        ({"tool.modelyard.events": 'use = "x"'}, ["a server of several models answers no events of a broker"]),
        ({LEFT: None, RIGHT: None}, ["there is no pipeline 'left'", "pipelines: none; write [tool.modelyard.pipelines.left]"]),
        ({"tool.modelyard.image": 'repository = "a"\ntag = "1"', "tool.modelyard.pipelines.alone": ""}, ["the images of 'alone' and 'shop' are both called a:1"]),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(load: Load, tables: dict[str, str | None], parts: list[str]) -> None:
    is_another = "images" in " ".join((*tables, *filter(None, tables.values())))
    message = load.refused({name: text for name, text in BOTH.items() if not (is_another and name == SHOP)} | tables)
    for part in parts:
        assert part in message


def test_a_misspelt_image_of_the_command_line_is_told(load: Load) -> None:
    assert "there is no image 'shp', did you mean 'shop'?" in load.refused(BOTH, images__shp__serve__port="1")
