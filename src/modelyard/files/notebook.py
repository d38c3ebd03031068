"""Jupyter notebooks as code: the code cells, without what they have put out.

Source: nbformat 4, the notebook file format; IPython, input transformation.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import DataError
from modelyard.files.json import decode, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".ipynb"
_MAGIC = re.compile(r"^(\s*)((?:[\w, ]+=\s*)?)([%!?].*|[\w.]+\?+\s*)$")
"""A line for IPython and not for Python: `%magic`, `!command`, `name = !command`, `name?`."""


class Cell(msgspec.Struct, frozen=True):
    """A code cell.

    Attributes:
        number: which code cell of the notebook it is, from 1.
        source: its text.
        tags: what a person has tagged it with.
    """

    number: int
    source: str
    tags: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """Its text as Python of as many lines: where it is none, lines for IPython stand there as texts."""
        try:
            ast.parse(self.source)
        except (SyntaxError, ValueError):
            return _with_texts(self.source)
        return self.source


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str]
    metadata: dict[str, Any] = {}


class _Notebook(msgspec.Struct):
    nbformat: int
    cells: list[_Cell]


def read_cells(path: Path) -> list[Cell]:
    """Return the code cells of the notebook at `path`.

    Raises:
        DataError: it cannot be read, or is no notebook.
    """
    try:
        notebook = decode(read_bytes(path), _Notebook)
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise DataError(msg) from exc
    except ValueError as exc:
        msg = f"{path}: not a Jupyter notebook of format 4: {exc}\n  open it in Jupyter and save it again"
        raise DataError(msg) from exc
    code = [one for one in notebook.cells if one.cell_type == "code"]
    return [Cell(number, _text(one.source), _tags(one.metadata)) for number, one in enumerate(code, 1)]


def cell_name(path: Path | str, number: int) -> str:
    """Return what a cell is called where a file is named."""
    return f"{path} cell {number}"


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _tags(metadata: dict[str, Any]) -> tuple[str, ...]:
    tags = metadata.get("tags")
    return tuple(str(one) for one in tags) if isinstance(tags, list) else ()


def _with_texts(source: str) -> str:
    lines = source.split("\n")
    if source.lstrip().startswith("%%"):  # a magic for the whole cell
        return "\n" * (len(lines) - 1) + f"_ = {source!r}"
    return "\n".join(_MAGIC.sub(lambda found: f"{found[1]}{found[2] or '_ = '}{found[3]!r}", line) for line in lines)
