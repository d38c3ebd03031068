"""Where in the project's own code an error comes from: the line that a person must look at.

A trainer calls the project's model, a runtime its handler; a mistake in these surfaces in whoever called them. So the
message names the innermost line of the project's own files, and the caller only where none of them took part.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.code.imports import counts_by_version

if TYPE_CHECKING:
    from modelyard.component import Component

_OURS = f"{os.path.dirname(os.path.dirname(__file__))}{os.sep}"  # noqa: PTH120 - compared with the names of files in tracebacks
_LONGEST = 100
_FIRST, _LAST = 3, 9
"""How many lines of an error's text are shown: what failed stands at its beginning, and why, below all frames, at its end."""
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>\w+)', re.MULTILINE)


class Line(msgspec.Struct, frozen=True):
    """A line of code.

    Attributes:
        file: the file, relative to the project if it lies there.
        number: the line, from 1.
        function: the function that it is in; empty for a module's own line.
        code: the line itself, without the indent.
    """

    file: str
    number: int
    function: str
    code: str

    def __str__(self) -> str:
        inside = f", in {self.function}" if self.function else ""
        code = self.code if len(self.code) <= _LONGEST else f"{self.code[: _LONGEST - 3]}..."
        return f"{self.file}:{self.number}{inside}: {code}"


def own_line(error: BaseException, project: Path, components: Iterable[Component] = ()) -> Line | None:
    """Return the innermost line of the project's own code that `error`, or else one of its causes, came through.

    Args:
        error: what was raised.
        project: the project's folder.
        components: those that took part; if one of the project's cannot be called as it was, that is its own line.
    """
    for one in chain(error):
        found = (
            _syntax(one, project)
            or _signature(one, project, components)
            or _quoted(one, project)
            or _innermost(one, project)
        )
        if found is not None:
            return found
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, and each error that led to it; the last is the first cause."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def line_in(error: BaseException, file: Path) -> int | None:
    """Return the number of the innermost line of `file` that the error, or else one of its causes, came through."""
    for one in chain(error):
        lines = [frame.lineno for frame in traceback.extract_tb(one.__traceback__) if frame.filename == str(file)]
        if lines:
            return lines[-1]
    return None


def said(error: BaseException) -> str:
    """Return an error as Python says it: `KeyError: 'missing'`; with the first cause where it is another one."""
    first = list(chain(error))[-1]
    told = _name(error)
    return told if first is error or _name(first) in told else f"{told}; the first cause is {_name(first)}"


def _name(error: BaseException) -> str:
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > _FIRST + _LAST:
        lines[_FIRST:-_LAST] = ["..."]
    text = "\n    ".join(lines)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_own(file: str, project: Path) -> bool:
    return file.startswith(f"{project}{os.sep}") and not counts_by_version(file) and not file.startswith(_OURS)


def _innermost(error: BaseException, project: Path) -> Line | None:
    trace, found = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_code
        if _is_own(code.co_filename, project):
            function = "" if code.co_name == "<module>" else code.co_name
            found = _line(code.co_filename, trace.tb_lineno, function, project)
        trace = trace.tb_next
    return found


def _quoted(error: BaseException, project: Path) -> Line | None:
    """Return the innermost line of the project that the error's own text names, as TensorFlow tells where a graph failed.

    A function that AutoGraph traced runs as generated code: its traceback does not know the file that a person wrote.
    """
    frames = [match for match in _FRAME.finditer(str(error)) if _is_own(match["file"], project)]
    if not frames:
        return None
    last = frames[-1]
    return _line(last["file"], int(last["line"]), last["function"], project)


def _line(file: str, number: int, function: str, project: Path) -> Line:
    code = linecache.getline(file, number).strip()
    return Line(os.path.relpath(file, project), number, function, code)


def _syntax(error: BaseException, project: Path) -> Line | None:
    """Return the line that Python could not read, of an error in the syntax of a file of the project."""
    if not isinstance(error, SyntaxError) or not error.filename or not _is_own(error.filename, project):
        return None
    return _line(error.filename, error.lineno or 1, "", project)


def _signature(error: BaseException, project: Path, components: Iterable[Component]) -> Line | None:
    """Return the first line of a function of the project that was called with what it does not take."""
    named = re.match(r"(\w+)\(\) (?:takes|missing|got)\b", str(error)) if isinstance(error, TypeError) else None
    last = _innermost(error, project)
    if named is None or (last is not None and f"{named[1]}(" in last.code):
        return None  # or the call itself is the project's
    for component in components:
        code = getattr(_function(component), "__code__", None)
        if code is not None and code.co_name == named[1] and _is_own(code.co_filename, project):
            return _line(code.co_filename, code.co_firstlineno, named[1], project)
    return None


def _function(component: Component) -> Any:
    module, separator, name = component.name.partition(":")
    try:
        found = getattr(importlib.import_module(module), name) if separator else component.function
    except (ImportError, AttributeError):
        return None
    return inspect.unwrap(found)
