"""The contract that authors of handlers check: what is given to a sample alone, among others, and where the server runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.testing import check_handler
from modelyard.testing import handler as module

PLUGIN = '''
import sys
from pathlib import Path

from modelyard import hookimpl

HERE = Path(__file__).parent


def backwards(place, *, most: int = 9):
    """Turn texts around.

    Args:
        most: how many bytes are kept.
    """
    sys.path.insert(0, str(HERE / "support"))
    import {package}

    return {package}.backwards(place, most=most)


@hookimpl
def modelyard_register_handlers(register):
    register("backwards", backwards, package=HERE / "support" / "{package}")
'''
PACKAGE = """
def backwards(place, *, most):
    def run(given):
        return {"text": [one[::-1][:most] for one in given["text"]]}

    text = place.tensor("text", "bytes")
    return place.handler(run, [text], [text])
"""
Group = tuple[np.ndarray, dict[str, np.ndarray]]


def groups(*rows: list[int]) -> list[Group]:
    """Return groups of samples, each of which is its row twice."""
    return [(np.array(some), {"y": np.array([[row, row] for row in some])}) for some in rows]


def test_what_was_given_is_in_the_order_of_the_samples() -> None:
    found = module._samples(groups([2, 0], [1]))
    assert [one["y"].tolist() for one in found] == [[0, 0], [1, 1], [2, 2]]


def test_samples_of_one_shape_are_one_array() -> None:
    assert module._together([np.zeros(2), np.ones(2)]).tolist() == [[0, 0], [1, 1]]
    ragged = module._together([np.zeros(1), np.ones(2)])
    assert [one.tolist() for one in ragged] == [[0], [1, 1]]


@pytest.mark.parametrize(
    ("alone", "among", "same"),
    [
        (np.array([0.5]), np.array([0.5 + 1e-7]), True),
        (np.array([0.5]), np.array([0.51]), False),
        (np.array([0.5]), np.array([0.5, 0.5]), False),
        (np.array([1]), np.array([1]), True),
        (np.array([1]), np.array([2]), False),
        (np.array(b"ab", object), np.array(b"ab", object), True),
        (np.array(b"ab", object), np.array(b"a", object), False),
    ],
)
def test_numbers_may_be_rounded_otherwise_and_all_else_is_the_same(alone: Any, among: Any, same: bool) -> None:
    if same:
        module._check_same({"y": alone}, {"y": among}, 3, "handler 'x': alone")
        return
    with pytest.raises(AssertionError, match="handler 'x': alone, sample 3 gets another 'y' than among the others"):
        module._check_same({"y": alone}, {"y": among}, 3, "handler 'x': alone")


@pytest.mark.parametrize(
    ("package", "old", "new", "said"),
    [
        ("by_batch", "most] for", "most] + b'!' * len(given['text']) for", "alone, sample 0 gets another 'text'"),
        ("by_core", "def run", "import modelyard\n\n    def run", "fails where the server runs it:\n(?s:.*)modelyard"),
    ],
)
def test_each_promise_that_is_broken_is_seen(
    toy_project: Path, monkeypatch: pytest.MonkeyPatch, package: str, old: str, new: str, said: str
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    plugins = toy_project / "plugins"
    (plugins / "backwards.py").write_text(PLUGIN.format(package=package))
    (plugins / "support" / package).mkdir(parents=True)
    (plugins / "support" / package / "__init__.py").write_text(PACKAGE.replace(old, new))
    assert new in PACKAGE.replace(old, new)
    with pytest.raises(AssertionError, match=f"handler 'backwards': {said}"):
        check_handler("backwards", project=toy_project, samples={"text": ["abc", b"de"]}, params={"most": 2})
