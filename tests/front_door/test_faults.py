"""Kill builds, fill disks, move inputs: the next `doit` ends where an undisturbed one would, and does nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.front_door.builds import Build, artifacts, build, read_lines
from tests.shared import usual

KILLS = int(os.environ.get("MODELYARD_KILLS", "20"))
"""How many builds are killed; the long run of this harness sets 200."""


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `doit` and return at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - the test has no other thread
    )


def _hear_ctrl_c() -> None:
    """A shell lets its background jobs, and so all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


PAUSE = """
    import time

    Path(context.cache, "training").touch()
    began = time.monotonic()
    while time.monotonic() - began < float(Path(context.cache, "pause").read_text() or 0):
        time.sleep(0.02)
"""
"""What the toy's trainer does when it is slowed down."""


def slow_down(project: Path, seconds: float) -> None:
    """Let the toy's trainer say when it has begun and take its time, until `hurry` is called; the code stays the same."""
    path = project / "plugins" / "toy.py"
    text = path.read_text()
    old = '    x, y = context.dataset.inputs("train"), context.dataset.y("train")\n'
    assert old in text
    path.write_text(text.replace(old, old + PAUSE))
    cache = project / ".modelyard" / "cache"
    cache.mkdir(parents=True)
    (cache / "pause").write_text(str(seconds))


def hurry(project: Path) -> None:
    """Let the trainer take no more time."""
    (project / ".modelyard" / "cache" / "pause").write_text("0")


def goes_on(project: Path, expected: Mapping[str, bytes], done: Collection[str] = ()) -> Build:
    """Run `doit` and check that it ends where an undisturbed build does, running nothing that was `done`."""
    again = build(project)
    assert again.code == 0, again.output
    assert not set(done) & again.built, again.output
    assert artifacts(project) == expected
    assert not list((project / "artifacts" / ".unfinished").iterdir()), "a build leaves nothing half-made behind"
    assert set(build(project).stages.values()) == {"fresh"}
    return again


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Read what `process` prints until a line with `text`, and return all of it."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def finished(output: str) -> set[str]:
    """Return the stages that a build has brought up to date."""
    return set(read_lines(output))


def wait_for(path: Path, timeout_s: float = 60) -> None:
    """Wait until `path` is there."""
    end = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.02)


def processes_in(project: Path) -> list[int]:
    """Return the processes whose working folder is the project."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == project:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.thorough
def test_a_killed_build_goes_on_where_it_was(built_toy: Path, new_toy: Path, tmp_path: Path) -> None:
    expected = artifacts(built_toy)
    dice = random.Random(1)
    done: set[str] = set()
    project, rounds, stages = new_toy, 0, 0
    began = time.monotonic()
    assert build(Path(shutil.copytree(new_toy, tmp_path / "undisturbed"))).code == 0
    whole_s = time.monotonic() - began
    for number in range(KILLS):
        arguments = dice.choice([(), (), ("-n", "3")])
        outputs = kill(project, dice, whole_s, *arguments)
        built = [stage for output in outputs for stage, how in read_lines(output).items() if how == "built"]
        assert not done & set(built), f"kill {number}: done twice: {done & set(built)}\n{outputs}"
        assert len(built) == len(set(built)), f"kill {number}: two builds did the same\n{outputs}"
        done = done.union(*map(finished, outputs))
        stages += len(done)
        if len(done) == 13:
            goes_on(project, expected, done)  # the last build, too, was killed: what it left is swept by the next one
            rounds += 1
            project, done = tmp_path / f"round{rounds}", set()
            ignore = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
            shutil.copytree(new_toy, project, ignore=ignore)

    goes_on(project, expected, done)
    print(f"{KILLS} kills, {stages / KILLS:.1f} of 13 stages done on average, {rounds} whole builds in between")


def kill(project: Path, dice: random.Random, whole_s: float, *arguments: str) -> list[str]:
    """Start a build, sometimes two at once, kill each at a random instant of a whole build, and return their outputs."""
    running = [start(project, *arguments) for _ in range(dice.choice([1, 1, 1, 2]))]
    time.sleep(dice.uniform(0.1, whole_s))
    for one in running:
        one.kill()
        time.sleep(dice.uniform(0, 0.2))
    return [one.communicate()[0] for one in running]


@pytest.mark.parametrize("number", usual([signal.SIGINT, signal.SIGTERM], 1))
def test_a_terminated_build_ends_its_workers_and_keeps_what_is_done(
    new_toy: Path, built_toy: Path, number: signal.Signals
) -> None:
    slow_down(new_toy, 30)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")

    began = time.monotonic()
    running.send_signal(number)
    output = running.communicate(timeout=20)[0]

    assert time.monotonic() - began < 15
    assert running.returncode not in (0, None)
    assert "Traceback" not in output, output
    assert read_lines(output)["dataset:points"] == "built"
    assert processes_in(new_toy) == []
    hurry(new_toy)
    goes_on(new_toy, artifacts(built_toy), {"dataset:points"})


def test_workers_do_not_outlive_a_killed_build(new_toy: Path, built_toy: Path) -> None:
    slow_down(new_toy, 30)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    running.kill()
    output = running.communicate()[0]

    end = time.monotonic() + 10
    while processes_in(new_toy) and time.monotonic() < end:
        time.sleep(0.1)
    assert processes_in(new_toy) == []
    hurry(new_toy)
    goes_on(new_toy, artifacts(built_toy), finished(output))


def test_a_killed_worker_fails_its_stage_alone(new_toy: Path, built_toy: Path) -> None:
    """What the kernel does when memory runs out."""
    slow_down(new_toy, 30)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    os.kill(max(set(processes_in(new_toy)) - {running.pid}), signal.SIGKILL)
    output = running.communicate(timeout=60)[0]

    assert running.returncode == 1
    assert "train:model.build: its process was killed by signal 9" in output, output
    assert "Traceback" not in output
    hurry(new_toy)
    goes_on(new_toy, artifacts(built_toy), {"dataset:points"})


@pytest.mark.parametrize("moved", usual(["helper.py", "artifact"], 1))
def test_an_input_that_moves_while_a_stage_runs(new_toy: Path, tmp_path: Path, moved: str) -> None:
    slow_down(new_toy, 30)
    running = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    helper, labels = new_toy / "helper.py", new_toy / "artifacts" / "dataset" / "points" / "train_y.npy"
    if moved == "helper.py":
        helper.write_text(helper.read_text().replace("/ 2", "/ 4"))
    else:
        labels.write_bytes(labels.read_bytes()[:-8] + (2).to_bytes(8, "little"))
    hurry(new_toy)
    output = running.communicate(timeout=60)[0]

    assert running.returncode == 1
    assert "while the stage ran" in output, output
    assert "Traceback" not in output
    assert not (new_toy / "artifacts" / "train" / "model.build").exists()

    ignore = shutil.ignore_patterns("artifacts", "store", "__pycache__")
    undisturbed = Path(shutil.copytree(new_toy, tmp_path / "undisturbed", ignore=ignore))
    assert build(undisturbed).code == 0
    again = goes_on(new_toy, artifacts(undisturbed), {"dataset:points"})
    assert "train:model.build" in again.built
    assert again.stages["dataset:points"] == ("fresh" if moved == "helper.py" else "restored")


@pytest.mark.parametrize("harm", usual(["bit flipped", "trace garbled", "truncated", "deleted"], 2))
def test_a_harmed_store_is_not_believed(toy: Path, built_toy: Path, harm: str) -> None:
    for path in (toy / ".modelyard" / "store" / ("traces" if harm == "trace garbled" else "objects")).rglob("*"):
        if path.is_file():
            _harm(path, harm)
    shutil.rmtree(toy / "artifacts" / "optimize")

    done = build(toy)

    assert done.code == 0, done.output
    assert done.built >= {"optimize:plain", "optimize:round"}, done.output  # the others may find their bytes made again
    assert artifacts(toy) == artifacts(built_toy)
    assert build(toy).having("fresh") == set(done.stages)


def _harm(path: Path, harm: str) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    match harm:
        case "truncated":
            path.write_bytes(data[:-1])
        case "bit flipped":
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1])) if data else None
        case "deleted":
            path.unlink()
        case _:
            path.write_bytes(b"{" + data[: len(data) // 2])


@contextmanager
def mounted(folder: Path, *options: str, what: str = "tmpfs") -> Iterator[Path]:
    """Mount a small file system in memory, or `what`, on `folder`."""
    folder.mkdir(exist_ok=True)
    kind = ["-t", "tmpfs"] if what == "tmpfs" else []
    made = subprocess.run(["mount", *kind, *options, what, str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("free_bytes", usual([50_000, 0, 120_000], 1))
@pytest.mark.parametrize("full", [".modelyard", "artifacts"])
def test_a_full_disk(new_toy: Path, built_toy: Path, full: str, free_bytes: int) -> None:
    place = new_toy / full
    with mounted(place, "-o", "size=200k"):
        filler = place / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(10**7))
        os.truncate(filler, filler.stat().st_size - free_bytes)
        failed = build(new_toy)
        assert failed.code != 0
        assert "Traceback" not in failed.output, failed.output
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)
        goes_on(new_toy, artifacts(built_toy), finished(failed.output))


@pytest.mark.parametrize("folder", usual([".modelyard", "artifacts"], 1))
def test_a_read_only_folder(new_toy: Path, built_toy: Path, folder: str) -> None:
    with mounted(new_toy / folder, "-o", "size=1m,ro"):
        failed = build(new_toy)
    assert failed.code != 0
    assert "Traceback" not in failed.output, failed.output
    assert "must be writable" in failed.output, failed.output
    goes_on(new_toy, artifacts(built_toy), finished(failed.output))


def test_a_read_only_store_gives_what_it_has_and_says_that_it_takes_nothing(new_toy: Path, built_toy: Path) -> None:
    store = new_toy / ".modelyard" / "store"
    shutil.copytree(built_toy / ".modelyard" / "store", store)
    with mounted(store, "--bind", "-o", "ro", what=str(store)):
        first = build(new_toy)
        assert set(first.stages.values()) == {"restored"}, first.output
        assert "Traceback" not in first.output, first.output
        assert artifacts(new_toy) == artifacts(built_toy)
        failed = build(new_toy, "evaluate.warmup=2")
    assert failed.code == 1, failed.output
    assert "Traceback" not in failed.output, failed.output
    assert set(build(new_toy).stages.values()) == {"fresh"}


def test_two_builds_at_once_share_the_work(new_toy: Path, built_toy: Path) -> None:
    one, two = start(new_toy), start(new_toy)
    outputs = [one.communicate(timeout=120)[0], two.communicate(timeout=120)[0]]

    assert (one.returncode, two.returncode) == (0, 0), outputs
    built = [stage for output in outputs for stage, how in read_lines(output).items() if how == "built"]
    assert len(built) == len(set(built)) == 13, outputs
    assert artifacts(new_toy) == artifacts(built_toy)


def test_a_build_that_waits_says_for_whom(new_toy: Path) -> None:
    slow_down(new_toy, 60)
    first = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    second = start(new_toy)
    output = wait_for_line(second, "waiting for")
    hurry(new_toy)
    output += second.communicate(timeout=60)[0]
    first.communicate(timeout=60)

    assert f"waiting for train:model.build, which is being built by process {first.pid} on " in output, output
    assert second.returncode == 0


def test_a_dead_holder_is_taken_over(new_toy: Path) -> None:
    slow_down(new_toy, 60)
    first = start(new_toy)
    wait_for(new_toy / ".modelyard" / "cache" / "training")
    second = start(new_toy)
    output = wait_for_line(second, "waiting for")
    first.kill()
    first.communicate()
    hurry(new_toy)
    output += second.communicate(timeout=60)[0]

    assert second.returncode == 0, output
    assert read_lines(output)["train:model.build"] == "built"


def test_a_failed_stage_keeps_what_stood_before_and_is_not_cached(toy: Path) -> None:
    before = artifacts(toy)
    plugin = toy / "plugins" / "toy.py"
    text = plugin.read_text()
    plugin.write_text(
        text.replace(
            '    context.log("trained")\n', '    context.log("so far so good")\n    raise ValueError("no luck")\n'
        )
    )

    for _ in range(2):
        failed = build(toy)
        assert failed.code == 1
        assert "train:model.build failed" in failed.output
        assert "raised ValueError: no luck" in failed.output
        assert "so far so good" in failed.output, "the log's last lines are shown"
        assert artifacts(toy) == before

    plugin.write_text(text)
    assert build(toy).built == set()


def test_a_build_goes_on_when_nobody_reads_its_output(new_toy: Path) -> None:
    command = f"{sys.executable} -m doit | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=new_toy, capture_output=True, text=True, timeout=120, check=False
    )

    assert "Traceback" not in done.stderr, done.stderr
    assert set(build(new_toy).stages.values()) == {"fresh"}
