from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.configs import Load

from modelyard.config.read import load_config
from modelyard.config.tables import Dataset, Select
from modelyard.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_every_table_is_read_and_every_default_filled_in(load: Load) -> None:
    config = load({"tool.modelyard.resources": "train = 1", "tool.modelyard.targets.cluster": "replicas = 2"})
    assert (config.project, config.name, config.version, config.seed) == (load.project, "some-project", "2.1", 7)
    assert config.training.uses["train"].component.name == "trainer"
    assert config.training.uses["train"].params == {"epochs": 3, "rate": 0.1}
    assert config.settings.select == Select(rule="smallest", baseline="")
    assert config.settings.dataset == Dataset(normalize="auto")
    assert config.settings.gates["min_accuracy"] is None
    assert [[use.component.name for use in steps] for steps in config.variants.values()] == [
        ["pack"],
        ["prune", "pack"],
    ]
    assert config.variants["pruned"][0].params == {"sparsity": 0.5}
    assert config.targets["cluster"].params == {"replicas": 2}
    assert config.resources == {"train": 1}


def test_a_target_of_another_name_says_what_it_uses(load: Load) -> None:
    config = load({"tool.modelyard.targets.staging": 'use = "cluster"'})
    assert config.targets["staging"].component.name == "cluster"


def test_an_input_path_is_relative_to_the_project(load: Load) -> None:
    config = load({"tool.modelyard.dataset": 'use = "data"\ntable = "./data.csv"'})
    assert config.uses["dataset"].params["table"] == str(load.project / "data.csv")


def test_a_file_that_is_not_there_says_how_to_start(tmp_path: Path, load: Load) -> None:
    with pytest.raises(ConfigError, match=r"pyproject.toml: not found\n  run `modelyard init`"):
        load_config(tmp_path, load.plugins)


@pytest.mark.parametrize(
    "text", [b"x = ", b"\xff", b"[tool.modelyard]\nseed = " + b"1" * 5000, b"a = " + b"[" * 5000, b"x = 2024-13-45"]
)
def test_a_file_that_is_not_toml_is_an_error_with_its_line_and_column(text: bytes, tmp_path: Path, load: Load) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"pyproject.toml:\d+:\d+: .*\n  \d+ \| .*\n +\| +\^\n  "):
        load_config(tmp_path, load.plugins)


@pytest.mark.parametrize("text", ["", "tool = 3", "[tool]\nmodelyard = 3", "[project]\nname = 'x'"])
def test_a_file_without_the_table_says_how_to_see_one(text: str, tmp_path: Path, load: Load) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"there is no table \[tool.modelyard\]\n  run `modelyard init`"):
        load_config(tmp_path, load.plugins)
