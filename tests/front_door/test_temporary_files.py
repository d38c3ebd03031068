"""What a stage leaves among the temporary files is gone when it has ended, and where these were is in no key."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.front_door.builds import artifacts, build
from tests.front_door.test_faults import slow_down, start, wait_for

TRAINS = '    x, y = context.dataset.inputs("train"), context.dataset.y("train")\n'
LEAVES = f"""
    import os
    import subprocess
    import tempfile

    os.write(tempfile.mkstemp()[0], b"for a moment")
    of_program = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    Path(context.cache, "left").write_text("\\n".join([tempfile.mkdtemp(), of_program]))
{TRAINS}"""

CHANGES = "    model = json.loads(context.model.path.read_text())\n"
LOOKS = f"""
    left = [Path(line) for line in Path(context.cache, "left").read_text().splitlines()]
    assert not any(path.exists() for path in left)
{CHANGES}"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where the person who builds has temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def edit(project: Path, old: str, new: str) -> None:
    path = project / "plugins" / "toy.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def left_by(project: Path) -> list[Path]:
    """Return the folders that the trainer, and a program that it ran, made and forgot."""
    return [Path(line) for line in (project / ".modelyard/cache/left").read_text().splitlines()]


@pytest.mark.parametrize("fails", [False, True])
def test_temporary_files_go_with_the_stage(new_toy: Path, built_toy: Path, temporary: Path, fails: bool) -> None:
    edit(new_toy, TRAINS, LEAVES)
    if fails:
        edit(new_toy, '    context.log("trained")\n', '    raise ValueError("no luck")\n')

    done = build(new_toy)

    assert done.code == fails, done.output
    assert [path.is_relative_to(temporary) for path in left_by(new_toy)] == [True, True]
    assert list(temporary.iterdir()) == []
    assert fails or artifacts(new_toy) == artifacts(built_toy)


def test_a_later_stage_of_the_build_finds_nothing_of_an_earlier_one(new_toy: Path, temporary: Path) -> None:
    edit(new_toy, TRAINS, LEAVES)
    edit(new_toy, CHANGES, LOOKS)

    done = build(new_toy)

    assert done.code == 0, done.output
    assert any(stage.startswith("optimize:") for stage in done.built)


def test_where_temporary_files_are_is_in_no_key(
    new_toy: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(new_toy, TRAINS, LEAVES)
    assert "train:model.build" in build(new_toy).built
    monkeypatch.setenv("TMPDIR", str(temporary.parent))

    assert build(new_toy).built == set()


def test_temporary_files_go_when_the_build_is_killed(new_toy: Path, temporary: Path) -> None:
    slow_down(new_toy, 30)
    edit(new_toy, TRAINS, LEAVES)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    assert all(path.exists() for path in left_by(new_toy))
    running.kill()
    running.communicate()

    end = time.monotonic() + 10
    while list(temporary.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []
