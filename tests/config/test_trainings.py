"""`[tool.modelyard.trainings]`: several trainings, each laid over the tables `model` and `train`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.configs import Load

from modelyard.config.config import Config

SWEEP = "tool.modelyard.trainings.sweep"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return Load(tmp_path / "project")


def epochs(config: Config) -> dict[str, object]:
    return {name: one.uses["train"].params["epochs"] for name, one in config.trainings.items()}


def test_a_project_that_names_none_has_one_without_a_name(load: Load) -> None:
    config = load()
    assert list(config.trainings) == [""]
    one = config.training
    assert (one.seed, one.variants, one.over_seeds, one.full("plain")) == (7, ("plain", "pruned"), "", "plain")
    assert config.measured == ("plain", "pruned")
    assert load({"tool.modelyard.trainings": ""}).trainings.keys() == {""}


def test_each_is_laid_over_the_tables_below_and_has_a_seed_and_variants_of_its_own(load: Load) -> None:
    config = load(
        {
            "tool.modelyard.trainings.short": "train = { epochs = 1 }",
            "tool.modelyard.trainings.other": 'train = { use = "trainer", rate = 0.5 }\nseed = 9\nvariants = ["pr*"]',
        }
    )
    short, other = config.trainings.values()
    assert (short.uses["train"].params, short.seed) == ({"epochs": 1, "rate": 0.1}, 7)
    assert (other.uses["train"].params, other.seed) == ({"epochs": 3, "rate": 0.5}, 9)
    assert config.measured == ("short.plain", "short.pruned", "other.pruned")


def test_a_matrix_makes_one_for_each_combination_named_by_its_values(load: Load) -> None:
    config = load(
        {SWEEP: "matrix = { train.rate = [0.1, 0.01], seed = [0, 1] }\nexclude = [{ train.rate = 0.1, seed = 1 }]"}
    )
    assert {name: (one.uses["train"].params["rate"], one.seed) for name, one in config.trainings.items()} == {
        "sweep.rate-0.1.seed-0": (0.1, 0),
        "sweep.rate-0.01.seed-0": (0.01, 0),
        "sweep.rate-0.01.seed-1": (0.01, 1),
    }
    assert {one.over_seeds for one in config.trainings.values()} == {"sweep.rate-0.1", "sweep.rate-0.01"}


def test_without_more_than_one_seed_nothing_is_told_over_seeds(load: Load) -> None:
    config = load({SWEEP: "matrix = { train.epochs = [1, 2], seed = [5] }"})
    assert {one.over_seeds for one in config.trainings.values()} == {""}


def test_the_command_line_lays_over_all_of_them_or_over_one(load: Load) -> None:
    tables = {"tool.modelyard.trainings.a": "train = { epochs = 1 }", "tool.modelyard.trainings.b": ""}
    assert epochs(load(tables)) == {"a": 1, "b": 3}
    assert epochs(load(tables, train__epochs="9")) == {"a": 9, "b": 9}
    assert epochs(load(tables, trainings__b__train__epochs="9")) == {"a": 1, "b": 9}
    sweep = {SWEEP: "matrix = { train.epochs = [1, 2] }"}
    assert [*load(sweep, trainings__sweep__matrix__train__epochs="[4]").trainings] == ["sweep.epochs-4"]


def test_a_profile_lays_over_them(load: Load) -> None:
    tables = {
        "tool.modelyard.trainings.a": "train = { epochs = 1 }",
        "tool.modelyard.profiles.long.trainings.a.train": "epochs = 50",
    }
    assert epochs(load(tables, profile="long")) == {"a": 50}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("trian = { epochs = 1 }", "unknown key 'trian', did you mean 'train'?"),
        ("train = 3", "key 'train': 3 is not a table\n  write train = { ... }"),
        ("train = { epochz = 1 }", "[tool.modelyard.trainings.sweep]: unknown key 'epochz', did you mean 'epochs'?"),
        ("train = { epochs = 0 }", "key 'epochs': 0 is not allowed"),
        ("seed = -1", "key 'seed': -1 is not allowed\n  allowed: a whole number from 0 to 4294967295"),
        ('variants = ["plane"]', "key 'variants': there is no variant 'plane', did you mean 'plain'?"),
        ("variants = []", "key 'variants': [] is not allowed"),
        ("matrix = { train.epochs = 3 }", "axis 'train.epochs': 3 is not a list"),
        ("matrix = { seed = [] }", "axis 'seed' is empty"),
        ("matrix = { seed = [1, 1] }", "axis 'seed': 1 gives the same name as 1"),
        ("matrix = { epochs = [1] }", "axis 'epochs' is no key of a training\n  allowed: seed, and keys of the tables"),
        ("matrix = { train.epochs = [0] }", "in the training 'sweep.epochs-0': train.epochs = 0"),
        ("seed = 1\nmatrix = { seed = [1, 2] }", "'seed' has a value, and is an axis, too"),
        ("matrix = { seed = [1] }\nexclude = [{ seed = 2 }]", "exclude: 2 is no value of the axis 'seed'"),
        ("matrix = { seed = [1] }\nexclude = [{ train.rate = 1 }]", "exclude: there is no axis 'train.rate'"),
        ("matrix = { seed = [1] }\nexclude = [{ seed = 1 }]", "key 'exclude' leaves no training"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_is_allowed(load: Load, body: str, said: str) -> None:
    message = load.refused({SWEEP: body})
    assert said in message
    assert message.startswith("pyproject.toml:")


def test_a_key_of_the_table_below_is_told_to_stand_there(load: Load) -> None:
    message = load.refused({SWEEP: "train = { epochs = 1 }", "tool.modelyard.train": 'use = "trainer"\nrat = 1'})
    assert "[tool.modelyard.train]: unknown key 'rat'" in message


def test_a_training_that_there_is_not_is_none_that_the_command_line_makes(load: Load) -> None:
    message = load.refused({SWEEP: ""}, trainings__sweeep__train__epochs="3")
    assert "there is no training 'sweeep', did you mean 'sweep'?" in message


def test_an_axis_is_changed_on_the_command_line_by_its_name_alone(load: Load) -> None:
    message = load.refused({SWEEP: "matrix = { train.epochs = [1, 2] }"}, train__epochs="3")
    assert message == (
        "command line: 'train.epochs' is an axis of the training 'sweep'\n  write trainings.sweep.matrix.train.epochs=[...]"
    )


def test_too_many_are_refused_and_their_axes_counted(load: Load) -> None:
    seeds = list(range(100))
    message = load.refused({SWEEP: f"matrix = {{ train.epochs = [1, 2, 3], seed = {seeds} }}"})
    assert "3 (train.epochs) x 100 (seed) are 300 trainings, more than 256" in message
    many = {f"tool.modelyard.trainings.t{number}": f"matrix = {{ seed = {seeds} }}" for number in range(3)}
    assert "300 trainings are more than 256" in load.refused(many)
    chains = {"tool.modelyard.variants": "".join(f'v{n} = ["pack"]\n' for n in range(6))}
    message = load.refused({**chains, SWEEP: f"matrix = {{ train.epochs = [1, 2], seed = {seeds} }}"})
    assert "more than 1,024 variants together" in message
