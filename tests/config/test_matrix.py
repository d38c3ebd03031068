from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.config.grid import MOST
from modelyard.config.matrix import expand
from modelyard.config.read import load_config
from modelyard.errors import ConfigError
from modelyard.plan.planner import build_plan
from modelyard.plugins.load import Plugins, load_plugins
from modelyard.stage_settings import SelectSettings
from modelyard.testing import run_doit, write_project
from modelyard.toml.places import ConfigSource

if TYPE_CHECKING:
    from pathlib import Path

PRUNED = {
    "sparsity": [0.5, 0.7],
    "quantization": ["float32", "int8"],
    "chain": [{"use": "prune", "sparsity": "{sparsity}"}, "{quantization}"],
}


def names(matrix: dict[str, Any]) -> list[str]:
    return [one.variant for one in expand({"pruned": matrix}, ConfigSource())]


def test_there_is_a_variant_for_each_combination_named_by_its_values() -> None:
    found = list(expand({"pruned": PRUNED}, ConfigSource()))
    assert [one.variant for one in found] == [
        "pruned-0.5-float32",
        "pruned-0.5-int8",
        "pruned-0.7-float32",
        "pruned-0.7-int8",
    ]
    assert found[3].steps == [{"use": "prune", "sparsity": 0.7}, "int8"]
    assert found[3].values == {"sparsity": 0.7, "quantization": "int8"}


def test_a_placeholder_alone_keeps_the_values_type_and_within_a_text_becomes_text() -> None:
    step = {
        "use": "x",
        "n": "{n}",
        "deep": ["{flag}", {"key": "{n}"}],
        "text": "a-{n}-{flag}",
        "brace": "{{n}}",
        "k": 3,
    }
    (one,) = expand({"m": {"n": [2], "flag": [True], "chain": [step]}}, ConfigSource())
    assert one.steps == [
        {"use": "x", "n": 2, "deep": [True, {"key": 2}], "text": "a-2-True", "brace": "{n}", "k": 3},
    ]


def test_a_value_that_holds_braces_is_not_read_again() -> None:
    (one,) = expand({"m": {"a": ["{b}"], "chain": ["{a}"]}}, ConfigSource())
    assert (one.variant, one.steps) == ("m-b", ["{b}"])


def test_excluded_combinations_are_left_out() -> None:
    exclude = [{"sparsity": 0.7, "quantization": "float32"}, {"sparsity": 0.5, "quantization": "int8"}]
    assert names({**PRUNED, "exclude": exclude}) == ["pruned-0.5-float32", "pruned-0.7-int8"]
    assert names({**PRUNED, "exclude": [{"quantization": "int8"}]}) == ["pruned-0.5-float32", "pruned-0.7-float32"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain": None}, "key 'chain' is missing\n  write a chain of model optimizers, for instance chain = ["),
        ({"chain": "int8"}, "key 'chain': 'int8' is not a list\n  write a chain"),
        ({"sparsity": None, "quantization": None}, "there is no axis\n  write one, for instance sparsity = [0.5, 0.7]"),
        ({"sparsity": []}, "axis 'sparsity' is empty\n  give it a value"),
        (
            {"sparsity": 0.5},
            "axis 'sparsity': 0.5 is not a list\n  write a list of the values, for instance sparsity = [0.5]",
        ),
        (
            {"sparsity": [0.5, [0.7]]},
            "axis 'sparsity': [0.7] is not allowed\n  allowed: texts, numbers, true and false",
        ),
        ({"sparsity": [0.5, 0.5]}, "axis 'sparsity': 0.5 gives the same name as 0.5\n  values become a part of"),
        ({"quantization": ["int8", "INT8"]}, "axis 'quantization': 'INT8' gives the same name as 'int8'"),
        ({"quantization": ["_"]}, "axis 'quantization': '_' gives no name\n  write letters or digits"),
        ({"depth": [1]}, "axis 'depth' is never used in the chain\n  write \"{depth}\" where its values belong"),
        ({"a b": [1]}, "axis 'a b' is not allowed as a name\n  allowed: letters, digits"),
        ({"chain": ["{sparsity}", "{quantisation}"]}, "no axis 'quantisation', did you mean 'quantization'?\n  axes: "),
        ({"chain": ["{sparsity}", "{quantization"]}, "chain: '{quantization' cannot be read: expected '}'"),
        ({"chain": ["{sparsity:.2f}", "{quantization}"]}, "a value stands as it is\n  write {sparsity} alone"),
        ({"chain": ["{sparsity}", "{}"]}, "chain: '{}': there is no axis ''"),
        ({"exclude": {"sparsity": 0.5}}, "key 'exclude': {'sparsity': 0.5} is not allowed\n  write a list of tables"),
        (
            {"exclude": [{}]},
            "key 'exclude': [{}] is not allowed\n  write a list of tables, for instance exclude = [{ spa",
        ),
        ({"exclude": [{"sparcity": 0.5}]}, "there is no axis 'sparcity', did you mean 'sparsity'?"),
        ({"exclude": [{"sparsity": 0.6}]}, "0.6 is no value of the axis 'sparsity'\n  its values: 0.5, 0.7"),
        ({"exclude": [{"sparsity": 0.5}, {"sparsity": 0.7}]}, "key 'exclude' leaves no variant\n  take an entry"),
        (
            {"sparsity": ["a", "a-b"], "quantization": ["b-c", "c"]},
            "sparsity = 'a', quantization = 'b-c' and sparsity = 'a-b', quantization = 'c' give the same name, 'pruned-a-b-c'",
        ),
        ({"sparsity": [n / 1000 for n in range(200)]}, "200 (sparsity) x 2 (quantization) are 400 variants, more than"),
    ],
)
def test_a_mistake_names_the_axis_and_says_what_to_do(changes: dict[str, Any], message: str) -> None:
    matrix = {key: value for key, value in {**PRUNED, **changes}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        names(matrix)
    told = str(caught.value)
    assert message in told
    assert told.startswith("pyproject.toml: [tool.modelyard.matrix.pruned]: ")


def test_a_matrix_that_is_no_table_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\.m\]: \[1\] is not a table\n  write \[tool\.modelyard\.matrix\.m\]"):
        list(expand({"m": [1]}, ConfigSource()))


def test_the_bound_is_what_a_matrix_may_have() -> None:
    assert len(names({"n": list(range(MOST)), "chain": ["{n}"]})) == MOST


TEXTS = st.text("abAB01.-_ é", min_size=1, max_size=6)
VALUES = st.lists(TEXTS | st.integers(-3, 3) | st.floats(0, 1) | st.booleans(), min_size=1, max_size=4)


@given(VALUES, VALUES)
def test_names_are_different_and_fit_tasks_and_folders_or_the_axis_is_named(a: list[Any], b: list[Any]) -> None:
    told = ""
    try:
        found = names({"a": a, "b": b, "chain": ["{a}", "{b}"]})
    except ConfigError as exc:
        told = str(exc)
    if told:
        assert re.search(r"axis '[ab]': .* gives (the same|no) name|a = .*, b = .* give the same name", told)
        return
    assert len(set(found)) == len(a) * len(b)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?", name) for name in found)


# In a project

PROJECT = """
[tool.modelyard]
name = "many"

[tool.modelyard.dataset]
use = "digits"

[tool.modelyard.model]
use = "digits-cnn"

[tool.modelyard.variants]
float32 = ["float32"]

[tool.modelyard.matrix.pruned]
sparsity = [0.5, 0.7, 0.8]
quantization = ["float32", "int8"]
chain = [{ use = "prune", sparsity = "{sparsity}" }, "{quantization}"]
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return load_plugins(tmp_path_factory.mktemp("plugins"))


def test_shared_steps_of_a_matrix_are_built_once(tmp_path: Path, plugins: Plugins) -> None:
    write_project(tmp_path, {"pyproject.toml": PROJECT})
    config = load_config(tmp_path, plugins)
    plan = build_plan(config, plugins)
    assert [name for name in config.variants if name.startswith("pruned")] == [
        f"pruned-{sparsity}-{last}" for sparsity in (0.5, 0.7, 0.8) for last in ("float32", "int8")
    ]
    pruning = [s for s in plan.of_kind("optimize") if s.uses["optimizer"].component.name == "prune"]
    assert sorted(s.uses["optimizer"].params["sparsity"] for s in pruning) == [0.5, 0.7, 0.8]
    assert plan.stages["select:many"].settings_as(SelectSettings).baseline == "float32"


def refusal(folder: Path, plugins: Plugins, text: str, **overrides: str) -> str:
    write_project(folder, {"pyproject.toml": text})
    with pytest.raises(ConfigError) as caught:
        load_config(folder, plugins, {key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value)


def test_a_value_that_an_optimizer_refuses_is_told_with_the_variant_and_its_values(
    tmp_path: Path, plugins: Plugins
) -> None:
    told = refusal(tmp_path, plugins, PROJECT, matrix__pruned__quantization='["int8", "in8"]')
    assert "[tool.modelyard.matrix.pruned]: unknown model optimizer 'in8', did you mean 'int8'?" in told
    assert "\n  in the variant 'pruned-0.5-in8': sparsity = 0.5, quantization = 'in8'" in told
    told = refusal(tmp_path, plugins, PROJECT, matrix__pruned__sparsity="[0.5, 1.5]")
    assert "[tool.modelyard.matrix.pruned]: key 'sparsity': 1.5 is not allowed" in told
    assert "\n  in the variant 'pruned-1.5-float32': sparsity = 1.5," in told


def test_two_variants_of_one_name_are_told_with_both_tables(tmp_path: Path, plugins: Plugins) -> None:
    clash = PROJECT.replace('float32 = ["float32"]', 'float32 = ["float32"]\n"pruned-0.7-int8" = ["int8"]')
    told = refusal(tmp_path, plugins, clash)
    assert "matrix.pruned]: the variant 'pruned-0.7-int8' is in [tool.modelyard.variants], too\n  give the" in told
    second = PROJECT + '\n[tool.modelyard.matrix."pruned-0.5"]\nq = ["int8"]\nchain = ["{q}"]\n'
    assert "the variant 'pruned-0.5-int8' is in [tool.modelyard.matrix.pruned], too" in refusal(
        tmp_path, plugins, second
    )


def test_a_name_that_is_too_long_is_refused(tmp_path: Path, plugins: Plugins) -> None:
    told = refusal(tmp_path, plugins, PROJECT.replace("matrix.pruned", f"matrix.{'x' * 95}"))
    assert "is not allowed as the name of a variant" in told


def test_doit_lists_the_variants_and_the_command_line_changes_an_axis(tmp_path: Path) -> None:
    write_project(tmp_path, {"pyproject.toml": PROJECT})
    listed = run_doit(tmp_path, "list", "--all", "-q", "matrix.pruned.sparsity=[0.9]", "evaluate").stdout.split()
    assert listed == ["evaluate", "evaluate:float32", "evaluate:pruned-0.9-float32", "evaluate:pruned-0.9-int8"]
    refused = run_doit(tmp_path, "list", "matrix.pruned.sparcity=[0.9]")
    assert refused.returncode != 0
    assert "axis 'sparcity' is never used in the chain" in refused.stderr
    assert "Traceback" not in refused.stderr
