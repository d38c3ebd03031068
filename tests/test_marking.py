from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy
import pytest

from modelyard import hookimpl
from modelyard.errors import PluginError
from modelyard.marking import Scope, scope_of
from modelyard.project.load import load

if TYPE_CHECKING:
    from pathlib import Path


@hookimpl
def plain() -> None: ...


@hookimpl(observes=True, kinds=["train"], tryfirst=True)
def observer() -> None: ...


@pluggy.HookimplMarker("modelyard")
def pluggys_own() -> None: ...


def test_a_hook_says_what_it_concerns() -> None:
    assert scope_of(plain) == scope_of(pluggys_own) == Scope()
    assert scope_of(observer) == Scope(observes=True, kinds=("train",))
    assert observer.modelyard_impl["tryfirst"]  # type: ignore[attr-defined]
    assert scope_of(plain).concerns("train")
    assert scope_of(plain).concerns("render")
    assert scope_of(observer).concerns("train")
    assert not scope_of(observer).concerns("render")


HOOK = "from modelyard import hookimpl\n\n\n@hookimpl({options})\ndef {hook}({argument}):\n    pass\n"


@pytest.mark.parametrize(
    ("options", "hook", "argument", "message"),
    [
        (
            'kinds=("trian",)',
            "modelyard_after_stage_run",
            "stage",
            "modelyard_after_stage_run is for the kind of stage 'trian', did you mean 'train'?\n  kinds: ",
        ),
        (
            "observes=True",
            "modelyard_amend_manifests",
            "documents",
            "'modelyard_amend_manifests' cannot say `observes` or `kinds`\n  these can: modelyard_",
        ),
        ('kinds=("train",)', "modelyard_register_models", "register", "cannot say `observes` or `kinds`"),
    ],
)
def test_what_no_hook_can_say_is_refused(
    options: str, hook: str, argument: str, message: str, toy_project: Path
) -> None:
    plugin = toy_project / "plugins" / "hook.py"
    plugin.write_text(HOOK.format(options=options, hook=hook, argument=argument))
    with pytest.raises(PluginError) as caught:
        load(toy_project)
    assert message in str(caught.value)
    assert str(plugin) in str(caught.value)
