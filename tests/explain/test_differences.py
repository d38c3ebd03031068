from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from modelyard.explain.differences import (
    CodeChange,
    compare_code,
    compare_outputs,
    compare_parts,
    compare_values,
    same,
    say,
    show,
)
from modelyard.files.manifest import FileEntry

leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3)
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
)
names = st.sampled_from(
    [
        "seed",
        "python",
        "machine",
        "model",
        "model width",
        "trainer epochs",
        "setting gates",
        "input dataset",
        "code model",
        "version numpy",
        "environment A",
        "template 0 a.j2",
        "template 1 b.j2",
        "template 2 a.j2",
        "dataset table",
    ]
)
parts = st.dictionaries(names, value, max_size=6)
digest = st.text("0123456789ab", min_size=2, max_size=2)
code = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "c.py"]),
    st.dictionaries(st.text("fg", min_size=1, max_size=2), digest, max_size=3),
)


def one(old: Any, new: Any, files: Sequence[Any] = ()) -> tuple[Any, Any, Any, Any, Any]:
    (change,) = compare_parts(old, new, files)
    return change.kind, change.role, change.name, change.old, change.new


def test_each_kind_of_part_is_named() -> None:
    a, b = "a" * 64, "b" * 64
    assert one({"trainer epochs": 1}, {"trainer epochs": 2}) == ("parameter", "trainer", "epochs", 1, 2)
    assert one({"setting gates": {"x": 1}}, {"setting gates": {"x": 2}}) == ("setting", "", "gates.x", 1, 2)
    assert one({"seed": 0}, {"seed": 1}) == ("seed", "", "seed", 0, 1)
    assert one({"threads": 2}, {"threads": 4}) == ("threads", "", "threads", 2, 4)
    assert one({"accelerator": "cpu"}, {"accelerator": "cuda"}) == ("accelerator", "", "accelerator", "cpu", "cuda")
    assert one({}, {"isa": "avx2"}) == ("isa", "", "isa", UNSET, "avx2")
    assert one({"python": "3.11"}, {"python": "3.12"}) == ("version", "", "python", "3.11", "3.12")
    assert one({"version numpy": "1"}, {"version numpy": "2"}) == ("version", "", "numpy", "1", "2")
    assert one({"model": "a"}, {"model": "b"}) == ("component", "", "model", "a", "b")
    assert one({"input model:int8": a}, {"input model:int8": b}) == ("input", "", "model:int8", a, b)
    assert one({"code model": a}, {"code model": b}) == ("code", "", "model", a, b)
    assert one({"environment X": None}, {"environment X": "1"}) == ("environment", "", "X", None, "1")
    for name in ("server", "requirements", "requirements grpc_port"):
        assert one({f"runtime {name}": a}, {f"runtime {name}": b}) == ("file", "runtime", name, a, b)
    assert one({"runtime server": "x"}, {"runtime server": "y"}) == ("parameter", "runtime", "server", "x", "y")
    assert one({"dataset table": a}, {"dataset table": b}, ["dataset table"]) == ("file", "dataset", "table", a, b)
    assert one({}, {"version numpy": "1"}) == ("version", "", "numpy", UNSET, "1")


def test_a_template_more_does_not_shift_the_others() -> None:
    old = {"template 0 a.j2": "1", "template 1 c.j2": "3"}
    new = {"template 0 a.j2": "1", "template 1 b.j2": "2", "template 2 c.j2": "3"}
    assert one(old, new) == ("template", "", "b.j2", UNSET, "2")


def test_values_that_make_different_keys_differ() -> None:
    assert not same(1, 1.0)
    assert not same(1, True)
    assert not same(None, UNSET)
    assert same((1, 2), [1, 2])
    assert compare_parts({"trainer rate": 1}, {"trainer rate": 1.0})


@given(parts, parts)
def test_parts_differ_exactly_when_their_keys_do(old: Any, new: Any) -> None:
    assert bool(compare_parts(old, new)) == (not same(leaves(old), leaves(new)))


def leaves(mapping: Any) -> dict[str, Any]:
    """What a person sees as equal: an order of templates that names the same files is no difference."""
    from modelyard.explain.differences import named

    return {str(label): leaf for label, leaf in named(mapping)}


@given(parts, parts)
def test_parts_compared_the_other_way_round(old: Any, new: Any) -> None:
    there = {(c.kind, c.role, c.name): (c.old, c.new) for c in compare_parts(old, new)}
    back = {(c.kind, c.role, c.name): (c.new, c.old) for c in compare_parts(new, old)}
    assert there == back


@given(parts, parts)
def test_changes_lead_from_old_to_new(old: Any, new: Any) -> None:
    from modelyard.explain.differences import named

    patched = dict(named(old))
    for change in compare_parts(old, new):
        key = (change.kind, change.role, change.name)
        if change.new is UNSET:
            del patched[key]
        else:
            patched[key] = change.new
    assert same({str(k): v for k, v in patched.items()}, {str(k): v for k, v in dict(named(new)).items()})


@given(parts, parts)
def test_every_change_can_be_said_on_one_line(old: Any, new: Any) -> None:
    for change in compare_parts(old, new):
        assert "\n" not in say(change)


@pytest.mark.parametrize("text", ["\n", "one\ntwo", "\x1b[31m", ""])
def test_a_text_that_is_no_line_is_quoted(text: str) -> None:
    assert show(text) == repr(text)


@given(code, code)
def test_code_differs_exactly_when_the_meaning_does(old: Any, new: Any) -> None:
    meanings = [sorted(sorted(parts.items()) for parts in files.values()) for files in (old, new)]
    if not compare_code(old, new):
        assert meanings[0] == meanings[1]
    assert compare_code(old, old) == []


def test_a_moved_file_is_no_change() -> None:
    assert compare_code({"a.py": {"f": "1"}}, {"b.py": {"f": "1"}}) == []
    assert compare_code({"a.py": {"f": "1"}}, {"b.py": {"f": "2"}}) == [
        CodeChange("a.py", (), (), ("f",)),
        CodeChange("b.py", (), ("f",), ()),
    ]


def test_code_in_words() -> None:
    (change,) = compare_code({"a.py": {"f": "1", "g": "1", "h": "1"}}, {"a.py": {"f": "2", "g": "1", "i": "1"}})
    assert say(change) == "code a.py: f changed; i added; h removed"
    assert [say(c) for c in compare_code({"a.py": {"f": "1"}}, {"b.py": {"g": "1"}})] == [
        "code a.py: no longer used",
        "code b.py: new",
    ]


def test_metrics_and_outputs() -> None:
    (change,) = compare_values({"a": {"b": 1, "c": 2}, "d": 1.5}, {"a": {"b": 1, "c": 3}, "d": 1.5})
    assert say(change) == "a.c: 2 -> 3"
    old = {"x": FileEntry("1" * 64, 1), "y": FileEntry("2" * 64, 1)}
    new = {"x": FileEntry("1" * 64, 1), "z": FileEntry("2" * 64, 1)}
    assert [say(c) for c in compare_outputs(old, new)] == ["y: 222222222222 -> (none)", "z: (none) -> 222222222222"]
