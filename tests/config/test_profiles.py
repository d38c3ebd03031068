from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.config.config import Config
from modelyard.config.profiles import lay_over
from modelyard.config.read import load_config
from modelyard.errors import ConfigError
from modelyard.plugins.load import Plugins, load_plugins
from modelyard.testing import run_doit, write_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Config]

P = "tool.modelyard.profiles"

PROJECT = """
[tool.modelyard]
name = "toy"

[tool.modelyard.dataset]
use = "digits"

[tool.modelyard.model]
use = "digits-cnn"

[tool.modelyard.train]
epochs = 3
batch_size = 64

[tool.modelyard.variants]
float32 = ["float32"]
pruned = [{ use = "prune", sparsity = 0.5 }, "float32"]

[tool.modelyard.targets.compose]
host_port = 8000
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return load_plugins(tmp_path_factory.mktemp("plugins"))


@pytest.fixture
def load(tmp_path: Path, plugins: Plugins) -> Load:
    """Load the project with tables added to it, and overrides."""

    def run(tables: dict[str, str] | None = None, **overrides: str) -> Config:
        added = "".join(f"[{name}]\n{text}\n" for name, text in (tables or {}).items())
        (tmp_path / "pyproject.toml").write_text(PROJECT + added)
        return load_config(tmp_path, plugins, {key.replace("__", "."): value for key, value in overrides.items()})

    return run


def message(load: Load, tables: dict[str, str], **overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tables, **overrides)
    return str(caught.value)


def test_a_profile_is_laid_over_key_by_key(load: Load) -> None:
    tables = {
        f"{P}.long": "seed = 8",
        f"{P}.long.train": "epochs = 30",
        f"{P}.long.variants": 'pruned = [{ use = "prune", sparsity = 0.9 }, "float32"]\nint8 = ["int8"]',
        f"{P}.long.targets.compose": "tls = false",
    }
    plain, config = load(tables), load(tables, profile="long")
    assert config.seed == 8
    assert config.training.uses["train"].params == {**plain.training.uses["train"].params, "epochs": 30}
    assert list(config.variants) == ["float32", "pruned", "int8"]
    assert [use.component.name for use in config.variants["pruned"]] == ["prune", "float32"]
    assert config.variants["pruned"][0].params["sparsity"] == 0.9
    assert config.targets["compose"].params == {**plain.targets["compose"].params, "tls": False}


def test_a_profile_that_is_not_chosen_changes_nothing(load: Load) -> None:
    assert load({f"{P}.long.train": "epochs = 30"}) == load()


def test_the_command_line_stands_above_the_profile(load: Load) -> None:
    config = load({f"{P}.long.train": "epochs = 30\nlearning_rate = 0.2"}, profile="long", train__epochs="2")
    assert (config.training.uses["train"].params["epochs"], config.training.uses["train"].params["learning_rate"]) == (
        2,
        0.2,
    )


def test_another_component_takes_the_place_of_the_table() -> None:
    base = {"image": {"use": "docker", "base": "x"}, "train": {"epochs": 3}, "targets": {"compose": {"port": 1}}}
    defaults = {"train": "tensorflow"}
    assert lay_over(base, {"image": {"use": "oci"}}, defaults)["image"] == {"use": "oci"}
    assert lay_over(base, {"image": {"use": "docker"}}, defaults)["image"] == {"use": "docker", "base": "x"}
    assert lay_over(base, {"train": {"use": "tensorflow"}}, defaults)["train"] == {"use": "tensorflow", "epochs": 3}
    assert lay_over(base, {"train": {"use": "torch"}}, defaults)["train"] == {"use": "torch"}
    same = {"targets": {"compose": {"use": "compose"}}}
    assert lay_over(base, same, defaults)["targets"] == {"compose": {"use": "compose", "port": 1}}


@pytest.mark.parametrize(
    ("tables", "overrides", "match"),
    [
        (
            {f"{P}.paper.train": "epochs = 3"},
            {"profile": "papre"},
            "command line: unknown profile 'papre', did you mean 'paper'?\n  profiles in pyproject.toml, [tool.modelyard.profiles.NAME]: paper",
        ),
        ({}, {"profile": "paper"}, "unknown profile 'paper'\n  profiles in pyproject.toml, "),
        ({}, {"profil": "paper"}, "unknown key 'profil', did you mean 'profile'?"),
        (
            {P: "paper = 3"},
            {},
            "[tool.modelyard.profiles.paper]: 3 is not a table\n  write [tool.modelyard.profiles.NAME.",
        ),
        (
            {f"{P}.paper.trian": "epochs = 3"},
            {},
            "[tool.modelyard.profiles.paper]: unknown key 'trian', did you mean 'train'?\n  allowed: check, ",
        ),
        ({f"{P}.paper.profiles.x": "seed = 1"}, {}, "[tool.modelyard.profiles.paper]: unknown key 'profiles'"),
        ({"tool.modelyard.profile": ""}, {}, "[tool.modelyard]: unknown key 'profile', did you mean 'profiles'?"),
    ],
)
def test_a_mistake_in_the_choice_or_the_form_is_named(
    tables: dict[str, str], overrides: dict[str, str], match: str, load: Load
) -> None:
    assert match in message(load, tables, **overrides)


@pytest.mark.parametrize("overrides", [{}, {"profile": "other"}, {"profile": "paper"}])
def test_a_value_is_checked_whether_the_profile_is_chosen_or_not(overrides: dict[str, str], load: Load) -> None:
    tables = {f"{P}.paper.train": "epoch = 3", f"{P}.other": ""}
    found = message(load, tables, **overrides)
    assert "[tool.modelyard.profiles.paper.train]: unknown key 'epoch', did you mean 'epochs'?" in found
    last = "the command line sets profile=paper" if overrides == {"profile": "paper"} else "in the profile 'paper'"
    assert found.endswith(f"\n  {last}")


def test_the_files_of_a_profile_need_be_there_only_when_it_is_chosen(load: Load) -> None:
    tables = {f"{P}.full.dataset": 'use = "arrays"\npath = "missing.npz"'}
    assert load(tables).uses["dataset"].component.name == "digits"
    assert "there is no 'missing.npz'" in message(load, tables, profile="full")


def test_every_command_takes_a_profile(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"pyproject.toml": f'{PROJECT}[{P}.small.variants]\nint8 = ["int8"]'})
    listed = run_doit(project, "list", "--all", "profile=small")
    assert "optimize:int8" in listed.stdout, listed.stderr
    assert "optimize:int8" not in run_doit(project, "list", "--all").stdout
    assert "optimize:int8" in run_doit(project, "plan", "profile=small").stdout
    wrong = run_doit(project, "why", "train", "profile=smal")
    assert wrong.returncode != 0
    assert "unknown profile 'smal', did you mean 'small'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr
