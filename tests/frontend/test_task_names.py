from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from tests.plans import SOURCE, nothing, plugins_of

from modelyard.commands import deployment, foreground
from modelyard.component import Component
from modelyard.errors import PluginError
from modelyard.frontend.task_names import FOREGROUND, check_task_names, no_tasks
from modelyard.plugins.load import Plugins


def with_kind(name: str, empty: Path) -> Plugins:
    known = plugins_of(empty)
    extra = Component("kind", name, nothing, SOURCE)
    return msgspec.structs.replace(known, components={**known.components, ("kind", name): extra})


def test_a_name_that_nothing_has_may_be_that_of_a_kind(tmp_path: Path) -> None:
    check_task_names(plugins_of(tmp_path))
    check_task_names(with_kind("notify", tmp_path))


@pytest.mark.parametrize("name", ["list", "clean", "tabcompletion", "why", "report-diff", "serve", "export"])
def test_a_command_or_a_task_that_acts_has_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        check_task_names(with_kind(name, tmp_path))
    first, second = str(caught.value).splitlines()
    assert first == f"plugin test.py: register({name!r}): `doit {name}` is something else already"
    assert name in second.removeprefix("  taken: ").split(", ")


def test_each_task_that_acts_is_made_by_a_command() -> None:
    assert {*FOREGROUND} == {*foreground._TASKS, *deployment.PARAMS, "events"}


def test_what_a_dodo_lacks_can_be_pasted_into_it() -> None:
    first, _, *lines = no_tasks("notify").splitlines()
    assert first == "dodo.py: it has no tasks for the stages of the kind 'notify'"
    project = SimpleNamespace(tasks=lambda: [{"name": "notify:all"}])
    scope: dict[str, object] = {"project": project}
    exec("\n".join(line.removeprefix("    ") for line in lines), scope)
    task_others = scope["task_others"]
    assert callable(task_others)
    assert list(task_others()) == project.tasks()
