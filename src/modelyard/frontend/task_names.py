"""Which names of doit's tasks are taken, and what to do about a dodo.py that lacks the tasks of a kind of stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doit.doit_cmd import DoitMain

from modelyard.errors import PluginError, listing
from modelyard.plugins.entry_points import entry_points

if TYPE_CHECKING:
    from modelyard.plugins.load import Plugins

FOREGROUND = {
    "serve": "serve the selected model on this machine",
    "events": "speak with the broker of events: make what it lacks, send it events and show their answers",
    "push": "push the image to its registry, keeping the digest that the manifests name",
    "deploy": "change the cluster to what is rendered, and wait for the rollout",
    "undeploy": "remove what was deployed",
    "export": "write the rendered manifests to a folder for git",
    "report": "write a report on what is built: quality, sizes, latency, mistakes, provenance",
}
"""The tasks that act, and what each does, for a dodo.py that does not say it."""


def check_task_names(plugins: Plugins) -> None:
    """Check that each kind of stage that a plugin registered can be the name of a task.

    Raises:
        PluginError: a command of doit's, or another task of modelyard's, is called so.
    """
    commands = {command.name or command.__name__.lower() for command in DoitMain.DOIT_CMDS}
    taken = {*commands, *(point.name for point in entry_points(group="doit.COMMAND")), *FOREGROUND}
    for name, component in plugins.of_kind("kind").items():
        if name in taken:
            msg = (
                f"plugin {component.source.file}: register({name!r}): `doit {name}` is something else already\n"
                f"  taken: {listing(taken)}"
            )
            raise PluginError(msg)


def no_tasks(kind: str) -> str:
    """Return what to say where dodo.py has no tasks for a kind of stage that the project has."""
    return (
        f"dodo.py: it has no tasks for the stages of the kind {kind!r}\n"
        "  add to it what yields all that it does not name:\n"
        '    def task_others():\n        """what plugins add"""\n        yield from project.tasks()'
    )
