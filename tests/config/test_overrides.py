from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.configs import Load

from modelyard.config.overrides import parse_override
from modelyard.errors import ConfigError


def test_an_override_is_laid_over_the_file(load: Load) -> None:
    config = load(train__epochs="9", select__rule="fastest", seed="3", variants__more='["pack"]')
    assert config.training.uses["train"].params == {"epochs": 9, "rate": 0.1}
    assert config.settings.select.rule == "fastest"
    assert config.seed == 3
    assert list(config.variants) == ["plain", "pruned", "more"]


def test_a_whole_table_takes_the_place_of_the_file_s(load: Load) -> None:
    config = load(train='{ use = "trainer", epochs = 2 }', variants='{ only = ["pack"] }')
    assert config.training.uses["train"].params == {"epochs": 2, "rate": 0.1}
    assert list(config.variants) == ["only"]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("epochs", "3", "command line: unknown key 'epochs', did you mean 'train.epochs'?\n  write TABLE.KEY=VALUE"),
        ("rate", "3", "command line: unknown key 'rate', did you mean 'train.rate'?"),
        ("samples", "3", "unknown key 'samples', did you mean 'dataset.samples'?"),
        ("min_accuracy", "3", "unknown key 'min_accuracy', did you mean 'gates.min_accuracy'?"),
        ("sed", "3", "unknown key 'sed', did you mean 'seed'?"),
        ("train", "3", "command line: unknown key 'train'"),
        ("trian.epochs", "3", "unknown key 'trian.epochs', did you mean 'train.epochs'?"),
        ("seed.x", "3", "command line: unknown key 'seed.x'"),
        ("train.", "3", "command line: unknown key 'train.'"),
        ("train.use.x", "3", "command line: 'train.use.x': 'use' is not a table"),
        ("train.epoch", "3", "unknown key 'epoch', did you mean 'epochs'?"),
        ("train.epochs", "many", "key 'epochs': 'many' is not allowed: expected `int`, got `str`"),
    ],
)
def test_a_mistaken_override_is_named(key: str, value: str, match: str, load: Load) -> None:
    load()
    with pytest.raises(ConfigError) as caught:
        load.read({key: value})
    assert match in str(caught.value)
    assert "command line" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("smallest", "smallest"),
        ('"3"', "3"),
        ('["a"]', ["a"]),
        ("", ""),
        ("a b", "a b"),
        ("1" * 5000, "1" * 5000),
    ],
)
def test_an_overrides_value_is_toml_or_else_text(text: str, value: object) -> None:
    assert parse_override(text) == value


SETTINGS = st.sampled_from(
    [("train.epochs", "train", "epochs"), ("evaluate.warmup", "evaluate", "warmup"), ("serve.port", "serve", "port")]
)


@settings(max_examples=40)
@given(setting=SETTINGS, value=st.integers(-2, 70000).map(str) | st.sampled_from(["true", '"x"', "1.5", "[1]", "{}"]))
def test_an_override_equals_the_same_key_in_the_file(setting: tuple[str, str, str], value: str, load: Load) -> None:
    key, table, name = setting
    text = f"{name} = {value}" if table != "train" else f'use = "trainer"\n{name} = {value}'

    def outcome(tables: dict[str, str | None], overrides: dict[str, str]) -> tuple[object, ...]:
        try:
            config = load(tables, **{k.replace(".", "__"): v for k, v in overrides.items()})
        except ConfigError as exc:
            place, told = str(exc).split(": key ", 1)
            assert place == f"command line: {key}={value}" if overrides else place.startswith("pyproject.toml:")
            return ("error", told)
        return config.settings, {t: use.params for t, use in config.uses.items()}

    base: dict[str, str | None] = {"tool.modelyard.train": 'use = "trainer"'}
    assert outcome({**base, f"tool.modelyard.{table}": text}, {}) == outcome(base, {key: value})


NUMBERS = st.integers(-(10**12), 10**12).map(str) | st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True)


@settings(max_examples=40)
@given(text=NUMBERS)
def test_a_number_on_the_command_line_is_the_text_that_was_written_where_a_text_is_meant(text: str, load: Load) -> None:
    config = load({}, image__tag=text.lstrip("-"), version=text)
    assert config.version == text
    assert config.settings.image.tag == text.lstrip("-")


def test_a_number_in_the_file_where_a_text_is_meant_is_told_of_quotes(load: Load) -> None:
    with pytest.raises(ConfigError, match="allowed: str; a text stands in quotes"):
        load({"tool.modelyard": "version = 1.30"})
