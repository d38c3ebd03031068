"""Stages of the toy project, each run in this process with what those before it made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.component import Component, Use
from modelyard.contexts import StageContext
from modelyard.execution.job import Job
from modelyard.files.json import read_json, write_json
from modelyard.project.load import load
from modelyard.stage import Stage


class Toy:
    """The toy project in a folder; `lines` holds what its stages logged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.project = folder, load(folder)
        self.lines: list[str] = []

    def stage(self, name: str, **functions: Callable[..., Any]) -> Stage:
        """Return the stage called `name`; `functions` take the place of its components', by role."""
        stage = self.project.plan.stages[name]
        if "model" in stage.uses:
            functions = {"model": _build, **functions}
        own = {role: Use(_calling(stage.uses[role], function), {}) for role, function in functions.items()}
        return msgspec.structs.replace(stage, uses={**stage.uses, **own})

    def job(self, stage: Stage, inputs: Mapping[str, Path] | None = None) -> Job:
        """Return the job of a stage, which writes to a folder that is empty; by default it reads what was made before."""
        out = self.folder / stage.place
        out.mkdir(parents=True)
        places = {one.role: self.folder / self.project.plan.stages[one.stage].place / one.part for one in stage.inputs}
        base = StageContext(
            out=out,
            project=self.folder,
            cache=self.folder / ".modelyard",
            seed=0,
            progress=lambda *_, **__: None,
            log=self.lines.append,
        )
        return Job(stage, self.project.plan, self.project.plugins, inputs or places, base, self.folder / "log")

    def make(self, name: str) -> Path:
        """Return the artifact of a stage, made with all that it reads."""
        stage = self.stage(name)
        if not (self.folder / stage.place).exists():
            for one in stage.inputs:
                self.make(one.stage)
            importlib.import_module(stage.row.runner).run(self.job(stage))
        return self.folder / stage.place

    def selected(self) -> Path:
        """Return the folder of a model that was picked, whose facts nobody measured."""
        folder = self.make("optimize:plain")
        said = read_json(folder / "model.json", dict)
        known = {"variant": "plain", "sha256": "ab" * 32, "size_bytes": 3, "metrics": {"accuracy": 0.5}}
        write_json(folder / "model.json", {**said, **known})
        return folder


def _build(input_shape: object, classes: object) -> dict[str, object]:
    """Build the project's model; a worker would find it in the project's folder."""
    return {"classes": classes}


def _calling(use: Use, function: Callable[..., Any]) -> Component:
    return msgspec.structs.replace(use.component, function=function)
