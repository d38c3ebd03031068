"""A component may take its configuration as one struct: its fields are the keys of the table, typed and documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from modelyard.component import REQUIRED, Source, check_values
from modelyard.contexts import Problem
from modelyard.errors import ConfigError, PluginError
from modelyard.plugins.load import load_plugins
from modelyard.plugins.register import registered
from modelyard.typed_params import struct_of, taking_values
from modelyard_plugins.support.training_params import TrainingParams
from tests.front_door.builds import build

SOURCE = Source("test", "project", Path(__file__))


class Rounding(msgspec.Struct, frozen=True, kw_only=True):
    """How to round.

    Attributes:
        decimals: digits to keep.
        names: what is rounded,
            and in which order.
        strict: whether to fail
    """

    decimals: Annotated[int, msgspec.Meta(ge=0)]
    names: list[str] = []
    strict: bool = False


def rounds(context: object, *, params: Rounding) -> Rounding:
    """Round."""
    return params


def plain(context: object, *, decimals: int = 1) -> int:
    """Round plainly."""
    return decimals


def check(context: object, *, params: Rounding) -> Iterator[Problem]:
    """Yield that more than three digits are too many."""
    if params.decimals > 3:
        yield Problem("decimals", "it is too many", "allowed: 3")


def other(context: object, *, params: dict[str, int]) -> None:
    """Take a table called `params`."""


def unknown(context: object, *, params: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Take what is nowhere."""


def test_the_fields_are_the_parameters() -> None:
    one = registered("target", "x", rounds, {"templates": (), "check": check, "deploy_only": ("strict",)}, SOURCE)
    found = one.parameters
    assert {name: p.default for name, p in found.items()} == {"decimals": REQUIRED, "names": [], "strict": False}
    assert found["names"].doc == "what is rounded, and in which order."
    assert one.summary == "Round"
    assert one.file == Path(__file__)
    values = check_values(found, {"decimals": 2}, "here")
    assert one.function(None, **values) == Rounding(decimals=2)
    assert one.function(None, decimals=2) == Rounding(decimals=2), "what is left out is at its default"
    assert one.check is not None
    assert [p.key for p in one.check(None, decimals=4, names=[], strict=True)] == ["decimals"]


def test_values_are_checked_as_parameters_are() -> None:
    parameters = registered("dataset", "x", rounds, {}, SOURCE).parameters
    with pytest.raises(ConfigError, match="unknown key 'decimal', did you mean 'decimals'"):
        check_values(parameters, {"decimal": 1}, "here")
    with pytest.raises(ConfigError, match="key 'decimals' is missing"):
        check_values(parameters, {}, "here")
    with pytest.raises(ConfigError, match="key 'decimals': -1 is not allowed"):
        check_values(parameters, {"decimals": -1}, "here")


def test_other_functions_stay_as_they_are() -> None:
    assert struct_of(rounds) is Rounding
    assert struct_of(taking_values(rounds)) is Rounding
    for function in (plain, other, unknown):
        assert struct_of(function) is None
        assert taking_values(function) is function
    assert list(registered("dataset", "x", other, {}, SOURCE).parameters) == ["params"]


@pytest.mark.parametrize(
    ("function", "traits", "message"),
    [
        (unknown, {}, "cannot read the parameters' annotations: name 'Missing' is not defined"),
        (rounds, {"plan_only": ("decimals",)}, "names 'decimals', which is no keyword-only parameter with a default"),
        (rounds, {"plan_only": ("stict",)}, "names 'stict', did you mean 'strict'?"),
    ],
)
def test_mistakes_are_told(function: Callable[..., object], traits: dict[str, object], message: str) -> None:
    needed = {"after": "select", "plan": plain}
    with pytest.raises(PluginError) as caught:
        registered("kind", "x", function, {**needed, **traits}, SOURCE)
    assert message in str(caught.value)


PLUGIN = """
from __future__ import annotations

import msgspec

from modelyard import hookimpl
from modelyard.params import Port


class Note(msgspec.Struct, frozen=True, kw_only=True):
    \"\"\"A note.

    Attributes:
        greeting: what it begins with.
        port: the machine's port.
    \"\"\"

    greeting: str
    port: Port = 8080


def letter(context, *, params: Note):
    \"\"\"Write a letter.\"\"\"
    context.write("letter.txt", f"{params.greeting}, {params.port}")


@hookimpl
def modelyard_register_targets(register):
    register("letter", letter, templates=())
"""


def test_a_target_of_a_plugin_takes_a_struct(toy_project: Path) -> None:
    (toy_project / "plugins" / "letter.py").write_text(PLUGIN)
    file = toy_project / "pyproject.toml"
    file.write_text(file.read_text() + '\n[tool.modelyard.targets.letter]\ngreeting = "hello"\n')
    done = build(toy_project)
    assert done.code == 0, done.output
    assert (toy_project / "artifacts/render/letter/letter.txt").read_text() == "hello, 8080"
    assert build(toy_project, "targets.letter.port=80").built == {"render:letter"}
    assert "greeting: str; required\n      what it begins with." in build(toy_project, "plugins", "letter").output
    refused = build(toy_project, "list", "targets.letter.prot=80").output
    assert "unknown key 'prot', did you mean 'port'?\n  the target 'letter' takes: greeting, port" in refused
    file.write_text(file.read_text().replace('greeting = "hello"', ""))
    assert "key 'greeting' is missing" in build(toy_project, "list").output


def test_the_built_in_targets_take_structs(tmp_path: Path) -> None:
    targets = load_plugins(tmp_path).of_kind("target")
    assert {name for name in targets if struct_of(targets[name].function)} == {"compose", "knative", "kubernetes"}


def test_the_built_in_trainers_share_one_struct(tmp_path: Path) -> None:
    trainers = load_plugins(tmp_path).of_kind("trainer")
    structs = {name: struct_of(one.function) for name, one in trainers.items()}
    assert {name for name, one in structs.items() if one} == {"keras", "tensorflow", "torch"}
    assert all(issubclass(one, TrainingParams) for one in structs.values() if one)
    assert [*trainers["torch"].parameters] == [*trainers["keras"].parameters, "layout"], "in the order of the page"
    assert {trainers[name].parameters["optimizer"].doc for name in ("keras", "torch")} == {"what moves the weights."}
