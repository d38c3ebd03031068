"""Two projects with one store: nothing is made twice where one can wait, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.front_door.builds import artifacts, build, read_lines

MakeToy = Callable[..., Path]

PAUSE = """    x, y = context.dataset.inputs("train"), context.dataset.y("train")
    import time

    Path(context.cache, "training").touch()
    while not Path({gate!r}).exists():
        time.sleep(0.02)
"""


def slow_down(project: Path, gate: Path) -> None:
    """Let the toy's trainer say when it has begun, and wait until `gate` is there."""
    path = project / "plugins" / "toy.py"
    text = path.read_text()
    old = '    x, y = context.dataset.inputs("train"), context.dataset.y("train")\n'
    assert old in text
    path.write_text(text.replace(old, PAUSE.format(gate=str(gate))))


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-m", "doit", *arguments]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(path: Path, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


def two_toys(toy: MakeToy, tmp_path: Path) -> tuple[Path, Path]:
    shared = f'path = "{tmp_path}/shared"'
    one, two = toy("one", shared), toy("two", shared)
    for project in (one, two):
        slow_down(project, tmp_path / "gate")
    return one, two


def test_the_second_of_two_clones_waits_and_restores(toy: MakeToy, tmp_path: Path) -> None:
    one, two = two_toys(toy, tmp_path)
    first = start(one)
    wait_for(one / ".modelyard/cache/training")
    second = start(two)
    lines = []
    assert second.stdout is not None
    for line in second.stdout:
        lines.append(line)
        if line.startswith("waiting for"):
            break
    (tmp_path / "gate").touch()
    output = "".join(lines) + second.communicate(timeout=120)[0]
    first_output = first.communicate(timeout=120)[0]

    assert f"waiting for train:model.build, which is being built by process {first.pid} on " in output, output
    assert (first.returncode, second.returncode) == (0, 0), output + first_output
    assert read_lines(output)["train:model.build"] == "restored"
    built = [s for text in (output, first_output) for s, how in read_lines(text).items() if how == "built"]
    assert len(built) == len(set(built)), "nothing was made twice"
    assert artifacts(one) == artifacts(two)


def test_without_waiting_the_second_fails_at_once(toy: MakeToy, tmp_path: Path) -> None:
    one, two = two_toys(toy, tmp_path)
    first = start(one)
    wait_for(one / ".modelyard/cache/training")
    ways = (("store.wait=false", "train"), ("--no-wait", "train"), ("train", "--no-wait"), ("run", "--no-wait"))
    refused = [build(two, *arguments) for arguments in ways]
    (tmp_path / "gate").touch()
    first.communicate(timeout=120)

    for second in refused:
        assert second.code == 1, second.output
        assert f"train:model.build is being built by process {first.pid} on " in second.output
        assert "leave out --no-wait (store.wait = false)" in second.output
        assert "waiting for" not in second.output
        assert "Traceback" not in second.output
    with (two / "pyproject.toml").open("a") as file:
        file.write("wait = false\n")
    assert build(two).built == set(), "nobody holds anything any more"


def test_a_dead_maker_is_taken_over(toy: MakeToy, tmp_path: Path) -> None:
    one, two = two_toys(toy, tmp_path)
    first = start(one)
    wait_for(one / ".modelyard/cache/training")
    second = start(two)
    time.sleep(1)
    first.kill()
    first.communicate()
    (tmp_path / "gate").touch()
    output = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output
    assert read_lines(output)["train:model.build"] == "built"


def test_locks_of_keys_do_not_pile_up(toy: MakeToy, tmp_path: Path) -> None:
    one = toy("one", f'path = "{tmp_path}/shared"')
    assert build(one).code == 0
    assert list((tmp_path / "shared" / "locks").iterdir()) == []


def test_a_restored_record_names_the_stage_of_its_own_project(toy: MakeToy, tmp_path: Path) -> None:
    import json

    shared = f'path = "{tmp_path}/shared"'
    one, two = toy("one", shared), toy("two", shared)
    text = (two / "pyproject.toml").read_text()
    assert 'name = "toy"\n\n[tool.modelyard.dataset]' in text
    (two / "pyproject.toml").write_text(text.replace("\nplain = [", "\nsimple = ["))
    build(one)
    done = build(two)
    assert "optimize:simple" in done.having("restored"), done.output
    record = json.loads((two / "artifacts/evaluate/simple/stage.json").read_text())
    assert record["stage"] == "evaluate:simple"
    assert record["inputs"]["model"]["stage"] == "optimize:simple"
