"""`[tool.modelyard.pipelines]`: several pipelines in one project, each laid over what the project says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.config.config import Config
from modelyard.plugins.load import load_plugins

LEFT = "tool.modelyard.pipelines.left"
RIGHT = "tool.modelyard.pipelines.right"

OTHER = """\
from modelyard import hookimpl


def other(context, *, passes: int = 1):
    pass


@hookimpl
def modelyard_register_trainers(register):
    register("other", other, produces="raw")
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return Load(tmp_path / "project")


def epochs(config: Config) -> dict[str, object]:
    return {one.name: one.training.uses["train"].params["epochs"] for one in config.pipelines}


def test_a_project_that_names_none_is_one_pipeline_without_a_name(load: Load) -> None:
    config = load()
    assert config.pipelines == (config,)
    assert (config.pipeline, config.name, config.project_name) == ("", "some-project", "some-project")
    assert config.called("int8") == "int8"
    assert load({"tool.modelyard.pipelines": ""}).pipeline == ""


def test_each_has_what_the_project_says_and_what_it_says_itself(load: Load) -> None:
    config = load(
        {
            LEFT: "",
            RIGHT: 'seed = 9\ndataset = { samples = 20 }\nvariants = { again = ["pack"] }\nversion = "3"',
            f"{RIGHT}.train": "epochs = 8",
        }
    )
    left, right = config.pipelines
    assert [(one.pipeline, one.name, one.project_name, one.version) for one in (left, right)] == [
        ("left", "left", "some-project", "2.1"),
        ("right", "right", "some-project", "3"),
    ]
    assert (left.seed, right.seed) == (7, 9)
    assert (left.uses["dataset"].params["samples"], right.uses["dataset"].params["samples"]) == (10, 20)
    assert (left.measured, right.measured) == (("plain", "pruned"), ("plain", "pruned", "again"))
    assert epochs(config) == {"left": 3, "right": 8}
    assert config.of("right") is right
    assert config.of("of no pipeline") is config
    assert right.called("plain") == "right.plain"


def test_what_the_project_lacks_a_pipeline_may_bring(load: Load) -> None:
    config = load({"tool.modelyard.dataset": None, LEFT: 'dataset.use = "data"', f"{LEFT}.targets.cluster": ""})
    assert config.uses["dataset"].component.name == "data"
    assert config.target_names == {"left.cluster"}


def test_a_pipeline_may_have_trainings_and_a_profile_may_change_it(load: Load) -> None:
    tables = {
        LEFT: "train = { epochs = 4 }",
        f"{RIGHT}.trainings.long": "train = { epochs = 30 }",
        "tool.modelyard.profiles.quick": "train.epochs = 2",
        "tool.modelyard.profiles.short.pipelines.left.train": "epochs = 1",
        "tool.modelyard.profiles.short.pipelines.left.targets.cluster": "",
    }
    assert epochs(load(tables)) == {"left": 4, "right": 30}
    assert load(tables).pipelines[1].measured == ("long.plain", "long.pruned")
    assert epochs(load(tables, profile="short")) == {"left": 1, "right": 30}
    assert epochs(load(tables, profile="quick"))["left"] == 4, "what it says itself stands above the project's"
    assert load(tables).target_names == {"left.cluster"}


def test_the_command_line_sets_all_of_them_or_one(load: Load) -> None:
    tables = {LEFT: "train = { epochs = 4 }", RIGHT: ""}
    assert epochs(load(tables, train__epochs="6")) == {"left": 6, "right": 6}
    assert epochs(load(tables, pipelines__right__train__epochs="6")) == {"left": 4, "right": 6}
    both = load(tables, pipelines__right__train__epochs="6", train__epochs="5")
    assert epochs(both) == {"left": 5, "right": 6}
    assert [one.seed for one in load({LEFT: "seed = 1", RIGHT: ""}, seed="2").pipelines] == [2, 2]


def test_what_the_command_line_sets_of_one_component_means_nothing_to_another(load: Load) -> None:
    (load.project / "plugins" / "other.py").write_text(OTHER)
    load.plugins = load_plugins(load.project)
    config = load({LEFT: "", f"{RIGHT}.train": 'use = "other"\npasses = 2'}, train__epochs="6")
    assert [one.training.uses["train"].params for one in config.pipelines] == [
        {"epochs": 6, "rate": 0.1},
        {"passes": 2},
    ]


@pytest.mark.parametrize(
    ("tables", "overrides", "parts"),
    [
        ({LEFT: "train = { epocs = 4 }"}, {}, ["[tool.modelyard.pipelines.left.train]: unknown key 'epocs'"]),
        (
            {LEFT: "", "tool.modelyard.train": 'use = "trainer"\nepochs = 0'},
            {},
            ["[tool.modelyard.train]: key 'epochs': 0 is not allowed", "in the pipeline 'left'"],
        ),
        ({LEFT: 'name = "x"'}, {}, ["key 'name' is the project's", "called as its table is"]),
        ({LEFT: 'store = { path = "x" }'}, {}, ["key 'store' is the project's", "write it in [tool.modelyard.store]"]),
        ({LEFT: "pipelines = {}"}, {}, ["key 'pipelines' is the project's", "write it in [tool.modelyard]"]),
        ({LEFT: "trian = {}"}, {}, ["unknown key 'trian', did you mean 'train'?"]),
        ({"tool.modelyard": "pipelines = 3"}, {}, ["3 is not a table", "write [tool.modelyard.pipelines.NAME]"]),
        ({"tool.modelyard.pipelines": "left = 3"}, {}, ["[tool.modelyard.pipelines.left]: 3 is not a table"]),
        ({"tool.modelyard.pipelines.Le_ft": ""}, {}, ["key 'Le_ft': 'Le_ft' is not allowed", "1 to 52 lower-case"]),
        ({"tool.modelyard.pipelines.'a.b'": ""}, {}, ["'a.b' is not allowed"]),
        ({LEFT: ""}, {"pipelines.lefd.seed": "1"}, ["there is no pipeline 'lefd', did you mean 'left'?"]),
        (
            {LEFT: ""},
            {"pipelines.left.train.epochs": "0"},
            ["command line: pipelines.left.train.epochs=0: key 'epochs': 0 is not allowed"],
        ),
        ({LEFT: ""}, {"train.epochs": "0"}, ["command line: train.epochs=0: key 'epochs': 0 is not allowed"]),
        (
            {LEFT: "", RIGHT: "", "tool.modelyard.image": 'repository = "shop/net"\ntag = "1"'},
            {},
            ["[tool.modelyard.image]: the images of 'left' and 'right' are both called shop/net:1"],
        ),
        (
            {LEFT: "", "tool.modelyard.profiles.bad.pipelines.left.train": "epochs = 0"},
            {},
            ["[tool.modelyard.profiles.bad.pipelines.left.train]: key 'epochs'", "in the profile 'bad'"],
        ),
    ],
)
def test_mistakes_are_told_with_their_place(
    load: Load, tables: dict[str, str], overrides: dict[str, str], parts: list[str]
) -> None:
    message = load.refused(tables, **overrides)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("wrong", ["train = { epocs = 4 }", "trian = {}", 'train = { use = "trainr" }'])
def test_where_a_table_names_the_pipeline_no_further_line_does(load: Load, wrong: str) -> None:
    message = load.refused({LEFT: "", RIGHT: wrong})
    assert "[tool.modelyard.pipelines.right" in message
    assert "in the pipeline" not in message
