"""`doit deploy` and `doit undeploy`: what a person asks for, put into a target's hands."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.stage_settings import ImageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from modelyard.build.engine import Engine
    from modelyard.contexts import DeployContext, Rendered
    from modelyard.stage import Stage
    from modelyard.store.record import Record

_WHOLE = 64
"""Digits of a key."""


def _flag(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "long": name.replace("_", "-"), "short": "", "type": bool, "default": False, "help": text}


_DRY_RUN = _flag("dry_run", "tell what would change, and change nothing")
_YES = _flag("yes", "agree to what would be asked")
_TO = {"name": "to", "long": "to", "short": "", "type": str, "default": "", "help": "go back to a revision of the Deployment, a render of `doit history`, or an image's digest"}  # fmt: skip
PARAMS = {
    "deploy": [_TO, _flag("diff", "show what changes line by line"), _DRY_RUN, _YES],
    "undeploy": [_DRY_RUN, _YES],
}
"""The options of each task, in doit's form."""


def tasks(engine: Engine, name: str, doc: str, act: Callable[[Callable[..., None]], Any]) -> Iterator[dict[str, Any]]:
    """Yield the doit tasks called `name`, `deploy` or `undeploy`: one a target that can do it, and their group.

    Args:
        engine: the project's.
        name: what the tasks are called.
        doc: what the group does.
        act: makes a doit action of a function that takes the options.
    """
    words = {"deploy": "apply what render:{} made", "undeploy": "remove what deploy:{} made"}
    yield {"name": None, "actions": None, "doc": doc, "params": PARAMS[name]}
    for stage in engine.plan.of_kind("render"):
        function = getattr(stage.uses["target"].component, name)
        if function is not None:
            yield {
                "name": stage.name,
                "doc": words[name].format(stage.name),
                "file_dep": [stage.handle()] if name == "deploy" else [],
                "uptodate": [False],
                "params": PARAMS[name],
                "actions": [act(functools.partial(carry_out, engine, stage, name))],
                "verbosity": 2,
            }


def hand_down(tasks: Mapping[str, Any]) -> None:
    """Give the options of a group to those of its tasks that have any; who goes back to something earlier waits for no build."""
    groups = [task for task in tasks.values() if task.name in (*PARAMS, "events") and task.options]
    for group in groups:
        for name in group.task_dep:
            if tasks[name].params:
                tasks[name].options = dict(group.options)
    for task in tasks.values():
        if task.name.startswith("deploy") and task.options and task.options.get("to"):
            _unbind(task, tasks)


def _unbind(task: Any, tasks: Mapping[str, Any]) -> None:
    task.file_dep = set()
    task.task_dep = [name for name in task.task_dep if not name.startswith("render:")]
    for name in task.task_dep:
        _unbind(tasks[name], tasks)


def carry_out(engine: Engine, stage: Stage, what: str, **options: Any) -> None:
    """Let the target of `stage` deploy, or take away, what was rendered.

    Raises:
        ToolError: nothing was rendered yet, or the target cannot do it.
    """
    use = engine.plan.config_of(stage).targets[stage.own_name]  # with what concerns the deployment alone
    getattr(use.component, what)(_context(engine, stage, what, options), **use.params)


def _context(engine: Engine, stage: Stage, what: str, options: Mapping[str, Any]) -> DeployContext:
    from modelyard.contexts import DeployContext, Rendered

    config = engine.plan.config_of(stage)
    image = engine.plan.stages.get(f"image:{config.name}")
    record = engine.workspace.record(stage)
    if record is None and not options.get("to"):
        msg = f"{what}:{stage.name}: nothing is rendered\n  run: doit render:{stage.name}"
        raise ToolError(msg)
    from modelyard.commands import person  # like all below: every `doit` imports this module, few deploy
    from modelyard.project.git import email

    git, when, key = (record.git, record.started, record.key) if record else ("", "", "")
    return DeployContext(
        task=f"{what}:{stage.name}",
        push_task=f"push:{config.name}",
        target=stage.name,
        name=config.name,
        version=config.version,
        repository=image.settings_as(ImageSettings).repository if image else "",
        insecure=config.settings.push.insecure,
        who=email(engine.project.folder) or person.user(),
        rendered=Rendered(folder=engine.workspace.folder(stage), key=key, commit=git, when=when),
        earlier=functools.partial(_earlier, engine, stage),
        asks=person.agrees,
        **options,
    )


@contextlib.contextmanager
def _earlier(engine: Engine, stage: Stage, name: str) -> Iterator[Rendered]:
    """Yield the earlier render whose key begins with `name`, in a folder that is there meanwhile.

    Raises:
        ToolError: there is none, or several, or the store has it no longer.
    """
    from modelyard.contexts import Rendered
    from modelyard.errors import StoreError

    record = _record(engine, stage, name)
    with tempfile.TemporaryDirectory(prefix="modelyard-render-") as folder:
        try:
            with engine.store.using():
                engine.store.restore(record, Path(folder, "out"))
        except StoreError as exc:
            raise ToolError(_lost(record.key, record.git)) from exc
        yield Rendered(folder=Path(folder, "out"), key=record.key, commit=record.git, when=record.started)


def _record(engine: Engine, stage: Stage, name: str) -> Record:
    from modelyard.explain.past_results import LEAST, SHORT, entries

    known = {one.key: one.git for one in entries(engine, stage)}
    keys = [key for key in known if key.startswith(name)] if len(name) >= LEAST else []
    if len(keys) > 1:
        msg = f"--to {name!r}: several renders begin so\n  name more digits: {', '.join(key[:SHORT] for key in keys)}"
        raise ToolError(msg)
    key = keys[0] if keys else name
    if len(key) == _WHOLE:
        record = engine.store.find(key)
        if record is not None and record.stage.startswith("render:"):
            return record
        raise ToolError(_lost(key, known.get(key, "")))
    listed = ", ".join(one[:SHORT] for one in list(known)[:8]) or "none yet"
    msg = f"--to {name!r}: no render of {stage.id} begins so\n  known: {listed}; see `doit history {stage.id}`"
    raise ToolError(msg)


def _lost(key: str, commit: str) -> str:
    from modelyard.explain.past_results import SHORT

    how = f"check out {commit[:10]}" if commit.rstrip("+") else "check out the commit that it was rendered at"
    return f"render {key[:SHORT]}: the store has it no longer\n  {how}, and run `doit deploy` there"
