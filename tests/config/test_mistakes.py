from __future__ import annotations

import contextlib
import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.configs import BASE, Load

from modelyard.config.tables import KEYS
from modelyard.errors import ConfigError, PlanError, PluginError
from modelyard.plan.planner import build_plan


def error(where: str, text: str, *, match: str) -> Any:
    return pytest.param({where: text}, match, id=f"{where}: {text[:40]}")


T = "tool.modelyard"


@pytest.mark.parametrize(
    ("tables", "match"),
    [
        error(
            T,
            "sed = 1",
            match="[tool.modelyard]: unknown key 'sed', did you mean 'seed'?\n  allowed: check, cross_validation, dataset,",
        ),
        error(f"{T}.variant", 'a = ["pack"]', match="unknown key 'variant', did you mean 'variants'?"),
        error(
            f"{T}.train",
            'use = "trainr"',
            match="[tool.modelyard.train]: unknown trainer 'trainr', did you mean 'trainer'?",
        ),
        error(f"{T}.train", "use = 3", match="[tool.modelyard.train]: key 'use': 3 is not the name of a trainer"),
        error(
            f"{T}.train",
            'use = "trainer"\nepoch = 3',
            match="unknown key 'epoch', did you mean 'epochs'?\n  the trainer 'trainer' takes: epochs, rate; run `doit plugins trainer`",
        ),
        error(
            f"{T}.train",
            'use = "trainer"\nepochs = "3"',
            match="key 'epochs': '3' is not allowed: expected `int`, got `str`\n  allowed: a whole number from 1",
        ),
        error(f"{T}.train", 'use = "trainer"\nepochs = 0', match="key 'epochs': 0 is not allowed: expected `int` >= 1"),
        error(f"{T}.train", 'use = "trainer"\nrate = nan', match="key 'rate': nan is not allowed"),
        error(
            f"{T}.dataset", "", match="[tool.modelyard.dataset]: key 'use' is missing\n  it names the dataset, one of:"
        ),
        error(
            f"{T}.dataset",
            'use = "data"\nnormalise = "unit"',
            match="unknown key 'normalise', did you mean 'normalize'?",
        ),
        error(f"{T}.dataset", 'use = "data"\nnormalize = "units"', match="key 'normalize': 'units' is not allowed"),
        error(
            f"{T}.dataset",
            'use = "data"\ntable = "dta.csv"',
            match="key 'table': there is no 'dta.csv', did you mean 'data.csv'?\n  a CSV file.",
        ),
        error(f"{T}.dataset", f'use = "data"\ntable = "{"x" * 300}"', match="key 'table': 'xxx"),
        error(
            f"{T}.dataset", 'use = "data"\ntable = "~nosuchuser/x"', match="key 'table': '~nosuchuser/x' is not a path"
        ),
        error(f"{T}.dataset", 'use = "data"\ntable = "a\\u0000b"', match="key 'table': "),
        error(f"{T}.dataset", 'use = "data"\ntable = ""', match="key 'table': '' is not allowed"),
        error(
            f"{T}.evaluate", "batch_size = -1", match="[tool.modelyard.evaluate]: key 'batch_size': -1 is not allowed"
        ),
        error(
            f"{T}.evaluate",
            "batchsize = 1",
            match="unknown key 'batchsize', did you mean 'batch_size'?\n  allowed: batch_size,",
        ),
        error(f"{T}.serve", "port = 70000", match="key 'port': 70000 is not allowed"),
        error(f"{T}.store", "path = 3", match="[tool.modelyard.store]: key 'path': 3 is not allowed"),
        error(
            f'{T}.targets."../out"',
            'use = "cluster"',
            match="[tool.modelyard.targets]: '../out' is not allowed as the name of a target",
        ),
        error(
            f"{T}.targets",
            "cluster = 3",
            match="[tool.modelyard.targets.cluster]: 3 is not a table\n  write [tool.modelyard.targets.cluster]",
        ),
        error(
            f"{T}.targets.nowhere", "", match="[tool.modelyard.targets.nowhere]: unknown target 'nowhere'\n  known: "
        ),
        error(f"{T}.targets.cluster", "replica = 1", match="unknown key 'replica', did you mean 'replicas'?"),
        error(
            f"{T}.resources",
            "train = 0",
            match="[tool.modelyard.resources]: key 'train': 0 is not allowed\n  allowed: a whole number from 1",
        ),
        error(f"{T}.resources", "train = true", match="key 'train': True is not allowed"),
        error(
            T,
            "seed = -1",
            match="[tool.modelyard]: key 'seed': -1 is not allowed\n  allowed: a whole number from 0 to 4294967295",
        ),
        error(T, "seed = 4294967296", match="key 'seed': 4294967296 is not allowed"),
        error(T, 'seed = "x"', match="key 'seed': 'x' is not allowed"),
        error(T, "version = 3", match="key 'version': 3 is not allowed\n  allowed: str"),
        error(T, 'name = "Upper"', match="key 'name': 'Upper' is not allowed\n  allowed: 1 to 52 lower-case letters"),
        error(T, 'name = "a\\n"', match="key 'name': 'a\\n' is not allowed"),
        error(T, f'name = "{"a" * 53}"', match="key 'name': 'aaaa"),
        error(T, "train = 3", match="train"),
    ],
)
def test_a_mistake_is_named_with_file_table_key_and_what_is_allowed(
    tables: dict[str, str], match: str, load: Load
) -> None:
    dropped: dict[str, str | None] = {f"{T}.train": None} if "train = 3" in tables.values() else {}
    found = load.refused({**dropped, **tables})
    assert match in found
    assert re.match(r"pyproject\.toml:\d+: \[tool\.modelyard", found)


# Junk

WORDS = st.sampled_from(
    [*KEYS, "use", "epochs", "pack", "data", "net", "", ".", "a:b", "../x", "~", "x" * 300, "\x00", "ä"]
)
SCALAR = st.one_of(
    WORDS,
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes().map(lambda value: value.replace(fold=0)),
    st.dates(),
    st.times().map(lambda value: value.replace(fold=0)),
)
JUNK = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


def toml(value: Any) -> str:
    """Return a value as TOML; the standard library only reads it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool | float) else str(value)


@settings(max_examples=200)
@given(table=st.sampled_from(KEYS), junk=JUNK | st.dictionaries(WORDS, JUNK, max_size=3), below=WORDS | st.none())
@example(table="model", junk={"use": ":build"}, below=None)
@example(table="model", junk={"use": "/etc/passwd:x"}, below=None)
@example(table="model", junk={"use": "..x:y"}, below=None)
def test_junk_in_any_table_is_an_error_for_a_person(table: str, junk: Any, below: str | None, load: Load) -> None:
    document = tomllib.loads("\n".join(f"{name}\n{body}\n" for name, body in BASE.items()))
    raw = document["tool"]["modelyard"]
    raw[table] = (
        junk if below is None else {**(raw.get(table) if isinstance(raw.get(table), dict) else {}), below: junk}
    )
    text = "[tool.modelyard]\n" + "\n".join(f"{key} = {toml(value)}" for key, value in raw.items())
    assert repr(tomllib.loads(text)["tool"]["modelyard"]) == repr(raw)
    load.write(text)
    with contextlib.suppress(ConfigError, PlanError, PluginError):
        build_plan(load.read(), load.plugins)
