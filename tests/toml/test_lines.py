from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.config.test_mistakes import JUNK, WORDS, toml

from modelyard.toml.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = """\
# tables, and what must not be taken for one
[a.b]               # c = 1
x = 1
"q.r" = \"\"\"
[not.a.table]
n = 1 \"\"\"\"\"
y.z = 'it is # no comment'
arr = [
  1, # one
  { use = "p", s = [1,
    2.5] },
]

[[t]]
n = 1
[[t]]
n = 1979-05-27 07:32:00
[t.u]
v = -1.5e3
[a]
w = '''
[x]
'''
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b"), 2),
        (("a", "b", "x"), 3),
        (("a", "b", "q.r"), 4),
        (("a", "b", "y", "z"), 7),
        (("a", "b", "arr", 0), 9),
        (("a", "b", "arr", 1, "use"), 10),
        (("a", "b", "arr", 1, "s", 1), 11),
        (("t", 0, "n"), 15),
        (("t", 1, "n"), 17),
        (("t", 1, "u", "v"), 19),
        (("a",), 20),
        (("a", "w"), 21),
    ],
)
def test_tables_keys_and_elements_have_their_lines(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(TEXT)
    assert lines_of(TEXT)[path] == line
    assert lines_of(TEXT.replace("\n", "\r\n"))[path] == line


def test_what_stands_in_texts_and_comments_is_no_table_and_no_key() -> None:
    assert set(ways(tomllib.loads(TEXT))) == set(lines_of(TEXT))


def ways(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to everything in `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*path, key)
        yield from ways(below, (*path, key))


@settings(max_examples=100)
@given(tables=st.dictionaries(WORDS, st.dictionaries(WORDS, JUNK, max_size=3), max_size=4))
def test_everything_that_a_file_holds_is_found_on_a_line_that_names_it(tables: dict[str, dict[str, Any]]) -> None:
    parts = [
        f"[{toml(name)}]\n" + "".join(f"{toml(k)} = {toml(v)}\n" for k, v in body.items())
        for name, body in tables.items()
    ]
    text = "\n".join(parts)
    found, lines = lines_of(text), text.split("\n")
    assert set(found) == set(ways(tomllib.loads(text)))
    for path, line in found.items():
        names = [part for part in path if isinstance(part, str)]
        assert toml(names[-1]) in lines[line - 1]


@given(text=st.text(alphabet="[]{}=,.#\"'\\\n ab1", max_size=40))
def test_a_broken_file_ends_the_search_and_raises_nothing(text: str) -> None:
    lines_of(text)
