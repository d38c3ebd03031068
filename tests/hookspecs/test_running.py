from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import pytest
from tests.hookspecs.registering import manager, plugin

from modelyard.hookspecs import HOOKS
from modelyard.hookspecs import running as module
from modelyard.stage import Stage

NAMES = [name for name in vars(module) if name.startswith("modelyard_")]


def reading(formats: dict[str, Any], asked: list[str]) -> ModuleType:
    """Return a plugin that knows some formats, and notes what it is asked about."""

    def read_model_file(model: str) -> Any:
        asked.append(next(iter(formats)))
        return formats.get(model)

    return plugin(read_model_file=read_model_file)


def test_the_nearest_plugin_that_knows_a_format_tells_what_its_file_shows() -> None:
    asked: list[str] = []
    built_in = reading({"onnx": "far", "keras": "far"}, asked)
    hooks = manager(built_in, reading({"raw": "installed"}, asked), reading({"onnx": "near"}, asked)).hook
    assert hooks.modelyard_read_model_file(model="onnx") == "near"
    assert asked == ["onnx"], "the others are not asked"
    assert hooks.modelyard_read_model_file(model="keras") == "far"
    assert hooks.modelyard_read_model_file(model="x") is None


def test_formats_with_classes_are_those_of_all_plugins_that_name_some() -> None:
    one, other = plugin(formats_with_classes=lambda: ["a"]), plugin(formats_with_classes=lambda: ("b", "c"))
    silent = plugin(formats_with_classes=lambda: None)
    assert sorted(map(list, manager(one, silent, other).hook.modelyard_formats_with_classes())) == [["a"], ["b", "c"]]


def test_a_plan_and_manifests_are_changed_in_place_by_each_plugin() -> None:
    def amend_plan(stages: list[Stage]) -> None:
        stages[:] = [*stages, Stage("train", f"n{len(stages)}")]

    def amend_manifests(target: str, documents: list[dict[str, Any]]) -> None:
        for document in documents:
            document[f"of-{target}"] = document.get(f"of-{target}", 0) + 1

    both = (plugin(amend_plan=amend_plan, amend_manifests=amend_manifests) for _ in range(2))
    hooks, stages, documents = manager(*both).hook, list[Stage](), [{"kind": "Service"}, {"kind": "Job"}]
    hooks.modelyard_amend_plan(stages=stages)
    assert [one.id for one in stages] == ["train:n0", "train:n1"]
    hooks.modelyard_amend_manifests(target="eu", documents=documents)
    assert documents == [{"kind": "Service", "of-eu": 2}, {"kind": "Job", "of-eu": 2}]


def test_around_a_stage_a_plugin_takes_the_arguments_that_it_needs() -> None:
    told: list[Any] = []
    hooks = manager(
        plugin(
            before_stage_run=lambda stage: told.append(("before", stage)),
            after_stage_run=lambda context: told.append(("after", context)),
            on_stage_error=lambda error, stage: told.append((error, stage)),
        )
    ).hook
    error = ValueError("no")
    hooks.modelyard_before_stage_run(stage="train:net", context=Path())
    hooks.modelyard_after_stage_run(stage="train:net", context=Path())
    hooks.modelyard_on_stage_error(stage="train:net", context=Path(), error=error)
    assert told == [("before", "train:net"), ("after", Path()), (error, "train:net")]


def test_raising_before_a_stage_stops_it() -> None:
    def before_stage_run() -> None:
        msg = "not today"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="not today"):
        manager(plugin(before_stage_run=before_stage_run)).hook.modelyard_before_stage_run(stage="a:b", context=None)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_hook_that_refuses_what_it_is_not_called_with(name: str) -> None:
    assert name in HOOKS
    with pytest.raises(pluggy.PluginValidationError, match="unheard_of"):
        manager(plugin(**{name.removeprefix("modelyard_"): lambda unheard_of: None}))
