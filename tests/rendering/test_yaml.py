from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from modelyard.rendering.yaml import QuoteError, YamlText, block, flow

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
ODD = (
    "on",
    "1.0",
    "null",
    "~",
    "",
    "'",
    '"',
    "{{ x }}",
    "a: b",
    "a #b",
    "- a",
    "\n",
    "\x85",
    "\u2028",
    "\ufeff",
    "😀",
    "=",
    "<<",
)


@given(VALUES)
@example(list(ODD))
@example({text: text for text in ODD})
@example([1e16, 1e-7, -0.0, 5e-324])
def test_flow_is_read_back_as_the_same_value(value: object) -> None:
    assert yaml.safe_load(flow(value)) == value
    assert repr(yaml.safe_load(flow(value))) == repr(value)


@given(VALUES)
def test_flow_is_json_too(value: object) -> None:
    assert json.loads(flow(value)) == value


@given(VALUES)
def test_flow_is_one_line_of_ascii_structure(value: object) -> None:
    assert len(flow(value).splitlines()) == 1


@given(st.dictionaries(TEXT, VALUES, max_size=4) | st.lists(VALUES, max_size=4), st.integers(1, 6))
def test_block_after_a_key_is_read_back_as_the_same_value(value: object, indent: int) -> None:
    assert yaml.safe_load(f"key:{block(value, indent)}\nnext: 1\n") == {"key": value, "next": 1}


LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1, max_size=5)


@given(LINES, st.integers(1, 6))
@example(["a: b", "", "  # c", "--- ", "{{ d }}", "e"], 2)
def test_lines_are_read_back_as_they_are(lines: list[str], indent: int) -> None:
    text = "\n".join(lines) + "\n"
    assert yaml.safe_load(f"key:{block({'file': text}, indent)}\nnext: 1\n") == {"key": {"file": text}, "next": 1}


def test_a_file_stands_line_by_line() -> None:
    assert block({"a": "x {\n  y;\n}\n"}, 2) == '\n  "a": |\n    x {\n      y;\n    }'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ({1: "a"}, "key must be text"),
        ({"k" * 1001: "a"}, "longer than YAML allows"),
        ("\ud83d", "surrogate"),
        (object(), "type 'object'"),
        (b"bytes", "type 'bytes'"),
        ([{"a": {1, 2}}], "type 'set'"),
    ],
)
def test_what_yaml_cannot_hold_is_refused(value: object, said: str) -> None:
    with pytest.raises(QuoteError, match=said):
        flow(value)


def test_what_is_done_to_yaml_text_loses_the_mark() -> None:
    text = YamlText("a: b")
    for changed in (text + "", text * 1, text.strip(), text.replace("a", "c"), f"{text}", f"{text}"):
        assert type(changed) is str or changed is text
    assert type(text + "\nc: d") is str
