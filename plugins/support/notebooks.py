"""Run a Jupyter notebook as a stage: its code cells, one after the other, in this process."""

from __future__ import annotations

import ast
import linecache
import subprocess
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, did_you_mean, listing
from modelyard.files.notebook import SUFFIX, Cell, cell_name, read_cells
from modelyard_plugins.support.commands import running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelyard.contexts import StageContext

PARAMETERS = "parameters"
"""The tag of the cell with the parameters' defaults, as papermill knows it."""


def is_notebook(word: str) -> bool:
    """Tell whether a word of a command names a notebook."""
    return word.endswith(SUFFIX)


def no_parameters(words: Sequence[str]) -> list[str]:
    """Return those of the words behind a notebook's name that are not `name=value`."""
    return [word for word in words if not (word.partition("=")[1] and word.partition("=")[0].isidentifier())]


def run_notebook(context: StageContext, words: Sequence[str]) -> None:
    """Run the code cells of the notebook `words[0]` of the project, with the other words, `name=value`, as its variables.

    They are set behind the cell that is tagged `parameters`, or else before the first. A value is a number, a list ... as
    Python writes it, and else a text. IPython runs magics and commands of the shell; what cells answer is not kept.

    Raises:
        StageFailed: a word names no variable of the cell with the parameters, or a cell ended with another code than 0.
    """
    path = context.project / words[0]
    given = {name: _value(text) for name, _, text in (word.partition("=") for word in words[1:])}
    cells = read_cells(path)
    tagged = [cell.number for cell in cells if PARAMETERS in cell.tags]
    shell = _shell()
    variables = shell.user_ns
    with running(context, words[:1]), shell.builtin_trap:
        if not tagged:
            variables |= given
        for cell in cells:
            before = set(variables)
            _run(cell, path, shell)
            if cell.number in tagged[:1]:
                _check_known(given, set(variables) - before, words[0])
                variables |= given


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _shell() -> Any:
    """Return IPython's shell, which keeps no history and writes nothing into the home directory."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    quiet = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"autocall": 0}})
    shell: Any = InteractiveShell.instance(config=quiet)
    shell.system = _command  # IPython's own asks for a terminal
    return shell


def _command(text: str) -> None:
    """Run a `!command` of a cell; what it puts out goes to the log.

    Raises:
        StageFailed: it ended with another code than 0: a training does not go on as if it had not.
    """
    done = subprocess.run(
        text, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    print(done.stdout, end="")
    if done.returncode:
        msg = f"`!{text}` ended with code {done.returncode}"
        raise StageFailed(msg)


def _run(cell: Cell, path: Path, shell: Any) -> None:
    """Run a cell under a name that errors are told with: `train.ipynb cell 3`, and its lines from 1."""
    name = cell_name(path, cell.number)
    linecache.cache[name] = len(cell.source), None, cell.source.splitlines(keepends=True), name
    # what IPython makes of a cell has its lines where they were; a magic of the whole cell is one line
    code = compile(shell.transform_cell(cell.source), name, "exec")
    exec(code, shell.user_ns)


def _check_known(given: Mapping[str, object], known: set[str], notebook: str) -> None:
    for name in given:
        if name not in known:
            msg = (
                f"{notebook}: the cell tagged {PARAMETERS!r} has no variable {name!r}{did_you_mean(name, sorted(known))}\n"
                f"  it has: {listing(known)}"
            )
            raise StageFailed(msg)
