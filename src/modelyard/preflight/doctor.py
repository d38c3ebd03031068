"""`modelyard doctor`: what this machine has and lacks for all of a project, in the words of the preflight of a build."""

from __future__ import annotations

import platform
import shutil
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import msgspec

from modelyard.build.placement import Placement
from modelyard.files.digests import DigestTable
from modelyard.preflight.needs import called, find, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.preflight.needs import Finding
    from modelyard.project.load import Project

State = Literal["ok", "missing", "later"]
_SHOWN = {"ok": "ok", "missing": "!!", "later": "later"}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        state: `ok`; `missing`: a build needs it; `later`: `doit serve`, `push` or `deploy` do.
        who: the stages and tasks that need it; none: every build.
        what: what is there, or what is missing.
        instead: what to do about what is missing.
    """

    state: State
    who: list[str] = []
    what: str
    instead: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: `ok` if nothing is missing that a build needs."""

    ok: bool
    modelyard: str
    python: str
    platform: str
    project: str
    checks: list[Check]


def examine(project: Project) -> Diagnosis:
    """Return what this machine has and lacks for every stage of `project`, whether or not it is up to date, and its tasks."""
    placement = Placement(project, DigestTable(project.state / "state.sqlite"), lambda _: None)
    with closing(placement):
        checks = list(_checks(project, placement))
    return Diagnosis(
        ok=all(check.state != "missing" for check in checks),
        modelyard=version("modelyard"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        project=str(project.folder),
        checks=checks,
    )


def _checks(project: Project, placement: Placement) -> Iterator[Check]:
    found = find(project, project.plan.stages.values(), placement=placement)
    without = {name for finding in found for name in finding.who}
    yield from _content(project, without, placement)
    yield from (_check("missing", finding) for finding in found)
    pipelines = project.config.pipelines
    tasks = [f"{kind}:{one.name}" for one in pipelines for kind in ("serve", "push")]
    tasks += [
        f"deploy:{one.called(name)}" for one in pipelines for name, use in one.targets.items() if use.component.deploy
    ]
    told = {finding.what for finding in found}
    later = [finding for finding in find(project, (), tasks, placement=placement) if finding.what not in told]
    yield from (_check("later", finding) for finding in later)
    free = shutil.disk_usage(project.folder).free
    yield Check(state="ok", what=f"{free / 1e6:,.0f} MB free on the disk of the project")


def _content(project: Project, without: set[str], placement: Placement) -> Iterator[Check]:
    """Yield what the stages that lack nothing stand on."""
    stages = [stage for stage in project.plan.stages.values() if stage.id not in without]
    found: dict[str, str] = {}
    for stage in stages:
        found |= placement.platform(stage).versions(name for use in called(stage) for name in use.component.needed)
    if stages:
        what = ", ".join(f"{name} {version}" for name, version in found.items()) or "nothing beside modelyard"
        yield Check(state="ok", who=[stage.id for stage in stages], what=what)


def _check(state: State, finding: Finding) -> Check:
    return Check(state=state, who=finding.who, what=finding.what, instead=finding.instead)


def as_text(found: Diagnosis) -> str:
    """Return a diagnosis as lines for a person."""
    lines = [f"modelyard {found.modelyard}, Python {found.python}, {found.platform}; project {found.project}"]
    for check in found.checks:
        lines.append(f"{_SHOWN[check.state]:<6}{shown(check.who)}{': ' if check.who else ''}{check.what}")
        lines += [f"        {check.instead}"] if check.instead else []
    missing = sum(check.state == "missing" for check in found.checks)
    said = f"{missing} thing{'s are' if missing > 1 else ' is'} missing that a build needs"
    return "\n".join([*lines, said if missing else "nothing is missing that a build needs"])
