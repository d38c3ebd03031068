"""The check of kinds of stage: a good one passes, each broken promise is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.front_door.test_kinds import NOTIFY

from modelyard.testing import check_kind

SIDE = """    with (context.project / "sent.txt").open("a") as file:
        file.write(f"{text}\\\\n")
"""
GIVEN = {"to": "ops", "variants": ["plain"]}


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project with a kind of stage of its own, which writes below its own folder alone."""
    project = new_toy
    text = NOTIFY.replace(SIDE.replace("\\\\", "\\"), "")
    assert "sent.txt" not in text
    (project / "plugins/notify.py").write_text(text)
    return project


def test_a_kind_that_keeps_the_contract(toy: Path) -> None:
    folders = check_kind("notify", project=toy, params=GIVEN, refuses=[{"to": 3}, {}])
    assert sorted(folders) == ["notify:plain", "notify:ships"]
    assert (folders["notify:plain"] / "message.txt").read_text() == "ops: plain of ['evaluation']"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        to: who gets it.\n", "", "parameter 'to' is not documented"),
        ('"message.txt").write_text(text)', '"other.txt").write_text(text)', "message.txt"),
        ("write_text(text)", "write_text(text + str(hash('x')))", "wrote other bytes the second time: notify:"),
        (
            '    context.metrics["characters"]',
            '    (context.project / "left.txt").write_text("x")\n    context.metrics["characters"]',
            "changed files of the project: left.txt",
        ),
        (
            '    yield context.stage("ships", selected, about="what ships")\n',
            "    variants = ()\n",
            "it plans no stage",
        ),
    ],
)
def test_each_promise_that_is_broken_is_seen(toy: Path, old: str, new: str, said: str) -> None:
    file = toy / "plugins/notify.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(Exception, match=said):
        check_kind("notify", project=toy, params=GIVEN)
