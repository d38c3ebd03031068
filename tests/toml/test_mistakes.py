from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.toml.mistakes import explain

CASES: dict[bytes, str] = {
    b'[a]\nx = "toy\ny = 1\n': '2:9: the text has no closing quote\n  2 | x = "toy\n    |         ^\n  close it',
    b"[a]\nx = 'toy\ny = 1\n": "2:5: the text has no closing quote\n  2 | x = 'toy\n    |     ^\n  close it",
    b'[a]\nx = """toy\n\ny = 1\n': '2:5: the text has no closing quote\n  2 | x = """toy\n',
    b'[a]\r\nx = "toy\r\ny = 1\r\n': '2:9: the text has no closing quote\n  2 | x = "toy\n    |         ^\n',
    b'[a]\nx = "a\x07b"\n': "2:7: the character '\\x07' is not allowed here\n  2 | x = \"a\ufffdb\"\n    |       ^\n  remove it",
    b"[a]\n\x00x = 1\n": "2:1: the character '\\x00' is not allowed here\n  2 | \ufffdx = 1\n",
    b"\xef\xbb\xbf[a]\nx = 1\n": "1:1: the file begins with a byte order mark (BOM), which TOML does not allow\n  1 | [a]\n",
    "[a]\nx = 'é'\n".encode("latin-1"): "2:6: the byte 0xe9 is not UTF-8\n  2 | x = 'é'\n    |      ^\n  save",
    "[a]\nx = 1\n".encode("utf-16"): "1:1: the file is UTF-16, and must be UTF-8\n  1 | [a]\n",
    b"[a.c]\nx = 1\n[b]\n[a.c]\ny = 1\n": "4:1: [a.c] is there already, on line 1\n  4 | [a.c]\n    | ^\n  keep one",
    b"[a]\nx = 1\ny = 2\nx = 3\n": "4:1: the key 'x' is there already, on line 2\n",
    b"[a]\nx = 1\nx.y = 3\n": "3:1: the key 'x' is there already, on line 2\n",
    b"a = [1]\na = [2]\n": "2:1: the key 'a' is there already, on line 1\n",
    b"a = [1]\na = [\n  2,\n]\n": "2:1: the key 'a' is there already, on line 1\n  2 | a = [\n",
    b"[x]\na.b = {c = 1}\na.b = {c = 2}\n": "3:1: the key 'b' is there already, on line 2\n",
    b"[a.x]\n[a]\nx = 1\n": "3:1: the key 'x' is there already, on line 1\n",
    b"[a]\nx = " + b"1" * 5000 + b"\n": "2:5: a number of so many digits is not allowed\n  2 | x = 1111",
    b"[a]\nx = " + b"[" * 5000 + b"\n": "2:105: arrays or tables nested more than 100 deep\n",
    b"[a]\nx 1\n": "2:3: '=' is missing behind the key\n  2 | x 1\n    |   ^\n  write key = value",
    b"[a]\nx = None\n": "2:5: this is no value\n  2 | x = None\n    |     ^\n  a text stands between quotes",
    b"[a]\nx = ": "2:5: this is no value\n",
    "[a]\nx = “toy”\n".encode(): "2:5: the quote “ is none of TOML's\n",
    b"[a]\nx = [1, 2\ny = 3\n": "3:1: the array that begins on line 2 is not closed\n  3 | y = 3\n    | ^\n  a comma",
    b"[a]\nx = [1, 2\n": "2:5: the array that begins on line 2 is not closed\n",
    b"[a]\nx = { y = 1\n": "the table that begins on line 2 is not closed\n",
    b'[a]\nx = "C:\\data"\n': "2:10: a backslash in a text\n",
    b"[a]\nx = 1 y = 2\n": "2:7: the value ends here, and something follows\n  2 | x = 1 y = 2\n    |       ^\n",
    b"[a\nx = 1\n": "1:3: expected ']' at the end of a table declaration\n  1 | [a\n    |   ^\n  mend",
}


def told(data: bytes) -> str:
    with pytest.raises((ValueError, RecursionError)) as caught:
        tomllib.loads(data.decode())
    return explain("some.toml", data, caught.value)


@pytest.mark.parametrize(("data", "expected"), CASES.items(), ids=[repr(case[:20]) for case in CASES])
def test_a_mistake_has_line_column_the_line_a_caret_and_advice(data: bytes, expected: str) -> None:
    found = told(data)
    assert found.startswith("some.toml:")
    assert expected in found
    assert len(found.splitlines()) == 4


def test_a_long_line_is_shown_around_the_mistake() -> None:
    _, line, caret, _ = told(b'[a]\nx = ["' + b"a" * 100 + b'" "' + b"b" * 100 + b'"]\n').splitlines()
    assert len(line) < 80
    assert line[caret.index("^")] == '"'
    assert line[caret.index("^") - 3 : caret.index("^") + 2] == 'a" "b'


@given(
    data=st.binary(max_size=30) | st.text(alphabet="[]{}=,.#\"'\\\r\n a1-_\ufeff\x00“é", max_size=30).map(str.encode)
)
def test_whatever_is_no_toml_is_explained(data: bytes) -> None:
    try:
        tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        place, line, caret, advice = explain("x", data, exc).split("\n")
        assert place.startswith("x:")
        assert caret.endswith("^")
        assert (line + caret + advice).replace("\t", " ").isprintable()
