"""What is wrong in a file that is not TOML, for a person: line and column, the line itself, a caret, what to do next.

pyproject.toml:2:12: the text has no closing quote
  2 | name = "toy
    |            ^
  close it on the same line; a text of several lines stands between three quotes
"""

from __future__ import annotations

import re
from typing import NamedTuple

from modelyard.toml.lines import last_statement, lines_of, unclosed

_WIDTH = 60
"""How much of a line is shown, in characters: a terminal of 80 columns has room for it."""
_GENERAL = "mend the line; https://toml.io says how TOML is written"
_QUOTE = "close it on the same line; a text of several lines stands between three quotes"
_DEEP = 100


class Mistake(NamedTuple):
    """A mistake: its offset in the text, what it is, and what to do."""

    offset: int
    what: str
    advice: str = _GENERAL


def explain(file: str, data: bytes, error: Exception) -> str:
    """Return the message for a file that `tomllib` refuses.

    Args:
        file: the file as the message names it.
        data: what it holds.
        error: what reading it raised: not TOML, not UTF-8, a number too long, or nested too deep.
    """
    text, mistake = _mistake(data, error)
    line = text.count("\n", 0, mistake.offset) + 1
    column = mistake.offset - (text.rfind("\n", 0, mistake.offset) + 1) + 1
    shown, caret = _window(text.split("\n")[line - 1], column)
    margin = " " * len(str(line))
    return (
        f"{file}:{line}:{column}: {mistake.what}\n  {line} | {shown}\n  {margin} | {' ' * caret}^\n  {mistake.advice}"
    )


def _mistake(data: bytes, error: Exception) -> tuple[str, Mistake]:
    """Return the file's text as far as it is one, and the mistake in it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        advice = "save the file as UTF-8 (PowerShell: `... | Out-File -Encoding utf8NoBOM`)"
        return data.decode("utf-16", "replace"), Mistake(0, "the file is UTF-16, and must be UTF-8", advice)
    if isinstance(error, UnicodeDecodeError):
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        before = len(data[: error.start].decode("utf-8"))
        rest = data[error.start :].decode("latin-1")
        return data[: error.start].decode("utf-8") + rest, Mistake(before, what, "save the file as UTF-8")
    text = data.decode("utf-8").replace("\r\n", "\n")
    if text.startswith("\ufeff"):
        advice = "save the file as UTF-8 without BOM (Notepad: Save as, Encoding: UTF-8)"
        return text[1:], Mistake(0, "the file begins with a byte order mark (BOM), which TOML does not allow", advice)
    return text, _in_text(text, error)


def _in_text(text: str, error: Exception) -> Mistake:
    if isinstance(error, RecursionError):
        return Mistake(_deepest(text), f"arrays or tables nested more than {_DEEP} deep", "write them flatter")
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    if place is None:  # the one thing that tomllib hands on as Python says it: int() refuses the number
        long = re.search(r"\d{1000,}", text.replace("_", "0"))
        return Mistake(long.start() if long else 0, "a number of so many digits is not allowed", "write a smaller one")
    told = str(error)[: place.start()]
    if place[1]:
        offset = _offset(text, int(place[1]), int(place[2]))
        return (told.startswith("Unclosed") and _never_closed(text, offset)) or _worded(text, offset, told)
    return _never_closed(text) or _worded(text, len(text.rstrip("\n")), told)


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1


def _deepest(text: str) -> int:
    """Return where the nesting passes the limit, near enough: brackets in texts count, too."""
    depth = 0
    for offset, char in enumerate(text):
        depth += (char in "[{") - (char in "]}")
        if depth > _DEEP:
            return offset
    return 0


def _worded(text: str, offset: int, told: str) -> Mistake:
    """Return what `tomllib` tells, in words that say what to do about it."""
    here = text[offset : offset + 1]
    if told == r"Illegal character '\n'":
        return Mistake(offset, "the text has no closing quote", _QUOTE)
    if here and here in _CURLY:
        return Mistake(offset, f"the quote {here} is none of TOML's", "write \" or '")
    if here and not here.isprintable() and here not in "\n\t":
        return Mistake(
            offset, f"the character {here!r} is not allowed here", "remove it; a text may hold it as \\uXXXX"
        )
    if told.startswith(("Cannot declare", "Cannot overwrite", "Cannot mutate", "Cannot redefine")):
        return _twice(text, offset)
    what, advice = _WORDS.get(told, (told[:1].lower() + told[1:], _GENERAL))
    return Mistake(offset, what, advice)


_CURLY = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_WORDS = {
    "Invalid value": ("this is no value", "a text stands between quotes; true and false are written in lower case"),
    "Expected '=' after a key in a key/value pair": ("'=' is missing behind the key", "write key = value"),
    "Unescaped '\\' in a string": ("a backslash in a text", "write two for one, or put the text between single quotes"),
    "Expected newline or end of document after a statement": (
        "the value ends here, and something follows",
        "write one key = value on a line; a text stands between quotes",
    ),
}


def _never_closed(text: str, shows: int | None = None) -> Mistake | None:
    """Return the mistake of a text, array or table that is never closed, if there is one.

    Args:
        text: the file.
        shows: where it shows that an array or table should have ended before; None: at the end of the file.
    """
    begin = unclosed(text[:shows])
    if begin is None:
        return None
    if text[begin] in "\"'":
        return Mistake(begin, "the text has no closing quote", "close it with what it began with")
    what, end = ("array", "]") if text[begin] == "[" else ("table", "}")
    line = text.count("\n", 0, begin) + 1
    advice = f"a comma stands between two values, and {end!r} behind the last"
    return Mistake(begin if shows is None else shows, f"the {what} that begins on line {line} is not closed", advice)


def _twice(text: str, offset: int) -> Mistake:
    """Return the mistake of a table or key that is there already, with the line of the first."""
    end = text.find("\n", offset)
    path, line = last_statement(text[: end if end >= 0 else len(text)])
    start = _offset(text, line, 1)
    first, is_table = lines_of(text[:start]), text[start:].lstrip(" \t").startswith("[")
    for length in range(len(path), 0, -1):
        if path[:length] in first:
            what = f"[{'.'.join(map(str, path[:length]))}]" if is_table else f"the key {str(path[length - 1])!r}"
            return Mistake(start, f"{what} is there already, on line {first[path[:length]]}", "keep one of the two")
    return Mistake(start, "what stands here is there already", "keep one of the two")


def _window(line: str, column: int) -> tuple[str, int]:
    """Return the part of a line that is shown, without control characters, and the caret's place in it from 0."""
    clean = "".join(
        char if char.isprintable() else " " if char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in line
    )
    start = max(0, min(column - 1 - _WIDTH // 2, len(clean) - _WIDTH))
    return clean[start : start + _WIDTH].rstrip(), column - 1 - start
