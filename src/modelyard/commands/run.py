"""`doit run`, which plain `doit` is: doit's own command with an option for builds that must not wait."""

from __future__ import annotations

import functools
import gc
import sys
from typing import Any

from doit import doit_cmd, plugin
from doit.cmd_run import Run as DoitRun
from doit.cmdparse import CmdParseError

from modelyard.commands.base import option
from modelyard.entry_points import entry_points, read_once

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
        super().__init__(*args, **kwargs)

    def parse_execute(self, in_args: list[str]) -> int:
        """Run the command with its part of the command line; `--no-wait` may stand behind the tasks, too."""
        words = [word for word in in_args if word != NO_WAIT]
        try:
            return int(super().parse_execute([NO_WAIT, *words] if len(words) < len(in_args) else words) or 0)
        except CmdParseError as exc:  # doit adds each option's inner representation
            msg = f"{str(exc).partition(' (parsing options')[0]}\n  `doit help run` lists the options"
            raise CmdParseError(msg) from None

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the tasks; the option reaches the project as an override, before its dodo.py is loaded."""
        if params["no_wait"]:
            doit_cmd.set_var("store.wait", "false")
        gc.disable()  # what loading makes, stays: collections in it find nothing and cost 5 % of a build with nothing to do
        try:
            return int(super().execute(params, args) or 0)
        finally:
            gc.enable()

    @functools.wraps(DoitRun._execute)  # noqa: SLF001 - doit reads off the signature what to pass
    def _execute(self, *arguments: Any, **options: Any) -> int:
        """Run the loaded tasks. Stages run in processes of their own; threads that wait for them share one pool of these."""
        gc.freeze()
        gc.enable()
        if options.get("num_process") and options.get("par_type") == "process" and "modelyard.tasks" in sys.modules:
            sys.stderr.write("-P process: stages run in processes of their own anyway, which threads start\n")
            options["par_type"] = "thread"
        if hasattr(options.get("reporter"), "forced"):
            options["reporter"].forced = bool(options.get("always"))
        return int(super()._execute(*arguments, **options) or 0)
