"""The `doit` process's side of one run of a stage: what its worker is asked, and what it answered."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import StageFailed
from modelyard.execution.log import add_traceback
from modelyard.execution.pool import Pool
from modelyard.execution.protocol import Request, Result
from modelyard.files.atomic import open_in_folder
from modelyard.files.locks import take
from modelyard.keys import pinning
from modelyard.keys.sightings import Sighting
from modelyard.keys.ways import code_of, ways_of
from modelyard.oci.cache import folder_of_images
from modelyard.project.load import Project
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage, outline
from modelyard.toml.places import placed


class Run(msgspec.Struct, frozen=True):
    """What came of a run: the stage's answer, and the most memory of its own that its process took, in bytes."""

    result: Result
    peak_memory_bytes: int


class StageRunner:
    """Runs stages of one project in the worker processes of `pool`."""

    def __init__(self, project: Project, workspace: Workspace, tell: Callable[[str], None], pool: Pool) -> None:
        self._project, self._workspace, self._tell, self._pool = project, workspace, tell, pool

    @contextmanager
    def resources(self, stage: Stage) -> Iterator[None]:
        """Hold the named resources of `stage` while the block runs, waiting for them if need be.

        Raises:
            StoreError: another build holds one, and this one does not wait.
        """
        config, locks = self._project.config, self._workspace.state / "locks"
        with ExitStack() as stack:
            for name in sorted(stage.resources):  # in one order, so that no two stages wait for each other
                places, wait = config.resources[name], config.settings.store.wait
                stack.enter_context(take(locks, name, places, self._tell, wait=wait))
            yield

    def run(self, stage: Stage, sighting: Sighting, scratch: Path, on_event: Callable[[dict[str, Any]], None]) -> Run:
        """Run the stage; it writes to the folder `out` in `scratch`.

        Args:
            stage: the stage; all that it reads must be there.
            sighting: what its key was made of.
            scratch: an empty folder.
            on_event: called with each progress event.

        Raises:
            StageFailed: the stage failed, or its process died; its log says more.
        """
        log = self._workspace.log(stage)
        os.close(open_in_folder(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        (scratch / "out").mkdir()
        request = self._request(stage, sighting, scratch, log)
        environment, preload = _environment(stage)
        heard = functools.partial(self._hear, stage, on_event)
        result, peak = self._pool.run(request, scratch / "request.json", environment, preload, heard)
        if result.failure is not None:
            add_traceback(log, result.failure.traceback)
            raise StageFailed(placed(result.failure.message, self._project.plan.config_of(stage).source))
        return Run(result, peak)

    def _hear(self, stage: Stage, on_event: Callable[[dict[str, Any]], None], event: dict[str, Any]) -> None:
        if "left" in event:
            processes = "a process" if event["left"] == 1 else f"{event['left']} processes"
            self._tell(f"{stage.id}: ended {processes} that it left behind: {event['note']}")
        else:
            on_event(event)

    def _request(self, stage: Stage, sighting: Sighting, scratch: Path, log: Path) -> Request:
        folder, stages = self._workspace.folder, self._project.plan.stages
        inputs = {i.role: str(folder(stages[i.stage]) / i.part) for i in stage.inputs}
        cache = self._workspace.cache()
        return Request(
            id=self._pool.number(),
            project=str(self._project.folder),
            overrides=self._project.overrides,
            is_whole=self._project.is_whole,
            stage=stage.id,
            outline=outline(stage),
            sources=sighting.sources,
            files=[*sighting.roots, *inputs.values(), str(folder_of_images(cache).absolute())],
            inputs=inputs,
            out=str(scratch / "out"),
            cache=str(cache),
            code=code_of(stage, sighting.fingerprint.parts),
            ways=ways_of(stage, sighting.fingerprint.parts),
            result=str(scratch / "result.json"),
            log=str(log),
        )


def _environment(stage: Stage) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that the stage's worker must have, and the modules that it imports first."""
    variables = pinning.variables(stage.threads, stage.isa)
    preload: list[str] = []
    for use in stage.uses.values():
        variables |= use.component.environment
        preload += [m for m in use.component.preload if m not in preload]
    return variables, tuple(preload)
