"""What modelyard's doit commands share: the project, stages by name, errors without a traceback, `--json`."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from doit import doit_cmd
from doit.cmd_base import Command
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand

from modelyard.commands.wording import hear_no_more, option_error
from modelyard.errors import ModelyardError, PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.plan.planner import Plan
    from modelyard.stage import Stage

JSON = {
    "name": "json",
    "short": "",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "print the answer as JSON, with stable keys",
}


def option(name: str, kind: type, default: Any, text: str, choices: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Return a command's option in doit's form: `--name`, without a short form."""
    long = name.replace("_", "-")
    return {"name": name, "short": "", "long": long, "type": kind, "default": default, "help": text, "choices": choices}


class ModelyardCommand(Command):  # type: ignore[misc]
    """A command whose mistakes are told without a traceback."""

    cmd_options: Sequence[dict[str, Any]] = (JSON,)

    def parse_execute(self, in_args: list[str]) -> int:
        """Run the command with its part of the command line; options may stand behind names, too."""
        try:
            return int(super().parse_execute(options_first(in_args, self.get_options())) or 0)
        except CmdParseError as exc:
            raise option_error(self.get_name(), exc, self.get_options()) from None

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Run the command; doit calls this."""
        try:
            code = self.run(opt_values, pos_args)
            sys.stdout.flush()
        except ModelyardError as exc:
            if os.environ.get("MODELYARD_DEBUG"):
                raise
            raise InvalidCommand(str(exc)) from None
        except BrokenPipeError:
            hear_no_more()
            return 0
        return code

    def run(self, options: Any, names: list[str]) -> int:
        """Do what the command is for, and return its exit code.

        Args:
            options: the options' values by name.
            names: the other words of the command line, without overrides.
        """
        raise NotImplementedError

    def folder(self, options: Any) -> Path:
        """Return the project's folder: that of `-d` or `-f`, else the nearest upwards that holds a dodo.py."""
        if options.get("cwdPath"):
            return Path(options["cwdPath"]).resolve()
        if options.get("dodoFile", "dodo.py") != "dodo.py":
            return Path(options["dodoFile"]).resolve().parent
        return project_folder()


class ProjectCommand(ModelyardCommand):
    """A command that asks something of a project."""

    def run(self, options: Any, names: list[str]) -> int:
        """Load the project, with the command line's overrides, and answer."""
        from modelyard.build.engine import Engine
        from modelyard.project.load import load

        overrides = dict(doit_cmd._CMDLINE_VARS or {})  # noqa: SLF001 - doit gives them one by one only
        engine = Engine(load(self.folder(options), overrides))
        engine.listener.tell = lambda line: print(line, file=sys.stderr)
        try:
            return self.answer(engine, options, names)
        finally:
            engine.close()

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Print the answer, and return the exit code."""
        raise NotImplementedError

    def stages(self, plan: Plan, names: Sequence[str]) -> list[Stage]:
        """Return the stages that the command line names, or all if it names none."""
        from modelyard.plan.names import stages_named  # a build takes an option from here, and no more

        return stages_named(plan, names, self.get_name()) if names else list(plan.stages.values())

    def need_names(self, names: Sequence[str], what: str = "STAGE") -> None:
        """Raise an error that says how to use the command if no name is given.

        Raises:
            PlanError: `names` is empty.
        """
        if not names:
            name = self.get_name()
            msg = (
                f"{name}: {what} is missing\n  usage: doit {name} {self.doc_usage}; `doit list --all` shows the stages"
            )
            raise PlanError(msg)


def options_first(words: Sequence[str], options: Sequence[Any]) -> list[str]:
    """Return `words` with the options, and their values, before the names: doit's parser stops at the first name."""
    with_value = {f"--{one.long}" for one in options if one.type is not bool}
    front: list[str] = []
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            names += rest
        elif word.startswith("-"):
            value = list(itertools.islice(rest, int(word in with_value)))
            if word in with_value and not value:
                return [word]  # for the parser to say that a value is missing; a name must not become it
            front += [word, *value]
        else:
            names.append(word)
    return [*front, "--", *names] if any(name.startswith("-") for name in names) else front + names


def project_folder() -> Path:
    """Return the nearest folder upwards that holds a dodo.py, or this one."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "dodo.py").is_file()), here)


def print_json(value: Any) -> None:
    """Print `value` as JSON, indented."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return `rows` as lines with aligned columns; the columns `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = [
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
