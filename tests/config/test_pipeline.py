"""The tables of one pipeline, read as they are: without a file, profiles, or a command line."""

from __future__ import annotations

from typing import Any

import pytest
from tests.configs import Load

from modelyard.config.config import Config
from modelyard.config.pipeline import PipelineReader
from modelyard.errors import ConfigError
from modelyard.plugins.load import load_plugins
from modelyard.toml.places import ConfigSource

MORE = """\
from modelyard import hookimpl


def bring(context, *, url: str = ""):
    pass


def farm(context, *, nodes: int = 2):
    pass


def tell(context, *, to: str = "ops"):
    pass


@hookimpl
def modelyard_register_trainers(register):
    register("bring", bring, produces="raw", takes_model=False)


@hookimpl
def modelyard_register_executors(register):
    register("farm", farm)


@hookimpl
def modelyard_register_kinds(register):
    register("notify", tell, after="select", plan=lambda context, **_: [], host_bound=True)
    register("mail", tell, after="select", plan=lambda context, **_: [])
"""
RAW: dict[str, Any] = {
    "dataset": {"use": "data"},
    "model": {"use": "net"},
    "train": {"use": "trainer"},
    "runtime": {"use": "runner"},
    "variants": {"plain": ["pack"]},
}


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    made = Load(tmp_path_factory.mktemp("pipeline") / "project")
    (made.project / "plugins" / "more.py").write_text(MORE)
    made.plugins = load_plugins(made.project)
    return made


def read(
    load: Load, source: ConfigSource | None = None, fallback: dict[str, Any] | None = None, **tables: Any
) -> Config:
    raw = {key: value for key, value in {**RAW, **tables}.items() if value is not None}
    return PipelineReader(load.project, load.plugins, raw, fallback or {}, source or ConfigSource()).config()


def refused(load: Load, **tables: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(load, **tables)
    return str(caught.value)


def test_what_no_table_says_is_the_projects_or_a_default(load: Load) -> None:
    bare = read(load)
    assert (bare.name, bare.project_name, bare.version, bare.seed, bare.threads) == ("project", "project", "0", 0, 2)
    assert (bare.isa, bare.executor, bare.events, bare.kinds, bare.signature) == (None, None, None, {}, {})
    assert bare.settings.serve.port == 8080
    named = read(load, fallback={"name": "My.Shop", "version": "3"}, seed=5, isa="avx2", threads=4)
    assert (named.name, named.version, named.seed, named.isa, named.threads) == ("my-shop", "3", 5, "avx2", 4)


def test_a_pipeline_of_several_is_called_as_its_table_and_knows_the_projects_name(load: Load) -> None:
    left = read(load, source=ConfigSource(pipeline="left"), fallback={"name": "shop"})
    assert (left.name, left.pipeline, left.project_name) == ("left", "left", "shop")


def test_each_table_of_names_has_a_component_for_each(load: Load) -> None:
    found = read(
        load,
        executor={"use": "farm", "kinds": ["train", "notify"], "nodes": 3},
        targets={"cluster": {"replicas": 2}, "eu": {"extends": "cluster"}},
        resources={"gpu": 1},
        notify={"to": "dev"},
    )
    assert found.executor is not None
    assert (found.executor.params, found.settings.executor.kinds) == ({"nodes": 3}, ["train", "notify"])
    assert {name: use.params for name, use in found.targets.items()} == {
        "cluster": {"replicas": 2},
        "eu": {"replicas": 2},
    }
    assert {name: use.params for name, use in found.kinds.items()} == {"notify": {"to": "dev"}}
    assert found.resources == {"gpu": 1}


def test_a_trainer_that_brings_the_model_needs_none_of_the_projects(load: Load) -> None:
    found = read(load, train={"use": "bring"}, model=None)
    assert [*found.training.uses] == ["train"]
    told = refused(load, train={"use": "bring"})
    assert told.startswith("pyproject.toml: [tool.modelyard.model]: the trainer 'bring' brings the model, and trains")
    assert told.endswith("remove the table, or choose another trainer in [tool.modelyard.train]")


def test_bounds_gates_and_metrics_are_read_of_their_tables(load: Load) -> None:
    found = read(load, gates={"min_accuracy": 0.9, "max_size": "1 MB"}, evaluate={"test_sets": ["night"]})
    assert (found.settings.gates["min_accuracy"], found.settings.gates["max_size"]) == (0.9, "1 MB")
    assert found.settings.gates["min_night_accuracy"] is None, "a gate that follows from a further test set"
    assert (found.gates, found.metrics) == ({}, {})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"mial": {}}, "]: unknown key 'mial', did you mean 'mail'?\n  allowed: check, "),
        ({"executor": {"use": "farm", "kinds": ["mail"]}}, "'mail' is not allowed: its stages do not compute, and run"),
        ({"executor": {"use": "farm", "kinds": ["image"]}}, "'image' is not allowed: its stages do not compute"),
        (
            {"executor": {"use": "farm", "kinds": ["trian"]}},
            "key 'kinds': 'trian' is not allowed: there is no such kind of stage, did you mean 'train'?",
        ),
        (
            {"executor": {"kinds": ["train"]}},
            "[tool.modelyard.executor]: key 'use' is missing\n  it names the executor",
        ),
        ({"image": {"repository": "Shop"}}, "[tool.modelyard.image]: key 'repository': 'Shop' is not allowed: "),
        ({"image": {"tag": "a b"}}, "key 'tag': 'a b' is not allowed: "),
        ({"targets": {"A": {"use": "cluster"}}}, "'A' is not allowed as the name of a target"),
        ({"resources": {"gpu": 1.0}}, "key 'gpu': 1.0 is not allowed\n  allowed: a whole number from 1"),
        ({"resources": {"gpu": 0}}, "key 'gpu': 0 is not allowed"),
        ({"resources": {"gpu": True}}, "key 'gpu': True is not allowed"),
        ({"handlers": {"before": [3]}}, "[tool.modelyard.handlers]: 3 is not a step\n  write a handler's name"),
        ({"notify": {"too": 1}}, "[tool.modelyard.notify]: unknown key 'too', did you mean 'to'?"),
        ({"dataset": None}, "[tool.modelyard.dataset]: key 'use' is missing\n  it names the dataset, one of: "),
    ],
)
def test_a_mistake_is_told_with_its_table(load: Load, tables: dict[str, Any], said: str) -> None:
    assert said in refused(load, **tables)


def test_a_model_in_an_image_keeps_the_images_that_it_is_in(load: Load) -> None:
    reader = PipelineReader(load.project, load.plugins, dict(RAW), {}, ConfigSource())
    assert reader.config(packed_in=("shop",)).packed_in == ("shop",)
