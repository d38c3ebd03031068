from __future__ import annotations

from pathlib import Path
from typing import Any

from doit.cmdparse import CmdOption
from hypothesis import given
from hypothesis import strategies as st

from modelyard.commands.base import JSON, option, options_first, table

OPTIONS = [CmdOption(JSON), CmdOption(option("limit", int, 1, "n"))]


def test_options_may_stand_behind_names() -> None:
    assert options_first(["a", "--limit", "3", "b", "--json"], OPTIONS) == ["--limit", "3", "--json", "a", "b"]
    assert options_first(["a", "--limit=3"], OPTIONS) == ["--limit=3", "a"]
    assert options_first(["a", "--limit"], OPTIONS) == ["--limit"]  # and the parser says that a value is missing


def test_what_follows_two_dashes_is_a_name() -> None:
    assert options_first(["--json", "--", "-x"], OPTIONS) == ["--json", "--", "-x"]


@given(st.lists(st.sampled_from(["a", "b", "--json", "--limit=2"])))
def test_no_word_is_lost(words: Any) -> None:
    assert sorted(options_first(words, OPTIONS)) == sorted(words)


def test_table() -> None:
    assert table([("a", "1"), ("bbb", "22")], right=(1,)) == "a     1\nbbb  22"
    assert table([]) == ""


def test_a_closed_pipe_is_no_error(toy: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m doit provenance select | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=toy, capture_output=True, text=True)
    assert done.stderr == ""
