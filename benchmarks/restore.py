"""Time A -> B -> A of a large artifact: the store, a hard link plus a stat, `cp --reflink=auto`, `dvc checkout`.

    python benchmarks/restore.py [--megabytes 1000] [--rounds 5] [--dvc PATH_OF_DVC]

Two versions of one file take turns in one place; a figure is one change of version, where the content of both
is known to be good. The ways take turns; medians of all rounds. In-process figures are those of the call alone;
commands include their start, so `python -c pass` and `doit --version` stand beside them. `bare doit, link + stat` is
a doit without modelyard with one task, which does no more than that: the same kind of process as `doit, restoring`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import graphs

from modelyard.files.digests import DigestTable
from modelyard.files.manifest import manifest_digest
from modelyard.store.local import Store
from modelyard.store.record import Record

Way = Callable[[int], None]

DODO = '''from modelyard.tasks import load_project

project = load_project(__file__)
DOIT_CONFIG = project.config()


def task_dataset():
    """get the data set"""
    yield from project.tasks(task_dataset)


def task_train():
    """train the model"""
    yield from project.tasks(task_train)
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000, help="the artifact's size")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way goes there and back")
    parser.add_argument("--dvc", help="the dvc command (default: leave it out)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-restore-", dir=Path.cwd()) as folder:
        place = Path(folder)
        versions = [write(place / f"version{n}" / "model.bin", options.megabytes, n) for n in (0, 1)]
        found = in_process(place, versions) | commands(place, versions)
        found |= builds(place, options.megabytes) | bare_doit(place, versions)
        if options.dvc:
            found |= dvc_checkout(options.dvc, place, versions)
        report(rounds(found, options.rounds), options.megabytes)


def write(path: Path, megabytes: int, number: int) -> Path:
    path.parent.mkdir(parents=True)
    block = bytes([number]) + os.urandom(10**6 - 1)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    return path


def in_process(place: Path, versions: list[Path]) -> dict[str, Way]:
    store = Store(place / "store", DigestTable(place / "store" / "digests.sqlite", shared=True))
    keys = ["a" * 64, "b" * 64]
    outputs = [DigestTable(place / "state.sqlite").folder(version.parent) for version in versions]
    own = [shutil.copytree(version.parent, place / f"own{n}") for n, version in enumerate(versions)]
    for key, made, folder in zip(
        keys, outputs, own, strict=True
    ):  # the links of the other ways are not to touch these inodes
        store.add(Record(stage="train:net", key=key, digest=manifest_digest(made), outputs=made), folder)
    there = place / "restored"

    def from_store(number: int) -> None:
        record = store.find(keys[number])
        assert record is not None
        with store.preserving_digests(*outputs):
            if there.exists():
                shutil.rmtree(there)
            store.restore(record, there)

    def linked(number: int) -> None:
        target = place / "linked.bin"
        target.unlink(missing_ok=True)
        os.link(versions[number], target)
        target.stat()

    return {"store, in process": from_store, "link + stat, in process": linked}


def commands(place: Path, versions: list[Path]) -> dict[str, Way]:
    link, copy = place / "ln.bin", place / "cp.bin"
    return {
        "ln + stat": lambda n: graphs.run_command(["sh", "-c", f"ln -f {versions[n]} {link} && stat {link}"], place),
        "cp --reflink=auto": lambda n: graphs.run_command(
            ["cp", "--reflink=auto", "--remove-destination", str(versions[n]), str(copy)], place
        ),
        "python -c pass": lambda _: graphs.run_command([sys.executable, "-c", "pass"], place),
        "doit --version": lambda _: graphs.run_command([sys.executable, "-m", "doit", "--version"], place),
    }


def builds(place: Path, megabytes: int) -> dict[str, Way]:
    """The toy project with a trainer that writes a large file; its versions are numbers of passes."""
    project = place / "toy"
    toy = Path(__file__).parents[1] / "tests" / "projects" / "toy"
    shutil.copytree(toy, project, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    (project / "dodo.py").write_text(DODO)
    plugin = project / "plugins" / "toy.py"
    line = '    context.log("trained")\n'
    big = f'    with (context.out / "weights.bin").open("wb") as file:\n        file.writelines(bytes([passes]) * 10**6 for _ in range({megabytes}))\n'
    assert line in plugin.read_text()
    plugin.write_text(plugin.read_text().replace(line, line + big))

    def build(number: int) -> None:
        graphs.run_command([sys.executable, "-m", "doit", f"train.passes={number + 1}", "train"], project)

    for number in (0, 1, 0, 1):
        build(number)

    return {"doit, restoring": build, "doit, nothing to do": build}


BARE_DODO = """import json
import os
from pathlib import Path


def link():
    source, target = json.loads(Path("what.json").read_text())
    Path(target).unlink(missing_ok=True)
    os.link(source, target)
    os.stat(target)


def task_link():
    return {"actions": [link]}
"""


def bare_doit(place: Path, versions: list[Path]) -> dict[str, Way]:
    project = place / "bare"
    project.mkdir()
    (project / "dodo.py").write_text(BARE_DODO)
    command = graphs.bare_doit(place)

    def link(number: int) -> None:
        (project / "what.json").write_text(json.dumps([str(versions[number]), str(project / "model.bin")]))
        graphs.run_command(command, project)

    return {"bare doit, link + stat": link}


def dvc_checkout(dvc: str, place: Path, versions: list[Path]) -> dict[str, Way]:
    project = place / "dvc"
    project.mkdir()
    graphs.run_command([dvc, "init", "--no-scm", "-q"], project)
    graphs.run_command([dvc, "config", "cache.type", "reflink,hardlink,copy"], project)
    graphs.run_command([dvc, "config", "core.site_cache_dir", str(project / "site")], project)
    target, pointer = project / "model.bin", project / "model.bin.dvc"
    pointers = []
    for version in versions:
        target.unlink(missing_ok=True)
        shutil.copyfile(version, target)
        graphs.run_command([dvc, "add", "-q", "model.bin"], project)
        pointers.append(pointer.read_text())

    def checkout(number: int) -> None:
        pointer.write_text(pointers[number])
        graphs.run_command([dvc, "checkout", "-q", "-f"], project)

    return {"dvc checkout": checkout, "dvc --version": lambda _: graphs.run_command([dvc, "--version"], project)}


def rounds(found: Mapping[str, Way], count: int) -> dict[str, tuple[float, float]]:
    """Return each way's median CPU and wall time in seconds; the first time there and back is not counted."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for turn in range(count + 1):
        for number in (0, 1):
            for name, way in found.items():
                spent = measure(way, number)
                if turn:
                    figures[name].append(spent)
    return {n: (statistics.median(c for c, _ in f), statistics.median(w for _, w in f)) for n, f in figures.items()}


def measure(way: Way, number: int) -> tuple[float, float]:
    before, clock = cpu_s(), time.perf_counter()
    way(number)
    return cpu_s() - before, time.perf_counter() - clock


def cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def report(found: Mapping[str, tuple[float, float]], megabytes: int) -> None:
    """Print the figures and, of the commands, what part of `dvc checkout` or `cp` they are."""
    print(f"A -> B of {megabytes} MB\n{'':26} {'CPU':>11} {'wall':>11}")
    for name, (cpu, wall) in found.items():
        print(f"{name:26} {cpu * 1000:8.2f} ms {wall * 1000:8.2f} ms")
    ours, plain = found["doit, restoring"], found["doit, nothing to do"]
    print(f"doit, restoring beyond nothing to do: {(ours[0] - plain[0]) * 1000:.1f} ms CPU")
    for other in ("cp --reflink=auto", "dvc checkout"):
        if other in found:
            print(
                f"{other} / doit, restoring: {found[other][0] / ours[0]:.2f} x CPU, {found[other][1] / ours[1]:.2f} x wall"
            )


if __name__ == "__main__":
    main()
