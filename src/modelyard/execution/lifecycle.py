"""Call the hooks around a stage, in the process that runs it: those that may shape what it writes, then those that observe."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Collection

import msgspec

from modelyard.contexts import StageContext
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.digests import signature
from modelyard.files.walk import walk

StageHook = Callable[[Collection[str], str, StageContext], None]
"""Calls a hook around a stage: in the plugins of these names, with the stage's id and its context."""

_TICK_NS = 20_000_000
"""Two changes of a file within this time may leave the same stat."""


def before(job: Job) -> None:
    """Call what plugins have to do before the stage; see `_around`."""
    _around(job, "modelyard_before_stage_run", job.plugins.hooks.before_stage_run)


def after(job: Job) -> None:
    """Call what plugins have to do after the stage; see `_around`."""
    _around(job, "modelyard_after_stage_run", job.plugins.hooks.after_stage_run)


def tell_error(job: Job, error: Exception) -> None:
    """Call the hooks that are told of a stage's error; none of them can shape anything any more."""
    hooks, kind = job.plugins.hooks, job.stage.kind
    name = "modelyard_on_stage_error"
    hooks.on_stage_error([*hooks.shaping(name, kind), *hooks.observing(name, kind)], job.stage.id, job.base, error)


def _around(job: Job, hook: str, call: StageHook) -> None:
    """Call the implementations of `hook` that concern the stage.

    Args:
        job: the stage.
        hook: the hook's name.
        call: calls it in some plugins.

    Raises:
        PluginError: one that only observes changed what the stage writes.
        Exception: whatever a hook raised.
    """
    hooks, kind = job.plugins.hooks, job.stage.kind
    if shaping := hooks.shaping(hook, kind):
        call(shaping, job.stage.id, job.base)
    for plugin in hooks.observing(hook, kind):
        with job.unheard():
            _observe(job, hook, call, plugin)


def _observe(job: Job, hook: str, call: StageHook, plugin: str) -> None:
    """Call the hook of a plugin that says that it only observes, and see whether it does."""
    _let_a_tick_pass(job)
    before, environment = _state(job), dict(os.environ)
    base = job.base
    shown = msgspec.structs.replace(base, metrics=copy.deepcopy(base.metrics), warnings=list(base.warnings))
    call([plugin], job.stage.id, shown)
    after = _state(job)
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if dict(os.environ) != environment:
        changed.append("the environment variables")
    if changed:
        msg = (
            f"plugin {job.plugins.sources[plugin].file}: {hook} says that it only observes, but it changed {', '.join(changed)}\n"
            "  leave `observes` out, so that its code is in the key of what it changes"
        )
        raise PluginError(msg)


def _state(job: Job) -> dict[str, tuple[int, int, int, int]]:
    return {name: signature(info) for name, info in walk(job.base.out)}


def _let_a_tick_pass(job: Job) -> None:
    """Wait until no file is so young that a change of it could leave its stat as it is."""
    youngest = max((info.st_ctime_ns for _, info in walk(job.base.out)), default=0)
    time.sleep(max(0, min(_TICK_NS, youngest + _TICK_NS - time.time_ns())) / 1e9)
