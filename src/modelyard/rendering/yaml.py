"""Write a value as YAML so that no text in it can become structure.

JSON is YAML's flow style, so a value is written as JSON with four differences, each for a parser:
characters that YAML 1.1 does not print or takes for a line's end are escaped; so are the characters
that mean something inside an unquoted or single-quoted scalar, because a template's author may put
`{{ value }}` there by mistake; an exponent gets a decimal point, without which PyYAML reads a string;
and a key must be a string.

Source: YAML 1.1 sections 5.1 (characters), 5.4 (line breaks), 9.1.3 (plain scalars); YAML 1.2.2 section 10.2.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping

# Structure, for whatever scalar the text is pasted into: a single quote ends a single-quoted scalar, brackets and
# commas end a plain one in flow style, ": " makes a plain one a key, " #" cuts one off.
_ESCAPED = re.compile(r"['\[\]{},\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|(?<= )#|:(?= )")
_PLAIN_LINES = re.compile(r"[!-~][ -~]*\n(?:[ -~]*\n)*[ -~]*[!-~]\n")
"""Two lines or more of printable ASCII that neither begin nor end with a blank: what a literal block scalar keeps as it is."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class QuoteError(ValueError):
    """A value cannot be written as YAML."""


class YamlText(str):
    """Text that is YAML already. Whatever is done to it gives a plain `str` again, which is quoted."""

    __slots__ = ()


def flow(value: object) -> YamlText:
    """Return `value` as YAML on one line, in flow style: `"a"`, `1`, `true`, `null`, `["a"]`, `{"a": 1}`.

    Raises:
        QuoteError: the value, or one inside, is of a type that YAML has no plain form for; or is not finite; or has a
            key that is not a string; or text that UTF-8 cannot hold.
    """
    return YamlText(_flow(value))


def block(value: object, indent: int = 0) -> YamlText:
    """Return a mapping or list as YAML in block style, `indent` spaces deep, to be written right after `key:`.

    Every line starts with a line break, so `labels:{{ labels | block(4) }}` is right for any number of labels: of none
    it makes `labels: {}`. A plain text of several lines, such as a file in a ConfigMap, is written line by line.
    """
    if isinstance(value, str) and _PLAIN_LINES.fullmatch(value):
        margin = " " * indent
        return YamlText(" |\n" + "\n".join(margin + line if line else "" for line in value[:-1].split("\n")))
    lines = list(_lines(value, " " * indent))
    return YamlText("\n" + "\n".join(lines) if lines else " " + _flow(value))


def _lines(value: object, margin: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{margin}{_key(key)}:{block(inner, len(margin) + 2)}"
    elif isinstance(value, list | tuple):
        for inner in value:
            yield f"{margin}- {_flow(inner)}"


def _flow(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    msg = f"a value of type {type(value).__name__!r} cannot be written: {value!r:.80}"
    raise QuoteError(msg)


def _string(text: str) -> str:
    if _SURROGATE.search(text):
        msg = f"text holds half of a surrogate pair, which UTF-8 cannot carry: {text!r:.80}"
        raise QuoteError(msg)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(str(text), ensure_ascii=False))


def _key(key: object) -> str:
    if not isinstance(key, str):
        msg = f"a key must be text, not {key!r:.80}"
        raise QuoteError(msg)
    quoted = _string(key)
    if len(quoted) > 1000:
        msg = f"a key is longer than YAML allows (1000 characters): {key!r:.80}"
        raise QuoteError(msg)
    return quoted


def _number(value: float) -> str:
    if not math.isfinite(value):
        msg = f"a number must be finite, not {value!r}"
        raise QuoteError(msg)
    text = repr(float(value))
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text
