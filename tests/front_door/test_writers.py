"""Who writes to an artifact while it is kept, or behind that, poisons nothing: neither a stage's leftovers nor others."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path

import pytest

from modelyard.files.placing import SHARE_FROM_BYTES
from tests.front_door.builds import artifacts, build
from tests.front_door.test_faults import start, wait_for
from tests.shared import usual

WRITER = """
import sys, time
open(sys.argv[2], "w").write("I run")
while True:
    with open(sys.argv[1], "ab") as file:
        file.write(b" ")
"""
MODEL = "train/model.build/model.toy"
STARTS = {
    "a child": "subprocess.Popen(command)",
    "a session of its own": "subprocess.Popen(command, start_new_session=True)",
    "a daemon": 'subprocess.run(["sh", "-c", \'setsid "$@" &\', "sh", *command])',
}


def leave_behind(project: Path, how: str, then: str = "") -> None:
    """Let the toy's trainer start, in the way `how`, a program that goes on writing to the model for ever."""
    (project / "writer.py").write_text(WRITER)
    path = project / "plugins" / "toy.py"
    lines = (
        "import subprocess, sys, time",
        'command = [sys.executable, "writer.py", str(context.out / "model.toy"), str(context.cache / "runs")]',
        STARTS[how],
        'while not (context.cache / "runs").exists(): time.sleep(0.01)',
        *([then] if then else []),
    )
    old = '    context.log("trained")\n'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, "".join(f"    {line}\n" for line in lines) + old))


def writers(project: Path) -> list[int]:
    """Return the processes that run the project's `writer.py`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if b"writer.py" in arguments and (entry / "cwd").readlink() == project:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", usual(STARTS, 1))
def test_a_process_that_is_left_behind_is_ended_with_its_stage(new_toy: Path, how: str) -> None:
    leave_behind(new_toy, how)

    done = build(new_toy)

    assert done.code == 0, done.output
    assert "train:model.build: ended a process that it left behind: " in done.output, done.output
    assert "writer.py" in done.output
    assert writers(new_toy) == []
    made = (new_toy / "artifacts" / "train" / "model.build" / "model.toy").read_bytes()
    shutil.rmtree(new_toy / "artifacts" / "train")
    assert build(new_toy).stages["train:model.build"] == "restored"
    assert (new_toy / "artifacts" / "train" / "model.build" / "model.toy").read_bytes() == made
    whole = build(new_toy, "verify")
    assert whole.code == 0, whole.output


def test_a_stage_that_dies_leaves_nothing_behind(new_toy: Path) -> None:
    leave_behind(new_toy, "a daemon", then="import os; os.abort()")

    done = build(new_toy)

    assert done.code == 1
    assert "train:model.build: its process was killed by signal 6" in done.output, done.output
    assert "train:model.build: ended a process that it left behind: " in done.output, done.output
    assert writers(new_toy) == []


def test_a_killed_build_leaves_nothing_behind(new_toy: Path) -> None:
    leave_behind(new_toy, "a daemon", then="time.sleep(30)")
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "runs")

    running.kill()
    running.communicate()

    end = time.monotonic() + 20
    while writers(new_toy) and time.monotonic() < end:
        time.sleep(0.05)
    assert writers(new_toy) == []


def test_a_writer_that_nobody_can_end_poisons_nothing(new_toy: Path, built_toy: Path) -> None:
    plugin = new_toy / "plugins" / "toy.py"
    old = '    context.log("trained")\n'
    wait = '    import time\n    while not Path(context.cache, "go").exists(): time.sleep(0.01)\n'
    plugin.write_text(plugin.read_text().replace(old, wait + old))
    done = threading.Event()
    writer = threading.Thread(target=_write_on, args=(new_toy, done))
    writer.start()
    disturbed = build(new_toy)
    done.set()
    writer.join()

    assert disturbed.code == 1
    assert "Traceback" not in disturbed.output, disturbed.output
    assert " changed " in disturbed.output, disturbed.output
    again = build(new_toy)
    assert again.code == 0, again.output
    assert "dataset:points" not in again.built, again.output
    made, expected = artifacts(new_toy), artifacts(built_toy)
    if "while it was kept" not in disturbed.output:  # a busy machine stopped the writer until the model was kept
        assert "train:model.build" not in again.built, again.output
        made[MODEL] = made[MODEL].rstrip(b" ")
    assert made == expected
    whole = build(new_toy, "verify")
    assert whole.code == 0, whole.output


def _write_on(project: Path, done: threading.Event) -> None:
    """Find the trainer's output and write to it without end."""
    while not (found := list((project / "artifacts" / ".unfinished").glob("*/*/out/model.toy"))) and not done.is_set():
        time.sleep(0.001)
    with contextlib.suppress(OSError), found[0].open("ab") as file:
        while not done.is_set():
            file.write(b" ")
            file.flush()
            (project / ".modelyard" / "cache" / "go").touch()


def test_a_clean_waits_for_the_build_of_what_it_removes(toy: Path) -> None:
    plugin = toy / "plugins" / "toy.py"
    lines = (
        "import time",
        'Path(context.cache, "training").touch()',
        'while not Path(context.cache, "go").exists(): time.sleep(0.01)',
        'model["trained"] = "anew"',
    )
    old = '    write(context.out / "model.toy", model)\n    context.log("trained")\n'
    text = plugin.read_text()
    assert old in text
    plugin.write_text(text.replace(old, "".join(f"    {line}\n" for line in lines) + old))
    running = start(toy, "train")
    wait_for(toy / ".modelyard" / "cache" / "training")

    cleaning = start(toy, "clean", "train")
    assert cleaning.stdout is not None
    told = next(line for line in cleaning.stdout if "waiting" in line)
    assert f"waiting for train:model.build, which is being built by process {running.pid} on " in told
    assert (toy / "artifacts" / "train" / "model.build" / "model.toy").exists()

    (toy / ".modelyard" / "cache" / "go").touch()
    output = running.communicate(timeout=60)[0]
    assert (running.returncode, cleaning.wait(60)) == (0, 0), output
    cleaning.stdout.close()
    assert not (toy / "artifacts" / "train" / "model.build").exists()
    assert build(toy, "train").stages["train:model.build"] == "restored"


def test_an_edit_in_place_of_a_large_artifact_costs_no_run(new_toy: Path, tmp_path: Path) -> None:
    plugin = new_toy / "plugins" / "toy.py"
    text, old = plugin.read_text(), '    context.log("trained")\n'
    large = f'    (context.out / "weights.bin").write_bytes(bytes({SHARE_FROM_BYTES}))\n'
    plugin.write_text(text.replace(old, large + old))
    other = Path(shutil.copytree(new_toy, tmp_path / "other"))
    shared = (f"store.path={tmp_path / 'store'}",)
    assert "train:model.build" in build(new_toy, "train", *shared).built
    assert build(other, "train", *shared).stages["train:model.build"] == "restored"
    weights = "artifacts/train/model.build/weights.bin"
    try:
        with (new_toy / weights).open("r+b") as file:
            file.write(b"edited")
    except PermissionError:
        return  # who is not root cannot do it by accident, and may have a link

    assert (other / weights).read_bytes() == bytes(SHARE_FROM_BYTES)
    assert build(other, "train", *shared).having("fresh") == {"dataset:points", "train:model.build"}
    assert build(new_toy, "train", *shared).stages["train:model.build"] == "restored"
    assert (new_toy / weights).read_bytes() == bytes(SHARE_FROM_BYTES)
