from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DataError
from modelyard.files.notebook import Cell, cell_name, read_cells


def notebook(folder: Path, *cells: dict[str, Any]) -> Path:
    file = folder / "n.ipynb"
    file.write_text(json.dumps({"nbformat": 4, "cells": cells}))
    return file


def test_the_code_cells_are_counted_and_their_outputs_left_out(tmp_path: Path) -> None:
    file = notebook(
        tmp_path,
        {"cell_type": "markdown", "source": "# title"},
        {"cell_type": "code", "source": ["a = 1\n", "b = 2"], "outputs": [{"data": "x"}], "execution_count": 3},
        {"cell_type": "raw", "source": ""},
        {"cell_type": "code", "source": "c = 3", "metadata": {"tags": ["parameters", 7]}},
    )
    assert read_cells(file) == [Cell(1, "a = 1\nb = 2"), Cell(2, "c = 3", ("parameters", "7"))]
    assert cell_name("n.ipynb", 2) == "n.ipynb cell 2"


@pytest.mark.parametrize("tags", [None, "parameters", {}])
def test_tags_that_are_no_list_are_none(tmp_path: Path, tags: object) -> None:
    file = notebook(tmp_path, {"cell_type": "code", "source": "", "metadata": {"tags": tags}})
    assert read_cells(file) == [Cell(1, "")]


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("x = 1\n  ", "x = 1\n  "),
        ("%matplotlib inline\nx = 1", "_ = '%matplotlib inline'\nx = 1"),
        ("files = !ls -l\nx", "files = '!ls -l'\nx"),
        ("for a in b:\n    !rm $a", "for a in b:\n    _ = '!rm $a'"),
        ("print?\n1", "_ = 'print?'\n1"),
        ("x = 7 % 3", "x = 7 % 3"),
    ],
)
def test_lines_for_ipython_become_texts_on_the_same_line(source: str, python: str) -> None:
    assert Cell(1, source).python == python
    ast.parse(Cell(1, source).python)


def test_a_cell_for_another_language_is_one_text_with_as_many_lines() -> None:
    source = "%%bash\nif true; then\n  ls\nfi"
    python = Cell(1, source).python
    assert ast.literal_eval(python.strip().removeprefix("_ = ")) == source
    assert python.count("\n") == source.count("\n")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"nbformat": 3, "worksheets": []}', "[" * 100_000])
def test_what_is_no_notebook_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "n.ipynb").write_text(content)
    with pytest.raises(DataError, match=r"n\.ipynb: not a Jupyter notebook of format 4: .*\n  open it in Jupyter"):
        read_cells(tmp_path / "n.ipynb")


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"n\.ipynb: cannot be read: No such file"):
        read_cells(tmp_path / "n.ipynb")
