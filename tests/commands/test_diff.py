from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Ask, Run


def test_compares_two_results_of_a_stage(run: Run, ask: Ask, edit: Callable[[str, str, str], None]) -> None:
    edit("helper.py", "value / 2", "value / 3")
    assert run("train", "train.passes=2").returncode == 0
    answer = ask("diff", "train@1", "train")
    found = answer["difference"]
    assert [(c["name"], c["old"], c["new"]) for c in found["parts"]] == [("passes", 1, 2)]
    assert [(c["file"], c["changed"]) for c in found["code"]] == [("helper.py", ["shrink"])]
    assert [(c["name"], c["old"], c["new"]) for c in found["metrics"]] == [("passes", 1, 2)]
    assert [c["name"] for c in found["outputs"]] == ["model.toy"]
    keys = answer["a"]["key"][:8], answer["b"]["key"][:8]
    text = run("diff", *keys).stdout
    assert "parameter passes of the trainer: 1 -> 2" in text
    assert "code helper.py: shrink changed" in text
    assert run("diff", *reversed(keys)).stdout.count("2 -> 1") == 2


def test_now_is_what_configuration_and_code_make_today(run: Run, ask: Ask) -> None:
    assert run("diff", "train", "now").stdout.splitlines()[-1] == "nothing differs"
    answer = ask("diff", "train", "now", "train.passes=4")
    assert answer["b"]["digest"] == ""
    assert answer["difference"]["parts"][0]["new"] == 4
    assert answer["difference"]["metrics"] is None
    assert ask("diff", "now", "train", "train.passes=4")["difference"]["parts"][0]["old"] == 4


def test_compares_two_stages(ask: Ask) -> None:
    answer = ask("diff", "evaluate:plain", "evaluate:coarse")
    accuracy = next(c for c in answer["difference"]["metrics"] if c["name"] == "accuracy")
    assert accuracy["old"] > accuracy["new"]


def test_says_what_is_no_longer_known(toy: Path, run: Run, ask: Ask) -> None:
    assert run("train", "train.passes=2").returncode == 0
    for trace in (toy / ".modelyard/store/traces").rglob("*.json"):
        trace.unlink()
    found = ask("diff", "train@1", "train@0")["difference"]
    assert found["parts"]
    assert found["code"] is None
    assert "code: not known, the store no longer has the record of one" in run("diff", "train@1", "train").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train",), "two results are needed, not 1"),
        (("now", "now"), "two times 'now'"),
        (("train@7", "now"), "has 1 results, and no '7'"),
        (("evaluate", "now"), "'evaluate' names 3 stages"),
        (("abc", "now"), "'abc' names no result"),
        (("0000000", "now"), "'0000000' names no result"),
    ],
)
def test_mistakes(run: Run, words: tuple[Any, ...], message: str) -> None:
    done = run("diff", *words)
    assert done.returncode == 3
    assert message in done.stderr
    assert "Traceback" not in done.stderr
