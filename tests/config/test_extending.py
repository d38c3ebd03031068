from __future__ import annotations

from typing import Any

import pytest
from tests.configs import Load

from modelyard.config.extending import extended
from modelyard.errors import ConfigError
from modelyard.toml.places import ConfigSource

WHERE = ConfigSource().where("targets")


def test_a_target_that_extends_none_is_its_own_table_with_its_component() -> None:
    assert extended({"cluster": {"replicas": 2}}, "cluster", WHERE) == {"use": "cluster", "replicas": 2}
    assert extended({"eu": {"use": "cluster"}}, "eu", WHERE) == {"use": "cluster"}


def test_the_first_of_a_chain_names_the_component_of_all() -> None:
    targets: dict[str, Any] = {
        "base": {"use": "cluster", "labels": {"team": "vision"}, "hosts": ["a"]},
        "prod": {"extends": "base", "use": "cluster", "labels": {"stage": "prod"}},
        "eu": {"extends": "prod", "hosts": ["b"]},
    }
    both = {"team": "vision", "stage": "prod"}
    assert extended(targets, "eu", WHERE) == {"use": "cluster", "labels": both, "hosts": ["b"]}
    assert targets["base"]["labels"] == {"team": "vision"}, "the file's tables stay as they are"


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ({"a": {"extends": "b"}, "b": {"extends": "a"}}, "key 'extends': 'a' extends itself: a -> b -> a"),
        ({"a": {"extends": "b"}, "b": {"extends": "b"}}, "'b' extends itself: b -> b\n  remove one of them"),
        ({"a": {"extends": "b"}, "b": 3}, "key 'extends': 'b' is no target"),
        ({"a": {"extends": ["b"]}, "b": {}}, "key 'extends': ['b'] is no target\n  targets: b"),
        (
            {"a": {"extends": "b", "use": "other"}, "b": {"extends": "c"}, "c": {}},
            "key 'use': 'other' is another component than that of the target which is extended\n  allowed: 'c', or no",
        ),
    ],
)
def test_what_cannot_be_extended_is_named(targets: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        extended(targets, "a", WHERE)
    assert said in str(caught.value)


# Through a project


def test_a_target_extends_another_key_by_key(load: Load) -> None:
    tables = {
        "tool.modelyard.targets.kubernetes": 'namespace = "models"\nreplicas = 3\nlabels = { team = "vision" }',
        "tool.modelyard.targets.prod": 'extends = "kubernetes"\nlabels = { stage = "prod" }\nmax_replicas = 9',
        "tool.modelyard.targets.eu": 'extends = "prod"\nnamespace = "eu"',
    }
    config = load(tables)
    prod, eu = config.targets["prod"], config.targets["eu"]
    assert prod.component.name == eu.component.name == "kubernetes"
    assert (prod.params["namespace"], prod.params["replicas"], prod.params["max_replicas"]) == ("models", 3, 9)
    assert eu.params["labels"] == {"team": "vision", "stage": "prod"}
    assert (eu.params["namespace"], eu.params["max_replicas"]) == ("eu", 9)
    assert load(tables, targets__kubernetes__replicas="4").targets["eu"].params["replicas"] == 4


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"a": 'extends = "kubernets"'}, "key 'extends': 'kubernets' is no target, did you mean 'kubernetes'?"),
        ({"a": "extends = 3"}, "key 'extends': 3 is no target"),
        ({"a": 'extends = "a"'}, "'a' extends itself: a -> a"),
        ({"a": 'extends = "b"', "b": 'extends = "a"'}, "extends itself: "),
        ({"a": 'extends = "kubernetes"\nuse = "compose"'}, "'compose' is another component than that of the target"),
        ({"a": 'extends = "kubernetes"\nreplica = 2'}, "unknown key 'replica', did you mean 'replicas'?"),
    ],
)
def test_a_target_that_extends_what_it_cannot_is_named(load: Load, tables: dict[str, str], said: str) -> None:
    every = {f"tool.modelyard.targets.{name}": text for name, text in {"kubernetes": "", **tables}.items()}
    with pytest.raises(ConfigError) as caught:
        load(every)
    assert said in str(caught.value)
    assert "pyproject.toml:" in str(caught.value)
