"""doit's own errors of the command line in two lines: what was wrong, with the nearest that there is, and what to do.

doit's text for them holds the inner representation of each option, and knows no nearest name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from doit.cmdparse import CmdOption, CmdParseError, TaskParse
from doit.exceptions import InvalidCommand, InvalidDodoFile

from modelyard.errors import did_you_mean, listing

_ABOUT_AN_OPTION = (
    r"Error parsing \w+: option (?P<option>\S+) (?P<what>not recognized|requires argument|not a unique prefix|.*)"
)
_NOT_A_VALUE = r"(?s)Error parsing parameter '(?P<name>\w+)'[^\n]*\n(?P<why>.*)"
_NO_CHOICE = r"Error parsing parameter '(?P<name>\w+)'\. Provided '(?P<value>.*)' but available choices"
STATE = "state"
"""In the `meta` of a stage's task: what tells the stage's state."""
STAYS = "stays"
"""In the `meta` of a group of tasks: each of them has the terminal until it is ended."""
_KINDS = {int: "a whole number", float: "a number", bool: "yes or no"}


def option_error(command: str, error: CmdParseError, options: Sequence[Any]) -> CmdParseError:
    """Return an error of doit's option parser in two lines.

    Args:
        command: the command's name.
        error: doit's error.
        options: the command's options, doit's `CmdOption`.
    """
    text = str(error).partition(" (parsing options")[0]
    known = [word for one in options for word in _words(one)]
    what = _about_an_option(text, known) or _about_a_value(text, options) or text
    return CmdParseError(f"{command}: {what}\n  `doit help {command}` lists the options")


def task_option_error(words: Sequence[str], tasks: Iterable[Any]) -> CmdParseError | None:
    """Return the error in the options of a task that has some, in two lines; None: there is none.

    Args:
        words: the command line's, tasks with the options of each behind it.
        tasks: all tasks, doit's `Task`.
    """
    options = {task.name: [CmdOption(one) for one in task.params] for task in tasks if task.params}
    for number, word in enumerate(words):
        try:
            TaskParse(options.get(word, [])).parse(words[number + 1 :] if word in options else [])
        except CmdParseError as exc:
            return option_error(word, exc, options[word])
    return None


def one_at_a_time(asked: Collection[str], tasks: Iterable[Any]) -> InvalidCommand | None:
    """Return the error of asking for a group whose tasks each stay until they are ended, in two lines; None: nobody does.

    Args:
        asked: the names on the command line.
        tasks: all tasks, doit's `Task`; the `meta` of such a group has `STAYS`.
    """
    for task in tasks:
        if task.name in asked and STAYS in (task.meta or {}) and len(task.task_dep) > 1:
            msg = f"{task.name}: there are {len(task.task_dep)}, and each runs until Ctrl-C"
            return InvalidCommand(f"{msg}\n  ask for one of them: {listing(f'doit {name}' for name in task.task_dep)}")
    return None


def _words(option: Any) -> list[str]:
    words = [f"--{option.long}" if option.long else "", f"--{option.inverse}" if option.inverse else ""]
    return [word for word in (*words, f"-{option.short}" if option.short else "") if word]


def _about_an_option(text: str, known: Collection[str]) -> str:
    found = re.match(_ABOUT_AN_OPTION, text)
    if found is None:
        return ""
    option, what = found["option"], found["what"]
    if what == "not recognized" and option in known:
        return f"option {option!r} stands before the tasks, not behind them"
    if what == "not recognized":
        near = ", did you mean 'doit help'?" if option in ("-h", "--help") else did_you_mean(option, known)
        return f"there is no option {option!r}{near}"
    if what == "not a unique prefix":
        return f"option {option!r} may mean several: {listing(word for word in known if word.startswith(option))}"
    return f"option {option!r} {'needs a value' if what == 'requires argument' else 'takes no value'}"


def _about_a_value(text: str, options: Sequence[Any]) -> str:
    found = re.match(_NO_CHOICE, text) or re.match(_NOT_A_VALUE, text)
    option = next((one for one in options if found and one.name == found["name"]), None)
    if found is None or option is None:
        return ""
    if "value" in found.groupdict():
        near = did_you_mean(found["value"], option.choices)
        return (
            f"option '--{option.long}': {found['value']!r} is not allowed{near}; allowed: {', '.join(option.choices)}"
        )
    value = found["why"].strip().rpartition(": ")[2]
    return f"option '--{option.long}': {value} is not {_KINDS.get(option.type, option.type.__name__)}"


def task_error(name: str, tasks: Iterable[str], *, command: str = "", others: Iterable[str] = ()) -> InvalidCommand:
    """Return the error for a word that names no task.

    Args:
        name: the word.
        tasks: the names of all tasks.
        command: the command's name; empty for plain `doit`.
        others: what could stand in its place besides: commands.
    """
    tasks, others = list(tasks), list(others)
    if name in others:
        return InvalidCommand(
            f"{name!r}: a command stands first\n  run `doit {name}`, with options and tasks behind it"
        )
    kind = name.partition(":")[0]
    below = [task for task in tasks if task.startswith(f"{kind}:")] if ":" in name else []
    near = did_you_mean(name, below or [*tasks, *others]) or (did_you_mean(below[0], below[:1]) if below else "")
    what = "no such task" if command else "no such task or command"
    hint = "`doit list --all` shows the tasks" + ("" if command else ", `doit help` the commands")
    return InvalidCommand(f"{f'{command}: ' if command else ''}{name!r}: {what}{near}\n  {hint}")


def dodo_error(error: InvalidDodoFile) -> InvalidDodoFile:
    """Return an error of doit's for a dodo.py in two lines if there is none; any other as it is."""
    found = re.match(r"Could not find dodo file '(?P<file>.*)'\.", str(error))
    if found is None:
        return error
    return InvalidDodoFile(
        f"{Path(found['file']).absolute()}: not found\n  run `modelyard init` to start a project here, or go to the folder of one"
    )


def hear_no_more() -> None:
    """Write to nothing from now on: whoever read the output has gone (`doit list --all | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
