"""`doit run`, which plain `doit` is: doit's own command with an option for builds that must not wait."""

from __future__ import annotations

import functools
import gc
import sys
from typing import Any

from doit import doit_cmd, loader, plugin
from doit.cmd_run import Run as DoitRun
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile

from modelyard.commands.base import option
from modelyard.commands.wording import (
    dodo_error,
    hear_no_more,
    one_at_a_time,
    option_error,
    task_error,
    task_option_error,
)
from modelyard.frontend import definitions
from modelyard.frontend.task_names import no_tasks
from modelyard.plugins.entry_points import entry_points, read_once

NO_WAIT = "--no-wait"


class Run(DoitRun):  # type: ignore[misc]
    """The command `run`. In a folder without a modelyard project it is what doit's is."""

    cmd_options = (
        *DoitRun.cmd_options,
        option(
            "no_wait", bool, False, "fail at once where another build must be waited for; the same as store.wait=false"
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        read_once()
        plugin.entry_points_impl = lambda: entry_points  # doit reads them anew for each kind of its plugins
        loader.inspect = definitions  # and takes dodo.py apart anew for each of its functions
        super().__init__(*args, **kwargs)

    def parse_execute(self, in_args: list[str]) -> int:
        """Run the command with its part of the command line; `--no-wait` may stand behind the tasks, too."""
        words = [word for word in in_args if word != NO_WAIT]
        try:
            return int(super().parse_execute([NO_WAIT, *words] if len(words) < len(in_args) else words) or 0)
        except CmdParseError as exc:
            told = task_option_error(words, getattr(self, "task_list", ()))
            raise told or option_error(self.get_name(), exc, self.get_options()) from None

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the tasks; the option reaches the project as an override, before its dodo.py is loaded."""
        if params["no_wait"]:
            doit_cmd.set_var("store.wait", "false")
        gc.disable()  # what loading makes, stays: collections in it find nothing and cost 5 % of a build with nothing to do
        code = 0
        try:
            code = int(super().execute(params, args) or 0)
            sys.stdout.flush()  # here, where it is told, and not when Python ends: who reads it may be gone
        except InvalidDodoFile as exc:
            raise dodo_error(exc) from None
        except InvalidCommand as exc:
            if exc.not_found is None:
                raise
            if self.sel_default_tasks:  # dodo.py does not choose them, the project does
                raise InvalidCommand(no_tasks(exc.not_found)) from None
            tasks = (task.name for task in self.task_list)
            raise task_error(exc.not_found, tasks, others=self.loader.cmd_names) from None
        except BrokenPipeError:
            hear_no_more()
        finally:
            gc.enable()
        return code

    @functools.wraps(DoitRun._execute)  # noqa: SLF001 - doit reads off the signature what to pass
    def _execute(self, *arguments: Any, **options: Any) -> int:
        """Run the loaded tasks. Stages run in processes of their own; threads that wait for them share one pool of these."""
        if told := one_at_a_time(self.sel_tasks or (), self.task_list):
            raise told
        gc.freeze()
        gc.enable()
        if options.get("num_process") and options.get("par_type") == "process" and "modelyard.tasks" in sys.modules:
            sys.stderr.write("-P process: stages run in processes of their own anyway, which threads start\n")
            options["par_type"] = "thread"
        if hasattr(options.get("reporter"), "forced"):
            options["reporter"].forced = bool(options.get("always"))
        return int(super()._execute(*arguments, **options) or 0)
