"""What stages and tasks need of this machine and do not find: what `doit` tells before it starts, and `modelyard doctor` any time.

What a component needs it says itself: the distributions `needs` (or `tools`), and whatever its `preflight` looks for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.code.versions import NOT_INSTALLED
from modelyard.config.checks import surroundings
from modelyard.contexts import Lack, PreflightContext
from modelyard.errors import ModelyardError, PluginError, ToolError
from modelyard.execution.extras import OURS, extras_of, install_command, missing
from modelyard.keys import pinning
from modelyard.oci.cache import folder_of_images

if TYPE_CHECKING:
    from modelyard.build.placement import Placement
    from modelyard.component import Use
    from modelyard.config.config import Config
    from modelyard.project.load import Project
    from modelyard.stage import Stage


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is missing.

    Attributes:
        who: the stages and tasks that need it.
        what: what is missing.
        instead: what to do about it.
    """

    who: list[str]
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{shown(self.who)}: {self.what}\n  {self.instead}"


def shown(names: Sequence[str], most: int = 4) -> str:
    """Return names as text, some of them if they are many."""
    rest = len(names) - most
    return f"{', '.join(names[:most])} and {rest} more" if rest > 1 else ", ".join(names)


def called(stage: Stage) -> Iterator[Use]:
    """Yield the components whose functions are called in a stage."""
    calls = stage.row.calls
    yield from (use for role, use in stage.uses.items() if calls is None or role.partition(":")[0] in calls)


def find(
    project: Project, stages: Iterable[Stage], tasks: Iterable[str] = (), *, placement: Placement
) -> list[Finding]:
    """Return what this machine lacks, all distributions in one finding; and what those of the executor do.

    Args:
        project: the project.
        stages: the stages that are to run.
        tasks: the tasks that are to act then: `serve:NAME`, `push:NAME`, `deploy:NAME`.
        placement: where the stages run.

    Raises:
        PluginError: a component's `preflight` breaks its contract.
    """
    found: dict[Lack, dict[str, None]] = {}
    near: dict[str, None] = {}
    for who, use, lack in _lacks(project, list(stages), list(tasks), placement):
        if lack.install and not missing(lack.install):
            continue
        found.setdefault(lack, {})[who] = None
        if lack.install and use is not None and use.component.source.distribution:
            near[use.component.source.distribution.partition(" ")[0]] = None
    plain = [
        Finding(who=list(who), what=lack.what, instead=lack.instead) for lack, who in found.items() if not lack.install
    ]
    return [*_distributions({lack: who for lack, who in found.items() if lack.install}, list(near)), *plain]


def _distributions(found: Mapping[Lack, Iterable[str]], near: list[str]) -> list[Finding]:
    """Return one finding for all distributions that are missing, with one command."""
    wanted = list(dict.fromkeys(name for lack in found for name in missing(lack.install)))
    if not wanted:
        return []
    who = list(dict.fromkeys(one for each in found.values() for one in each))
    what = f"{', '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} not installed"
    return [Finding(who=who, what=what, instead=f"run: {install_command(wanted, near)}")]


def _lacks(
    project: Project, stages: list[Stage], tasks: list[str], placement: Placement
) -> Iterator[tuple[str, Use | None, Lack]]:
    """Yield each thing that may be missing, who needs it, and the component that says so."""
    asked: dict[tuple[str, int, str], list[Lack]] = {}
    for stage in stages:
        if placement.is_elsewhere(stage):
            yield from ((stage.id, project.config.executor, lack) for lack in _elsewhere(project, stage, placement))
            continue
        for use in called(stage):
            key = stage.pipeline, id(use.component), repr(use.params)
            if key not in asked:
                asked[key] = _of_use(project, project.plan.config_of(stage), use)
            yield from ((stage.id, use, lack) for lack in asked[key])
        yield from ((stage.id, None, lack) for lack in _of_kind(stage))
        if stage.isa and (what := pinning.lacks(stage.isa)):
            yield stage.id, None, Lack(what, pinning.INSTEAD)
    for task in tasks:
        yield from ((task, use, lack) for use, lack in _of_task(project, *task.split(":", 1)))


def _elsewhere(project: Project, stage: Stage, placement: Placement) -> Iterator[Lack]:
    """Yield what the machines of the executor lack for a stage, and what is missing here for it to run there."""
    executor, store = project.config.executor, project.config.settings.store
    if not store.remote or store.mode != "read-write":
        what = f"{placement.name} runs it on another machine, and there is no remote store to meet in"
        yield Lack(what, 'set `remote` in [tool.modelyard.store], with mode = "read-write"')
    yield from _of_use(project, project.config, executor) if executor else ()
    try:
        needed = dict.fromkeys(name for use in called(stage) for name in use.component.needed)
        there = placement.platform(stage).versions(needed)
    except ModelyardError as exc:
        what, _, instead = str(exc).partition("\n  ")
        yield Lack(what, instead)
        return
    for name in (name for name, version in there.items() if version == NOT_INSTALLED):
        yield Lack(f"{name} is not installed on the machines of {placement.name}", "install it there")


def _of_task(project: Project, kind: str, name: str) -> Iterator[tuple[Use | None, Lack]]:
    """Yield what a task that acts needs beside what its stages do."""
    if kind == "deploy":
        for config in project.config.pipelines:
            found = [use for target, use in config.targets.items() if config.called(target) == name]
            yield from ((use, lack) for use in found for lack in _of_use(project, config, use, deploys=True))
    for config in project.config.pipelines if kind in ("push", "serve") else ():
        if config.name == name:
            yield from _of_push(project, config) if kind == "push" else _of_serve(config.uses["runtime"], config.events)


def _of_use(project: Project, config: Config, use: Use, *, deploys: bool = False, pushes: bool = False) -> list[Lack]:
    component = use.component
    lacks = [Lack("", install=(name,)) for name in component.needed]
    if component.preflight is None:
        return lacks
    cache = project.state / "cache"
    fields: dict[str, Any] = msgspec.structs.asdict(surroundings(config)) | {
        "project": project.folder,
        "cache": folder_of_images(cache) if use.component.kind == "builder" else cache,
    }
    context = PreflightContext(**fields, deploys=deploys, pushes=pushes)
    return lacks + _called(component.preflight, context, use)


def _called(preflight: Callable[..., Any], context: PreflightContext, use: Use) -> list[Lack]:
    where = f"the {use.component.kind} {use.component.name!r} ({use.component.source.file})"
    try:
        found = list(preflight(context, **use.params) or ())
    except Exception as exc:
        msg = f"{where}: its preflight raised {type(exc).__name__}: {exc}\n  it must yield what is missing, not raise"
        raise PluginError(msg) from exc
    for one in found:
        if not isinstance(one, Lack):
            msg = f"{where}: its preflight gave {one!r:.80}, which is no Lack\n  yield Lack(what, instead)"
            raise PluginError(msg)
    return found


def _of_kind(stage: Stage) -> Iterable[Lack]:
    """Return what a stage needs beside its components."""
    module, _, function = stage.row.lacks.partition(":")
    found: Iterable[Lack] = getattr(importlib.import_module(module), function)(stage) if module else ()
    return found


def _of_serve(runtime: Use, events: Use | None) -> Iterator[tuple[Use, Lack]]:
    """A server that can be started here, and the distributions that it stands on, as far as an extra brings them."""
    component = runtime.component
    if component.server is None or component.requirements is None:
        what = f"the server of the runtime {component.name!r} is in its image, not here"
        yield runtime, Lack(what, "run `doit image`, then start the image, for instance with `docker run`")
        return
    from modelyard.launch.python_server import requirement_lines

    owner = component.source.distribution.partition(" ")[0]
    known = {name for one in (owner, OURS) if one for brought in extras_of(one).values() for name in brought}
    client = [events.component.requirements] if events and events.component.requirements else []
    files = (component.requirements, *runtime.optional_requirements.values(), *client)
    lines = [line for file in files for line in requirement_lines(file)]
    pinned = (line.partition("==")[0].strip() for line in lines if ";" not in line)
    yield from ((runtime, Lack("", install=(name,))) for name in (*component.needed, *pinned) if name in known)


def _of_push(project: Project, config: Config) -> Iterator[tuple[Use | None, Lack]]:
    """What the builder needs, a repository that is ours, and a registry that lets us in."""
    from modelyard.oci.registry import check_push

    builder, settings = config.uses["image"], config.settings
    yield from ((builder, lack) for lack in _of_use(project, config, builder, pushes=True))
    if not settings.image.repository:
        what = f"no repository is named, and docker.io/library/{config.name} is Docker's own"
        yield None, Lack(what, 'set `repository = "REGISTRY/PATH"` in [tool.modelyard.image]')
        return
    try:
        check_push(settings.image.repository, insecure=settings.push.insecure)
    except ToolError as exc:
        what, _, instead = str(exc).partition("\n  ")
        yield None, Lack(what, instead)
