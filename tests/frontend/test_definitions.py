from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator

import pytest
from doit import loader

from modelyard.frontend import definitions


def plain() -> None: ...


@functools.wraps(plain)
def wrapped() -> None: ...


@functools.cache
def cached() -> None: ...


class Creator:
    def create_doit_tasks(self) -> None: ...


@pytest.mark.parametrize("creator", [plain, wrapped, cached, Creator().create_doit_tasks, Creator])
def test_a_function_is_defined_where_inspect_says(creator: object) -> None:
    assert definitions.getsourcelines(creator)[1] == inspect.getsourcelines(creator)[1]  # type: ignore[arg-type]


def test_what_has_no_source_is_refused_as_inspect_does() -> None:
    with pytest.raises(TypeError):
        definitions.getsourcelines(functools.partial(plain))


def test_doit_asks_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doit that did would fail here first."""
    monkeypatch.setattr(loader, "inspect", definitions)

    def task_two() -> dict[str, object]:
        return {"actions": ["true"]}

    def task_one() -> Iterator[dict[str, object]]:
        yield {"name": "a", "actions": ["true"]}

    found = loader.load_tasks({"task_one": task_one, "task_two": task_two})

    assert [task.name for task in found] == ["two", "one", "one:a"], "in the order of their lines"
