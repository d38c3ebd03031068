"""Run a person's own script or program as a stage: its output goes to the log, its progress to the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelyard.contexts import StageContext

_PROGRESS = "modelyard: "
_KEYS = {"done", "total", "unit", "note"}


def run_script(context: StageContext, words: Sequence[str]) -> None:
    """Run the Python file `words[0]` of the project in this process, with the other words as its arguments.

    Raises:
        StageFailed: it ended with another code than 0.
    """
    with running(context, words):
        runpy.run_path(sys.argv[0], run_name="__main__")


@contextlib.contextmanager
def running(context: StageContext, words: Sequence[str]) -> Iterator[None]:
    """Let the block run the file `words[0]` of the project, with the other words as its arguments, in this process.

    Raises:
        StageFailed: it ended with another code than 0.
    """
    path = context.project / words[0]
    sys.argv = [str(path), *words[1:]]  # this process runs nothing else
    sys.path.insert(0, str(path.parent))
    try:
        with contextlib.closing(_Lines(context)) as lines, contextlib.redirect_stdout(lines):
            yield
    except SystemExit as exc:
        if exc.code not in (None, 0):
            msg = f"{words[0]} ended with {exc.code!r}"
            raise StageFailed(msg) from exc


def run_program(context: StageContext, words: Sequence[str]) -> None:
    """Run a program in the project's folder.

    Raises:
        StageFailed: it could not be started, or ended with another code than 0.
    """
    taken: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    try:
        with (
            contextlib.closing(_Lines(context)) as lines,
            subprocess.Popen(words, cwd=context.project, **taken) as process,
        ):
            for line in process.stdout or ():
                lines.write(line)
    except OSError as exc:
        msg = f"{words[0]!r} cannot be started: {exc.strerror}\n  install it, or name another command"
        raise StageFailed(msg) from exc
    if process.returncode:
        msg = f"{words[0]!r} ended with code {process.returncode}"
        raise StageFailed(msg)


class _Lines(io.TextIOBase):
    """Takes output and passes it on line by line; a line that tells progress goes to the terminal instead."""

    def __init__(self, context: StageContext) -> None:
        self._context, self._rest, self._log = context, "", sys.stdout

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._tell(line)
        return len(text)

    def close(self) -> None:
        """Pass on what came last, without an end of its line."""
        if self._rest:
            self._tell(self._rest)
            self._rest = ""

    def _tell(self, line: str) -> None:
        told = _progress(line)
        if told is None:
            print(line, file=self._log, flush=True)
        else:
            self._context.progress(**told)


def _progress(line: str) -> dict[str, Any] | None:
    """Return what a line says of progress, or None if it does not."""
    if not line.startswith(_PROGRESS):
        return None
    try:
        told = json.loads(line.removeprefix(_PROGRESS))
    except ValueError:
        return None
    is_told = isinstance(told, dict) and isinstance(told.get("done"), int | float) and told.keys() <= _KEYS
    return told if is_told else None


def read_metrics(path: Path) -> dict[str, float]:
    """Return the numbers in the file `path`, by name; none if there is no such file.

    Raises:
        StageFailed: it holds something else.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        msg = f"{path.name}: not JSON: {exc}\n  write one object of names and numbers"
        raise StageFailed(msg) from exc
    wrong = list(_no_numbers(found)) if isinstance(found, dict) else [repr(found)]
    if wrong:
        msg = f"{path.name}: {wrong[0]} is no number\n  write one object of names and numbers"
        raise StageFailed(msg)
    return dict(found)


def _no_numbers(found: dict[str, Any]) -> Iterator[str]:
    return (
        f"{name} = {value!r}"
        for name, value in found.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    )
