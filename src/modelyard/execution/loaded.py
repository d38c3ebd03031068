"""The project as a worker has it, loaded once for all stages that are forked from it."""

from __future__ import annotations

import importlib
from pathlib import Path

from modelyard.artifacts import FACTS
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Request
from modelyard.files.json import prepare
from modelyard.project.load import Project, load
from modelyard.stage import outline


class Loaded:
    """A project, or why it cannot be loaded, which is for its stages to report.

    Args:
        request: the first stage that is asked for: of which project, and with which overrides.
    """

    def __init__(self, request: Request) -> None:
        self._project = _load(request)
        stages = [] if isinstance(self._project, Exception) else self._project.plan.stages.values()
        # here, and not in each process that is forked: what it reads it writes to, counting references, and so copies
        self._outlines = {stage.id: outline(stage) for stage in stages}

    @property
    def failed(self) -> bool:
        """Whether it cannot be loaded."""
        return isinstance(self._project, Exception)

    def asked_for(self, request: Request) -> Project | Exception:
        """Return the project; or an error, if it cannot be loaded or the stage is not what it was when the build began."""
        if self.failed or self._outlines.get(request.stage) == request.outline:
            return self._project
        return StageFailed(
            f"{request.stage}: pyproject.toml or a plugin changed since this build began\n  run `doit` again"
        )


def _load(request: Request) -> Project | Exception:
    """Load the project and what its stages share."""
    try:
        project = load(Path(request.project), request.overrides, is_whole=request.is_whole)
        for runner in {stage.row.runner for stage in project.plan.stages.values()}:
            importlib.import_module(runner)
        importlib.import_module("numpy")  # nearly every stage needs it, and importing it takes longer than most
        prepare(FACTS)
    except Exception as exc:
        return exc
    return project
