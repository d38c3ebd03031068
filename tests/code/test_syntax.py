"""What the code in one file means."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.code.syntax import read_code
from modelyard.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = '''"""What it is."""
import math

SCALE = 2


def first(value: int, *, width: int = 4) -> int:
    """Say what it answers."""
    # a comment
    return value * width


class Second:
    """A class."""

    size: int = 3
    """The text below an attribute."""

    def area(self):
        """Only a docstring."""
'''


def meaning(text: str, folder: Path) -> dict[str, str]:
    path = folder / "meaning.py"
    path.write_text(text)
    return read_code(path).parts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment\n    # and one more"),
        ('"""Say what it answers."""', '"""Say it otherwise."""'),
        ('"""Say what it answers."""\n', "\n"),
        ('"""What it is."""\n', ""),
        ('    """The text below an attribute."""\n', ""),
        ('"""Only a docstring."""', "pass"),
        ("value * width", "(\n        value *\n        width)"),
        ("\n\n\nclass", "\nclass"),
        ("SCALE = 2", "SCALE = 0b10"),
        ("width: int = 4", "width:int=4"),
    ],
)
def test_comments_docstrings_and_layout_mean_nothing(old: str, new: str, tmp_path: Path) -> None:
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new), tmp_path) == meaning(PROGRAM, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value * width", "value + width"),
        ("width: int = 4", "width: int = 5"),
        ("width: int = 4", "width: float = 4"),
        ("SCALE = 2", "SCALE = 2.0"),
        ("SCALE = 2", "SCALE = '2'"),
        ("import math", "import cmath as math"),
        ("def area(self)", "def area(self, *args)"),
        ("class Second:", "class Second(dict):"),
        ("def first", "def primero"),
        ("def first", "async def first"),
        ("    return value * width", "    value * width"),
    ],
)
def test_every_change_that_python_sees_counts(old: str, new: str, tmp_path: Path) -> None:
    assert old in PROGRAM
    assert meaning(PROGRAM.replace(old, new), tmp_path) != meaning(PROGRAM, tmp_path)


def test_a_change_is_told_by_the_function_that_it_is_in(tmp_path: Path) -> None:
    before, after = meaning(PROGRAM, tmp_path), meaning(PROGRAM.replace("value * width", "width"), tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"first"}


NAMES = st.sampled_from(["a", "b", "c"])
CONSTANTS = st.one_of(
    st.integers(-3, 3), st.booleans(), st.none(), st.floats(allow_nan=False), st.text(max_size=3), st.binary(max_size=2)
).map(lambda value: ast.Constant(value=value))


def _compound(inner: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
    operators = st.sampled_from([ast.Add(), ast.Sub(), ast.Mult(), ast.Div()])
    return st.one_of(
        st.builds(ast.BinOp, left=inner, op=operators, right=inner),
        st.builds(lambda items: ast.Tuple(elts=items, ctx=ast.Load()), st.lists(inner, max_size=3)),
        st.builds(lambda items: ast.List(elts=items, ctx=ast.Load()), st.lists(inner, max_size=3)),
        st.builds(lambda f, items: ast.Call(func=f, args=items, keywords=[]), inner, st.lists(inner, max_size=2)),
        st.builds(lambda test, one, two: ast.IfExp(test=test, body=one, orelse=two), inner, inner, inner),
    )


EXPRESSIONS = st.recursive(
    st.one_of(CONSTANTS, NAMES.map(lambda name: ast.Name(id=name, ctx=ast.Load()))), _compound, max_leaves=8
)
STATEMENTS = st.one_of(
    st.builds(lambda n, e: f"{n} = {ast.unparse(e)}", NAMES, EXPRESSIONS),
    st.builds(lambda e: f"return {ast.unparse(e)}", EXPRESSIONS),
    st.builds(lambda t, n, e: f"if {ast.unparse(t)}:\n        {n} = {ast.unparse(e)}", EXPRESSIONS, NAMES, EXPRESSIONS),
)


@settings(max_examples=60)
@given(st.lists(STATEMENTS, min_size=1, max_size=4), st.lists(STATEMENTS, min_size=1, max_size=4))
def test_two_programs_mean_the_same_exactly_if_their_trees_are_equal(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], two: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    first, second = ("def f(a, b, c):\n    " + "\n    ".join(body) + "\n" for body in (one, two))
    equal = ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    assert (meaning(first, folder) == meaning(second, folder)) is equal
    assert meaning(ast.unparse(ast.parse(first)), folder) == meaning(first, folder)


def test_code_too_deep_for_a_recursion_is_read(tmp_path: Path) -> None:
    chain = "def f(x):\n    if x == 0:\n        return 0\n" + "".join(
        f"    elif x == {n}:\n        return {n}\n" for n in range(1, 600)
    )
    compile(chain, "chain", "exec")
    changed = chain.replace("return 599", "return 600")
    assert meaning(chain, tmp_path) != meaning(changed, tmp_path)
    assert meaning(chain, tmp_path) == meaning(f"# a comment\n{chain}", tmp_path)


@pytest.mark.parametrize("text", [b"def f(:\n", b"x = 1\x00", b"\xff\xfe = 1", b"x = (" * 300])
def test_a_file_that_is_not_python_is_a_plugin_error_that_names_it(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(text)
    with pytest.raises(PluginError, match=r"bad\.py"):
        read_code(tmp_path / "bad.py")


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1\ny = = 2\n")
    with pytest.raises(PluginError, match=r"bad\.py:2: syntax error: .*\n  \S"):
        read_code(tmp_path / "bad.py")
