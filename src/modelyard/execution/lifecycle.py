"""Call the hooks around a stage, in the process that runs it: those that may shape what it writes, then those that observe."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.digests import signature, walk

_TICK_NS = 20_000_000
"""Two changes of a file within this time may leave the same stat."""


def call(job: Job, hook: str, unheard: Callable[[], AbstractContextManager[None]]) -> None:
    """Call the implementations of `hook` that concern the stage.

    Args:
        job: the stage.
        hook: the hook's name.
        unheard: lets what only observes read what it likes.

    Raises:
        PluginError: one that only observes changed what the stage writes.
        Exception: whatever a hook raised.
    """
    what: dict[str, Any] = {"stage": job.stage.id, "context": job.base}
    job.plugins.caller(hook, job.plugins.shaping(hook, job.stage.kind))(**what)
    for plugin in job.plugins.observing(hook, job.stage.kind):
        with unheard():
            _observe(job, hook, plugin)


def tell_error(job: Job, error: Exception) -> None:
    """Call the hooks that are told of a stage's error; none of them can shape anything any more."""
    hook, kind = "modelyard_on_stage_error", job.stage.kind
    plugins = [*job.plugins.shaping(hook, kind), *job.plugins.observing(hook, kind)]
    job.plugins.caller(hook, plugins)(stage=job.stage.id, context=job.base, error=error)


def _observe(job: Job, hook: str, plugin: str) -> None:
    """Call the hook of a plugin that says that it only observes, and see whether it does."""
    _let_a_tick_pass(job)
    before, environment = _state(job), dict(os.environ)
    base = job.base
    shown = msgspec.structs.replace(base, metrics=copy.deepcopy(base.metrics), warnings=list(base.warnings))
    job.plugins.caller(hook, [plugin])(stage=job.stage.id, context=shown)
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
