"""On which line of a TOML file each table, key and element stands. Python's `tomllib` does not say, so a message asks here.

Looked up only when there is something to tell: a build without a mistake never scans its file. What is scanned has
been read by `tomllib` before (or is the sound part of a file before its mistake), so this need not check anything.
Source: TOML 1.0.0, https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

Key = tuple[str | int, ...]
"""The way to a value: names of tables and keys, and numbers of elements from 0."""

_TOKEN = re.compile(
    r"""
    (?P<blank> [ \t\r\ufeff]+ | \#[^\n]* )
  | (?P<end> \n )
  | (?P<text> \"{3} (?: \\. | [^\\] )*? \"{3,5} | '{3} .*? '{3,5} | " (?: \\. | [^"\\\n] )* "? | ' [^'\n]* '? )
  | (?P<mark> [\[\]{}=,.] )
  | (?P<bare> [^\s\[\]{}=,.\#"']+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[Key, int]:
    """Return the line, from 1, of every table, key and element of a TOML document, by its way from the top."""
    return _Scanner(_tokens(text)).scan()


def last_statement(text: str) -> tuple[Key, int]:
    """Return the way to the table or key that a TOML document declares last, and the line on which it begins."""
    scanner = _Scanner(_tokens(text))
    scanner.scan()
    return scanner.last


def unclosed(text: str) -> int | None:
    """Return where the text, array or table begins that a file does not close: its offset, or None if there is none."""
    open_ones: list[int] = []
    for match in _TOKEN.finditer(text):
        token, start = match[0], match.start()
        if match.lastgroup == "text" and (len(token) == 1 or token[-1] != token[0]):
            return start - 2 if text[start - 2 : start] == 2 * token[0] else start  # of three quotes the last
        if token in ("[", "{"):
            open_ones.append(start)
        elif token in ("]", "}") and open_ones:
            open_ones.pop()
    return open_ones[-1] if open_ones else None


def _tokens(text: str) -> list[_Token]:
    found, line = [], 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            found.append(_Token(str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
    return [*found, _Token("end", "", line)]


class _Scanner:
    """Walks over the tokens and notes where each way was seen first; a table's own header stands above a mention."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at = tokens, 0
        self._lines: dict[Key, int] = {}
        self._counts: dict[Key, int] = {}
        self.last: tuple[Key, int] = ((), 1)

    def scan(self) -> dict[Key, int]:
        table: Key = ()
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.text == "[":
                table = self._header()
                self.last = table, token.line
            elif token.kind in ("bare", "text"):
                self.last = self._pair(table), token.line
            else:
                self._at += 1
        return self._lines

    @property
    def _now(self) -> _Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _take(self, mark: str) -> bool:
        is_there = self._now.kind == "mark" and self._now.text == mark
        self._at += is_there
        return is_there

    def _header(self) -> Key:
        """Read `[a.b]` or `[[a.b]]` and return the way to what stands below it."""
        line, is_array = self._now.line, self._take("[") and self._take("[")
        *above, last = self._key() or [""]
        path = (*self._resolved(above), last)
        if is_array:
            number = self._counts[path] = self._counts.get(path, 0) + 1
            self._lines.setdefault(path, line)
            path = (*path, number - 1)
        self._note(path, line)
        while self._take("]"):
            pass
        return path

    def _resolved(self, key: list[str]) -> Key:
        """Return the way with the number of the last element behind each name of an array of tables."""
        path: Key = ()
        for part in key:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _note(self, path: Key, line: int) -> None:
        for length in range(1, len(path)):
            self._lines.setdefault(path[:length], line)
        self._lines[path] = line

    def _key(self) -> list[str]:
        parts = []
        while self._now.kind in ("bare", "text"):
            parts.append(_name(self._now))
            self._at += 1
            if not self._take("."):
                break
        return parts

    def _pair(self, table: Key) -> Key:
        """Read `a.b = value` and return the way to the value."""
        line = self._now.line
        path = (*table, *self._key())
        self._note(path, line)
        if self._take("="):
            self._value(path)
        return path

    def _value(self, path: Key) -> None:
        if self._take("["):
            self._elements(path)
        elif self._take("{"):
            self._inline(path)
        else:
            while self._now.kind in ("bare", "text") or self._now.text == ".":
                self._at += 1

    def _elements(self, path: Key) -> None:
        number = 0
        while self._skip_ends() and not self._take("]"):
            before = self._at
            self._lines[(*path, number)] = self._now.line
            self._value((*path, number))
            number += 1
            self._next(before)

    def _inline(self, path: Key) -> None:
        while self._skip_ends() and not self._take("}"):
            before = self._at
            self._pair(path)
            self._next(before)

    def _next(self, before: int) -> None:
        """Go behind the comma; past whatever is there if nothing was read since `before`, so that this always ends."""
        self._skip_ends()
        if not self._take(",") and self._at == before:
            self._at += 1

    def _skip_ends(self) -> bool:
        """Go to what comes next on this line or a later one; False at the end of the file."""
        while self._now.kind == "end" and self._at < len(self._tokens):
            self._at += 1
        return self._at < len(self._tokens)


def _name(token: _Token) -> str:
    if token.kind != "text":
        return token.text
    try:
        return next(iter(tomllib.loads(f"{token.text} = 0")))
    except ValueError:
        return token.text
