from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelyard.config import KEYS, Config, load_config, parse_override
from modelyard.errors import ConfigError, PlanError, PluginError
from modelyard.plan import build_plan
from modelyard.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
from pathlib import Path

from modelyard import hookimpl
from modelyard.params import Fraction, InputPath, PositiveInt


def data(context, *, samples: PositiveInt = 10, table: InputPath | None = None):
    """Make data.

    Args:
        table: a CSV file.
    """


def train(context, *, epochs: PositiveInt = 1, rate: float = 0.1):
    """Train."""


def prune(context, *, sparsity: Fraction):
    """Prune."""


def pack(context):
    """Pack."""


def run(folder, *, threads: PositiveInt = 1):
    """Run."""


def deploy(context, *, replicas: PositiveInt = 1):
    """Deploy."""


@hookimpl
def modelyard_register_datasets(register):
    register("data", data)


@hookimpl
def modelyard_register_models(register):
    register("net", lambda input_shape, classes: None, produces="raw")


@hookimpl
def modelyard_register_trainers(register):
    register("trainer", train, produces="raw")


@hookimpl
def modelyard_register_optimizers(register):
    register("prune", prune, accepts=("raw",), produces="raw")
    register("pack", pack, accepts=("raw",), produces="packed")


@hookimpl
def modelyard_register_runtimes(register):
    here = Path(__file__)
    register("runner", run, accepts=("packed",), server=here.parent, requirements=here, entrypoint=("python3", "x.py"))


@hookimpl
def modelyard_register_targets(register):
    register("cluster", deploy, templates=())
'''

BASE = {
    "[project]": 'name = "Some.Project"\nversion = "2.1"',
    "[tool.modelyard]": "seed = 7",
    "[tool.modelyard.dataset]": 'use = "data"',
    "[tool.modelyard.model]": 'use = "net"',
    "[tool.modelyard.train]": 'use = "trainer"\nepochs = 3',
    "[tool.modelyard.runtime]": 'use = "runner"',
    "[tool.modelyard.variants]": 'plain = ["pack"]\npruned = [{ use = "prune", sparsity = 0.5 }, "pack"]',
}

Load = Callable[..., Config]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config") / "some project"
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "all.py").write_text(PLUGIN)
    (folder / "data.csv").write_text("1,2\n")
    return folder


@pytest.fixture(scope="module")
def plugins(project: Path) -> Plugins:
    return load_plugins(project)


@pytest.fixture
def load(project: Path, plugins: Plugins) -> Load:
    """Load the base configuration with some tables replaced (None: left out) and overrides."""

    def run(tables: dict[str, str | None] | None = None, **overrides: str) -> Config:
        merged = BASE | {f"[{name}]": text for name, text in (tables or {}).items()}
        text = "\n".join(f"{name}\n{body}\n" for name, body in merged.items() if body is not None)
        (project / "pyproject.toml").write_text(text)
        return load_config(project, plugins, {key.replace("__", "."): value for key, value in overrides.items()})

    return run


def message(load: Load, tables: dict[str, str | None] | None = None, **overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tables, **overrides)
    return str(caught.value)


# What is read


def test_every_table_is_read_and_every_default_filled_in(load: Load, project: Path) -> None:
    config = load({"tool.modelyard.resources": "train = 1", "tool.modelyard.targets.cluster": "replicas = 2"})
    assert (config.project, config.name, config.version, config.seed) == (project, "some-project", "2.1", 7)
    assert config.uses["train"].component.name == "trainer"
    assert config.uses["train"].params == {"epochs": 3, "rate": 0.1}
    assert config.settings["select"] == {"rule": "smallest", "baseline": ""}
    assert config.settings["dataset"] == {"normalize": "unit"}
    assert config.settings["gates"]["min_accuracy"] is None
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Ünder_score.X", "nder-score-x"), ("a" * 51 + "-b", "a" * 51), ("---", "project"), ("x", "x")],
)
def test_the_name_is_made_from_that_of_the_distribution(name: str, expected: str, load: Load) -> None:
    assert load({"project": f'name = "{name}"'}).name == expected


def test_the_name_is_the_folders_without_a_distribution(load: Load) -> None:
    assert load({"project": None}).name == "some-project"


def test_an_input_path_is_relative_to_the_project(load: Load, project: Path) -> None:
    config = load({"tool.modelyard.dataset": 'use = "data"\ntable = "./data.csv"'})
    assert config.uses["dataset"].params["table"] == str(project / "data.csv")


# Mistakes, each with the words that a person needs


def error(where: str, text: str, *, match: str) -> Any:
    return pytest.param({where: text}, match, id=f"{where}: {text[:40]}")


T = "tool.modelyard"


@pytest.mark.parametrize(
    ("tables", "match"),
    [
        error(
            T, "sed = 1", match="[tool.modelyard]: unknown key 'sed', did you mean 'seed'?\n  allowed: check, dataset,"
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
        error(
            f"{T}.gates",
            "min_acuracy = 0.5",
            match="[tool.modelyard.gates]: unknown key 'min_acuracy', did you mean 'min_accuracy'?",
        ),
        error(f"{T}.gates", "min_accuracy = 50", match="key 'min_accuracy': 50 is not allowed"),
        error(f"{T}.gates", 'max_size = "12 parsec"', match="[tool.modelyard.gates]: key 'max_size': "),
        error(f"{T}.gates", 'max_latency_p99 = "soon"', match="[tool.modelyard.gates]: key 'max_latency_p99': "),
        error(f"{T}.serve", "port = 70000", match="key 'port': 70000 is not allowed"),
        error(f"{T}.store", "path = 3", match="[tool.modelyard.store]: key 'path': 3 is not allowed"),
        error(f"{T}.variants", "", match="[tool.modelyard.variants]: there is no variant\n  write at least one"),
        error(
            f"{T}.variants", 'a = "pack"', match="[tool.modelyard.variants]: a: 'pack' is not a list\n  write a chain"
        ),
        error(
            f"{T}.variants",
            "a = [3]",
            match="[tool.modelyard.variants]: a: 3 is not a step\n  write a model optimizer's name",
        ),
        error(f"{T}.variants", "a = [{ sparsity = 0.5 }]", match="a: {'sparsity': 0.5} is not a step"),
        error(
            f"{T}.variants",
            "a = [{ use = 3 }]",
            match="[tool.modelyard.variants.a]: key 'use': 3 is not the name of a optimizer",
        ),
        error(
            f"{T}.variants",
            'a = ["pak"]',
            match="[tool.modelyard.variants.a]: unknown model optimizer 'pak', did you mean 'pack'?",
        ),
        error(
            f"{T}.variants",
            'a = ["prune"]',
            match="[tool.modelyard.variants.a]: key 'sparsity' is missing\n  it is a fraction from 0 to 1",
        ),
        error(
            f"{T}.variants",
            'a = [{ use = "prune", sparsity = 2 }]',
            match="[tool.modelyard.variants.a]: key 'sparsity': 2 is not allowed",
        ),
        error(
            f"{T}.variants",
            '"A b" = ["pack"]',
            match="'A b' is not allowed as the name of a variant\n  allowed: 1 to 100",
        ),
        error(f"{T}.variants", f'{"a" * 101} = ["pack"]', match="is not allowed as the name of a variant"),
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
    found = message(load, {**dropped, **tables})
    assert match in found
    assert found.startswith("pyproject.toml [tool.modelyard")


def test_a_file_that_is_not_there_says_how_to_start(tmp_path: Path, plugins: Plugins) -> None:
    with pytest.raises(ConfigError, match=r"pyproject.toml: not found\n  run `modelyard init`"):
        load_config(tmp_path, plugins)


@pytest.mark.parametrize(
    "text", [b"x = ", b"\xff", b"[tool.modelyard]\nseed = " + b"1" * 5000, b"a = " + b"[" * 5000, b"x = 2024-13-45"]
)
def test_a_file_that_is_not_toml_is_an_error_that_names_it(text: bytes, tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"pyproject.toml: cannot be read: "):
        load_config(tmp_path, plugins)


@pytest.mark.parametrize("text", ["", "tool = 3", "[tool]\nmodelyard = 3", "[project]\nname = 'x'"])
def test_a_file_without_the_table_says_how_to_see_one(text: str, tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"there is no table \[tool.modelyard\]\n  run `modelyard init`"):
        load_config(tmp_path, plugins)


# The command line


def test_an_override_is_laid_over_the_file(load: Load) -> None:
    config = load(train__epochs="9", select__rule="fastest", seed="3", variants__more='["pack"]')
    assert config.uses["train"].params == {"epochs": 9, "rate": 0.1}
    assert config.settings["select"]["rule"] == "fastest"
    assert config.seed == 3
    assert list(config.variants) == ["plain", "pruned", "more"]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("epochs", "3", "command line: unknown key 'epochs', did you mean 'train.epochs'?\n  write TABLE.KEY=VALUE"),
        ("rate", "3", "command line: unknown key 'rate', did you mean 'train.rate'?"),
        ("threads", "3", "unknown key 'threads', did you mean 'runtime.threads'?"),
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
def test_a_mistaken_override_is_named(
    key: str, value: str, match: str, load: Load, project: Path, plugins: Plugins
) -> None:
    load()
    with pytest.raises(ConfigError) as caught:
        load_config(project, plugins, {key: value})
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(setting=SETTINGS, value=st.integers(-2, 70000).map(str) | st.sampled_from(["true", '"x"', "1.5", "[1]", "{}"]))
def test_an_override_equals_the_same_key_in_the_file(
    setting: tuple[str, str, str], value: str, load: Load, project: Path, plugins: Plugins
) -> None:
    key, table, name = setting
    text = f"{name} = {value}" if table != "train" else f'use = "trainer"\n{name} = {value}'

    def outcome(tables: dict[str, str | None], overrides: dict[str, str]) -> tuple[object, ...]:
        try:
            config = load(tables, **{k.replace(".", "__"): v for k, v in overrides.items()})
        except ConfigError as exc:
            return ("error", str(exc).partition("\n  the command line")[0])
        return config.settings, {t: use.params for t, use in config.uses.items()}

    base = {"tool.modelyard.train": 'use = "trainer"'}
    assert outcome({**base, f"tool.modelyard.{table}": text}, {}) == outcome(base, {key: value})


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
def test_junk_in_any_table_is_an_error_for_a_person(
    table: str, junk: Any, below: str | None, project: Path, plugins: Plugins
) -> None:
    document = tomllib.loads("\n".join(f"{name}\n{body}\n" for name, body in BASE.items()))
    raw = document["tool"]["modelyard"]
    raw[table] = (
        junk if below is None else {**(raw.get(table) if isinstance(raw.get(table), dict) else {}), below: junk}
    )
    text = "[tool.modelyard]\n" + "\n".join(f"{key} = {toml(value)}" for key, value in raw.items())
    assert repr(tomllib.loads(text)["tool"]["modelyard"]) == repr(raw)
    (project / "pyproject.toml").write_text(text, encoding="utf-8", newline="")
    with contextlib.suppress(ConfigError, PlanError, PluginError):
        build_plan(load_config(project, plugins), plugins)
