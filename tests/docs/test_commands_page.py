"""The page of the commands shows what they print: every example is run, in the toy project, in the state that it is about."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from modelyard.files.locks import hold
from modelyard.frontend import scaffold
from tests.docs.pages import ROOT, blocks, calls
from tests.front_door.builds import build

OWN = [point for point in entry_points(group="doit.COMMAND") if point.value.startswith("modelyard.")]
COMMANDS = {point.name for point in OWN if not point.value.startswith("modelyard.commands.doits:")}
PAGE = "docs/reference/commands.md"
EXAMPLES = {block.text.splitlines()[0].removeprefix("$ "): block for block in blocks(PAGE, "console")}


def git(project: Path, *words: str) -> None:
    names = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *names, *words], cwd=project, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy project, committed and built; not to be changed."""
    project = tmp_path_factory.mktemp("commands") / "toy"
    made = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
    shutil.copytree(ROOT / "tests/projects/toy", project, ignore=made)
    (project / ".gitignore").write_text("artifacts/\n.modelyard/\n__pycache__/\n")
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    assert build(project).code == 0
    return project


@pytest.fixture
def toy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "toy", symlinks=True))


def edit(project: Path) -> None:
    """Change the code of the function that the page speaks of."""
    file = project / "helper.py"
    text = file.read_text()
    file.write_text(text.replace("return", "_ = 1\n    return", 1))
    assert file.read_text() != text


def passes(project: Path, number: int) -> None:
    assert build(project, f"train.passes={number}", "train").code == 0


def edited_and_both_trained(project: Path) -> None:
    passes(project, 2)
    passes(project, 1)


def accepted(project: Path) -> None:
    edit(project)
    assert build(project, "accept", "train", "--yes").code == 0
    passes(project, 2)
    passes(project, 1)


def damaged(project: Path) -> None:
    model = project / "artifacts/train/model.build/model.toy"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes() + b"..")


def reports(project: Path) -> None:
    assert build(project, "report").code == 0
    shutil.copytree(project / "artifacts/report/toy", project / "main-report")
    assert build(project, "dataset.noise=0.6").code == 0
    assert build(project, "dataset.noise=0.6", "report").code == 0


def accepted_and_built(project: Path) -> None:
    edit(project)
    assert build(project, "accept", "train", "--yes").code == 0
    assert build(project).code == 0


def scaffolded(project: Path) -> None:
    """`lock` needs an image that is made of Debian packages."""
    shutil.rmtree(project)
    scaffold.new_project(project)


STATES: dict[str, Callable[[Path], None]] = {
    "doit --no-wait": edit,
    "doit why train optimize:plain train.passes=2": edit,
    "doit why train train.passes=2 --json": edited_and_both_trained,
    "doit plan train.passes=2": edit,
    "doit accept train --yes": edit,
    "doit history train --limit 4": accepted,
    "doit diff train@1 train": accepted,
    "doit provenance": accepted_and_built,
    "doit verify": damaged,
    "doit report-diff main-report artifacts/report/toy": reports,
    "doit lock": scaffolded,
}
"""What was done before a command that the page shows."""


def examples() -> list[object]:
    """Return the commands; `lock` asks the mirrors, and the tests of the builder and of the command hold the same."""
    dear = [pytest.mark.network, pytest.mark.thorough]
    return [pytest.param(c, marks=dear) if c == "doit lock" else c for c in EXAMPLES]


@pytest.mark.parametrize("command", examples())
def test_an_example_prints_what_the_page_shows(command: str, toy: Path) -> None:
    if bring := STATES.get(command):
        bring(toy)
    (call,) = calls(EXAMPLES[command])
    held = hold(toy / ".modelyard/locks/train-model.build.lock", "train", print, wait=False)
    with held if command == "doit --no-wait" else nullcontext():
        done = build(toy, *call.words[1:])
    printed = {shape(line) for line in done.output.replace(f"{toy}/", "").splitlines()}
    missing = [line for line in call.shown if shape(line) not in printed]
    assert not missing, f"{missing}\nof\n{done.output}"


def shape(line: str) -> str:
    """Return a line without what differs by machine and time: figures, digests, units of sizes, the names of machine and user, widths."""
    line = re.sub(r"ms( → .* ms \(.*?\))?(?= *[|.])", "ms", line)  # a latency may stay as it was, or not
    line = re.sub(r"\b[0-9a-f]{6,64}\b\+?|\b\d[\d.,:+-]*( [kMG]?B\b)?", "#", line)
    line = re.sub(r"(made on: ).*", r"\1#", line)
    line = re.sub(r"\w+@[\w.-]+|(?<= on )\S+(?= since )", "#", line)
    return " ".join(re.sub("-{3,}:?", "---", line).split())


def test_every_command_has_an_example() -> None:
    assert {name for line in EXAMPLES if (name := line.split()[1]) in COMMANDS} == COMMANDS - {"run"}
