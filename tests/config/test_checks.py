"""A component's own `check`: what values mean, told when the project is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests import configs
from tests.configs import Load

from modelyard.component import Component, Source
from modelyard.contexts import CheckContext, Problem
from modelyard.errors import PluginError
from modelyard.plugins.load import load_plugins

T = "tool.modelyard"
CHECKED = configs.PLUGIN.replace('register("cluster", deploy', 'register("cluster", deploy, check=check').replace(
    "@hookimpl\ndef modelyard_register_datasets",
    """def check(context, *, replicas):
    from modelyard.contexts import Problem

    if replicas > 3:
        yield Problem("replicas", f"{context.runtime} on {context.name} {context.version} has 3", "allowed: 1 to 3")
    if replicas == 13:
        yield Problem("name", "it has bad luck", "take another")
    if replicas == 14:
        yield Problem("use", "it is shut", "take another")


@hookimpl
def modelyard_register_datasets""",
    1,
)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    made = Load(tmp_path_factory.mktemp("checks") / "project")
    (made.project / "plugins" / "all.py").write_text(CHECKED)
    made.plugins = load_plugins(made.project)
    return made


def test_a_value_that_the_check_accepts_is_read(load: Load) -> None:
    assert load({f"{T}.targets.cluster": "replicas = 3"}).targets["cluster"].params == {"replicas": 3}


def test_what_the_check_finds_is_told_like_a_value_of_the_wrong_type(load: Load) -> None:
    assert load.refused({f"{T}.targets.cluster": "replicas = 4"}) == (
        "pyproject.toml:26: [tool.modelyard.targets.cluster]: key 'replicas': 4 is not allowed: "
        "runner on some-project 2.1 has 3\n  allowed: 1 to 3"
    )


def test_what_is_with_the_component_itself_is_told_at_its_name(load: Load) -> None:
    told = load.refused({f"{T}.targets.b": 'use = "cluster"\nreplicas = 14'})
    assert "[tool.modelyard.targets.b]: key 'use': 'cluster' is not allowed: it is shut\n  take another" in told


def test_all_components_are_checked_and_all_is_told_at_once(load: Load) -> None:
    found = load.refused({f"{T}.targets.cluster": "replicas = 13", f"{T}.targets.b": 'use = "cluster"\nreplicas = 5'})
    assert [line.partition(": key")[0] for line in found.splitlines()[::2]] == [
        "pyproject.toml:26: [tool.modelyard.targets.cluster]",
        "pyproject.toml:5: [tool.modelyard]",
        "pyproject.toml:30: [tool.modelyard.targets.b]",
    ]
    assert "key 'name': 'some-project' is not allowed: it has bad luck" in found


def test_the_command_line_and_profiles_that_are_not_chosen_are_checked_too(load: Load) -> None:
    tables = {f"{T}.targets.cluster": "replicas = 3"}
    found = load.refused(tables, targets__cluster__replicas="4")
    assert found.startswith("command line: targets.cluster.replicas=4: key 'replicas': 4 is not allowed: ")
    found = load.refused({**tables, f"{T}.profiles.large.targets.cluster": "replicas = 4"})
    assert found.endswith("\n  in the profile 'large'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'repository = "https://registry.example/team/x"',
            "a repository has no scheme\n  allowed: 'registry.example/team/x'",
        ),
        (
            'repository = "registry.example/Team/x"',
            "a repository has no capitals\n  allowed: 'registry.example/team/x'",
        ),
        (
            'repository = "https://registry.example/Team/X"',
            "no capitals\n  allowed: 'registry.example/team/x'",
        ),
        (
            'repository = "registry.example:5000/x:1.0"',
            "no tag and no digest; `tag` is a key of its own\n  allowed: 'reg",
        ),
        ('repository = "a b"', "no registry takes such a name\n  allowed: HOST/PATH or PATH"),
        ('repository = "a//b"', "no registry takes such a name"),
        (f'repository = "{"a" * 256}"', "no registry takes such a name"),
        ('tag = "a b"', "key 'tag': 'a b' is not allowed: no registry takes such a tag\n  allowed: up to 128 letters"),
        ('tag = "-a"', "no registry takes such a tag"),
    ],
)
def test_an_image_that_no_registry_takes_is_refused(load: Load, text: str, said: str) -> None:
    found = load.refused({f"{T}.image": text})
    assert re.match(r"pyproject.toml:\d+: \[tool.modelyard.image\]: key '(repository|tag)': ", found)
    assert said in found


@pytest.mark.parametrize("name", ["x", "team/x", "registry.example:5000/team/x__y", "localhost/x", "[::1]:5000/x"])
def test_an_image_that_a_registry_takes_is_not(load: Load, name: str) -> None:
    assert load({f"{T}.image": f'repository = "{name}"\ntag = "V1.0_a"'}).settings.image.repository == name


def wrong_key(context: CheckContext, **params: int) -> list[Problem]:
    return [Problem("replica", "it is wrong", "mend it")]


def raising(context: CheckContext, **params: int) -> None:
    raise KeyError(params["replicas"])


def plain_text(context: CheckContext, **params: int) -> list[str]:
    return ["it is wrong"]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (wrong_key, "names the parameter 'replica', did you mean 'replicas'?\n  known: name, replicas, use, version"),
        (raising, "its check raised KeyError: 1\n  it must take every value that the types allow"),
        (plain_text, "its check gave 'it is wrong', which is no Problem\n  yield Problem(key, why, instead)"),
    ],
)
def test_a_check_that_breaks_its_contract_is_the_plugins_mistake(check: object, said: str) -> None:
    from modelyard.config.checks import problems

    component = Component("target", "cluster", wrong_key, Source("p", "project", Path("p.py")), check=check)  # type: ignore[arg-type]
    with pytest.raises(PluginError) as caught:
        problems(component, {"replicas": 1}, CheckContext(name="a", version="1", runtime="r"))
    assert str(caught.value).startswith("the target 'cluster' (p.py): ")
    assert said in str(caught.value)
