"""doit's own commands that take tasks, with the errors of the command line in modelyard's words, and quiet before `head`."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_help import Help as DoitHelp
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile

from modelyard.build.verdict import UP_TO_DATE, in_words
from modelyard.commands.wording import STATE, STAYS, dodo_error, hear_no_more, option_error, task_error

_UP_TO_DATE, _IGNORED = in_words(UP_TO_DATE), "ignored"


class _Told:
    """What the commands share: put before doit's class."""

    task_list: Any = ()

    def parse_execute(self: Any, in_args: list[str]) -> int:
        """Run the command with its part of the command line."""
        try:
            return int(super().parse_execute(in_args) or 0)  # type: ignore[misc]
        except CmdParseError as exc:
            raise option_error(self.get_name(), exc, self.get_options()) from None

    def execute(self: Any, params: Any, args: list[str]) -> int:
        """Run the command; doit calls this."""
        try:
            code = int(super().execute(params, args) or 0)  # type: ignore[misc]
            sys.stdout.flush()
        except BrokenPipeError:
            hear_no_more()
            return 0
        except InvalidDodoFile as exc:
            raise dodo_error(exc) from None
        except InvalidCommand as exc:
            found = re.fullmatch(r"'(.*)' is not a task\.", str(exc))
            if found is None:
                raise
            raise self._no_task(found[1]) from None
        return code

    def _state(self: Any, task: Any, tasks: Any) -> str:
        """Return what a build would do with a task, in the words of every command; of one without a stage it is doit's word."""
        if self.dep_manager.status_is_ignore(task):
            return _IGNORED
        told = (task.meta or {}).get(STATE)
        return in_words(told() if told else self.dep_manager.get_status(task, tasks).status)

    def _no_task(self: Any, name: str) -> InvalidCommand:
        return task_error(name, (task.name for task in self.task_list), command=self.get_name())


class List(_Told, DoitList):  # type: ignore[misc]
    """The command `list`; `--status` shows what a build would do with each stage, in the words of every other command."""

    cmd_options = tuple(
        {**one, "help": "show what a run would do: up to date, restore, maybe, run, ignored"}
        if one["name"] == "status"
        else one
        for one in DoitList.cmd_options
    )

    def _print_task(self, template: str, task: Any, status: bool, list_deps: bool, tasks: Any) -> None:
        if status:
            template = template.replace("{status}", f"{self._state(task, tasks):<10}")
        super()._print_task(template, task, False, list_deps, tasks)


class Info(_Told, DoitInfo):  # type: ignore[misc]
    """The command `info`; what it says of a task's state is what `list --status` does."""

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        """Show the task; doit's own looks it up without a word if there is none, and shows what modelyard keeps in its `meta`."""
        tasks, state = {task.name: task for task in self.task_list}, _UP_TO_DATE
        for name in pos_args[:1]:
            if name not in tasks:
                raise self._no_task(name)
            task = tasks[name]
            if not hide_status:
                state = self._state(task, tasks)
                said = (task.doc, f"{'status':11s}: {state}{self._reasons(task, tasks, state)}")
                task.doc = "\n\n".join(filter(None, said))  # stands right before what doit shows next
            task.meta = {key: value for key, value in (task.meta or {}).items() if key not in (STATE, STAYS)}
        super()._execute(pos_args, hide_status=True)
        return int(state != _UP_TO_DATE)

    def _reasons(self, task: Any, tasks: Any, state: str) -> str:
        """Return why a task is not up to date, each reason on a line; of a stage a command tells all of them."""
        if state in (_UP_TO_DATE, _IGNORED):
            return ""
        if STATE in (task.meta or {}):
            return f"\n * `doit why {task.name}` says why"
        found = self.get_reasons(self.dep_manager.get_status(task, tasks, get_log=True).reasons)
        return f"\n{found}" if found else ""


class Clean(_Told, DoitClean):  # type: ignore[misc]
    """The command `clean`."""


class Forget(_Told, DoitForget):  # type: ignore[misc]
    """The command `forget`."""


class Ignore(_Told, DoitIgnore):  # type: ignore[misc]
    """The command `ignore`."""


class Help(_Told, DoitHelp):  # type: ignore[misc]
    """The command `help`."""

    def execute(self, params: Any, args: list[str]) -> int:
        """Show the help on a command or a task, or all commands; a word that is neither is a mistake."""
        if len(args) > 1:
            msg = f"help: {args[1]!r} is one word too many\n  usage: doit help [COMMAND or TASK]"
            raise InvalidCommand(msg)
        if not args or args[0] == "task" or args[0] in self.cmds:
            return int(super().execute(params, args) or 0)
        with contextlib.suppress(InvalidDodoFile):  # then there are no tasks
            if DoitCmdBase.execute(self, params, args):
                return 0
        tasks = [task.name for task in self.task_list or ()]
        raise task_error(args[0], tasks, others=self.cmds)
