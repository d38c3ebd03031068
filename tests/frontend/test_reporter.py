from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from modelyard.frontend import reporter
from modelyard.frontend.reporter import Screen, bar

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Doit = Callable[..., "subprocess.CompletedProcess[str]"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# What is shown of progress


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            {"done": 3, "total": 12, "unit": "epoch", "note": "loss 0.5"},
            "[######..................] 3 of 12 epoch  loss 0.5",
        ),
        ({"done": 12, "total": 12}, "[########################] 12 of 12"),
        ({"done": 15, "total": 12}, "[########################] 15 of 12"),
        ({"done": -1, "total": 12}, "[........................] -1 of 12"),
        ({"done": 2.5e6, "total": 1e7, "unit": "B"}, "[######..................] 2.5 MB of 10.0 MB"),
        ({"done": 3, "total": None, "unit": "file"}, "3 file"),
        ({"done": 0.5}, "0.5"),
        ({"done": None, "total": 4}, "[........................] 0 of 4"),
        ({"done": 1, "total": None, "note": "two\nlines\tand a tab"}, "1  two lines and a tab"),
        ({}, "0"),
    ],
)
def test_a_progress_event_is_a_bar_or_a_count(event: dict[str, object], text: str) -> None:
    assert re.sub(r" {2,}$", "", bar(event)) == text


# The screen


def test_a_terminal_shows_one_status_line_that_lines_erase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    screen = Screen(stream)
    screen.status("half done")
    screen.line("a line")
    screen.status("drawn again too soon to be seen")
    screen.clear()
    assert stream.getvalue() == "half done\r\x1b[Ka line\n"


def test_a_status_line_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(reporter, "_columns", lambda: 20)
    stream = Terminal()
    Screen(stream).status("x" * 100)
    assert stream.getvalue() == "x" * 19


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb")])
def test_a_plain_stream_shows_lines_alone(stream: io.StringIO, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    screen = Screen(stream)
    screen.status("half done")
    screen.line("a line")
    screen.clear()
    assert stream.getvalue() == "a line\n"


# A build


def test_a_build_says_a_line_a_stage_and_sums_up(toy_project: Path, doit: Doit) -> None:
    first = doit(toy_project, "train")
    lines = first.stdout.splitlines()
    assert re.fullmatch(r"\.  dataset:points: built in \d+\.\d s  \(classes 3, .*\)", lines[0])
    assert re.fullmatch(r"\.  train:model\.build: built in \d+\.\d s  \(passes 1\)", lines[1])
    assert re.fullmatch(r"built 2, restored 0, up to date 0 in \d+\.\d s", lines[-1])
    assert "\x1b" not in first.stdout
    again = doit(toy_project, "train").stdout.splitlines()
    assert again[:-1] == ["-- dataset:points", "-- train:model.build"]
    assert again[-1].startswith("built 0, restored 0, up to date 2 in ")


PROGRESS = '''
import numpy as np


def build(input_shape, classes, *, width: int = 4):
    """Print, and fail."""
    for number in range(30):
        print(f"line {number}")
    raise ValueError("this is why")
'''


def test_a_failed_stage_shows_why_and_the_end_of_its_log_and_its_path(toy_project: Path, doit: Doit) -> None:
    (toy_project / "model.py").write_text(PROGRESS)
    failed = doit(toy_project, "train")
    assert failed.returncode != 0
    assert "!! train:model.build failed: " in failed.stdout
    assert "raised ValueError: this is why" in failed.stdout
    assert "   | line 29\n" in failed.stdout
    assert "| line 3\n" not in failed.stdout
    log = re.search(r"the last lines of its log, (\S+):", failed.stdout)
    assert log
    assert "line 0\n" in (toy_project / log[1]).read_text()
    assert "Traceback" in (toy_project / log[1]).read_text()
    assert "Traceback" not in failed.stdout + failed.stderr
    assert re.search(r"^failed: train:model.build; built 1, restored 0, up to date 0 in ", failed.stdout, re.MULTILINE)


def test_progress_in_numpys_numbers_is_progress(toy_project: Path, doit: Doit) -> None:
    plugin = toy_project / "plugins" / "toy.py"
    text = plugin.read_text()
    call = 'context.progress(number + 1, passes, unit="pass")'
    assert call in text
    new = '__import__("numpy"); import numpy as np; context.progress(np.float32("nan"), np.int64(passes), note="a\\nb")'
    plugin.write_text(text.replace(call, new))
    done = doit(toy_project, "train")
    assert done.returncode == 0, done.stdout
