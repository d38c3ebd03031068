"""Before the first stage of a build runs: whether the build can reach its end, all that is in its way told at once."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from modelyard.build.state import BuildState
    from modelyard.preflight.needs import Finding
    from modelyard.stage import Stage


def refuse(state: BuildState, names: Collection[str], *, forced: bool = False) -> None:
    """Refuse a build that cannot reach its end; a build with nothing to do pays nothing.

    Args:
        state: of the project's build.
        names: the tasks that the build is to bring up to date or to carry out, those that they need included.
        forced: whether every stage is to run, up to date or not.

    Raises:
        ToolError: something is missing; the message tells all of it, with what needs it and what to do.
    """
    stages = [stage for name, stage in state.plan.stages.items() if name in names]
    stale = stages if forced else [stage for stage in stages if not state.judge.needs_nothing(stage)]
    tasks = [name for name in names if ":" in name and name not in state.plan.stages]
    found = _look(state, stale, tasks, forced=forced) if stale else []
    if found:
        lines = [f"  {line}" for finding in found for line in str(finding).splitlines()]
        msg = "\n".join(
            ["this build cannot reach its end, so that nothing was started:", *lines, _advice(state, found, stale)]
        )
        raise ToolError(msg)


def _look(state: BuildState, stale: list[Stage], tasks: Collection[str], *, forced: bool) -> list[Finding]:
    """Return what is missing for those stages that will run, or may; what can be restored needs nothing."""
    from modelyard.preflight.needs import find

    if not (find(state.project, stale, tasks, placement=state.placement) or any(_too_small(state, stale))):
        return []  # whatever runs: nothing is missing, so that nobody need find out what will
    running = stale if forced else _running(state, stale)
    return [
        *find(state.project, running, tasks if running else (), placement=state.placement),
        *_too_small(state, running),
    ]


def _running(state: BuildState, stale: list[Stage]) -> list[Stage]:
    verdicts = state.judge.verdicts(stale)
    return [stage for stage in stale if not verdicts[stage.id].is_settled]


def _too_small(state: BuildState, stages: Iterable[Stage]) -> Iterator[Finding]:
    """Yield each disk that has less room than the last results of `stages` took; what was never made is not known."""
    from modelyard.preflight.needs import Finding

    sizes = {
        stage.id: sum(e.size for e in brief.outputs.values()) for stage in stages if (brief := state.judge.brief(stage))
    }
    needed = sum(sizes.values())
    for place in {_disk(path): path for path in (state.store.root, state.project.folder)}.values():
        free = shutil.disk_usage(_existing(place)).free
        if free < needed:
            what = (
                f"the disk of {place} has {free / 1e6:,.0f} MB free, and their last results took {needed / 1e6:,.0f} MB"
            )
            yield Finding(who=list(sizes), what=what, instead="make room, for instance with `doit gc --max-size SIZE`")


def _disk(path: Path) -> int:
    return _existing(path).stat().st_dev


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def _advice(state: BuildState, found: Iterable[Finding], stale: Iterable[Stage]) -> str:
    """Return the last line: what of the build can be had without what is missing."""
    stopped = {name for finding in found for name in finding.who}
    for stage in state.plan.stages.values():
        if any(one.id in stopped for one in state.plan.upstream(stage)):
            stopped.add(stage.id)
    free = [stage.id for stage in stale if stage.id not in stopped]
    return f"  what needs none of this can be built: `doit {free[-1]}`" if free else "  then run `doit` again"
