"""Time hashing: one large file, and a folder of many small ones; first, with nothing changed, and with one file changed.

    python benchmarks/hashing.py [--gigabytes 2] [--files 100000] [--rounds 3] [--dvc PATH_OF_DVC]

Every figure is a process of its own, and the ways take turns, so that whatever else the machine does falls on
all of them. CPU time is user and system. The least of all rounds counts, for CPU and wall each. What is compared with:

- `hash alone`: SHA-256 (hashlib, that is OpenSSL) over the same number of bytes in memory, nothing read
- `file_digest`: `hashlib.file_digest` for each file, and nothing kept
- `sha256sum` of coreutils and `openssl sha256`, for the folder through `find | xargs`
- `dvc add`, which also moves the data into its cache, and `dvc status`

All that is read is in memory, but for the ways "from disk": before these, the system is asked to drop the files' pages,
which it does for clean ones; `cat` then says what the disk gives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modelyard.files import digests
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import Hashed, Sized, hash_and_stat
from modelyard.files.state_file import remove_database

SMALL_BYTES = 2_000

COMPARED = [
    *((other, "modelyard, first") for other in ("hash alone", "file_digest", "sha256sum", "openssl sha256")),
    *((other, "modelyard, first, from disk") for other in ("sha256sum, from disk", "cat, from disk")),
]
"""What is compared in the last lines, a way and ours."""

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="the large file's size")
    parser.add_argument("--files", type=int, default=100_000, help="how many small files")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is run")
    parser.add_argument("--dvc", help="the dvc command (default: leave it out)")
    parser.add_argument("--worker", nargs=3, metavar=("WAY", "DATA", "TABLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker[0], Path(options.worker[1]), Path(options.worker[2]))
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-hashing-", dir=Path.cwd()) as folder:
        place = Path(folder)
        large = write_large(place / "large.bin", int(options.gigabytes * 10**9))
        many = write_many(place / "many", options.files)
        report("one large file", rounds(ways(large, place, options.dvc), options.rounds))
        report(f"{options.files} files of {SMALL_BYTES} bytes", rounds(ways(many, place, options.dvc), options.rounds))


def write_large(path: Path, size: int) -> Path:
    block = os.urandom(2**20)
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    return path


def write_many(folder: Path, count: int) -> Path:
    for number in range(count):
        path = folder / f"{number % 100:02d}" / f"{number}.png"
        if number < 100:
            path.parent.mkdir(parents=True)
        path.write_bytes(number.to_bytes(8, "big") + os.urandom(SMALL_BYTES - 8))
    return folder


# One way, in a process of its own


def work(way: str, data: Path, table: Path) -> None:
    """Do it and print what it took: CPU and wall time in seconds, the most memory in bytes, files that were read."""
    read = count_reads()
    before, clock = time.process_time(), time.perf_counter()
    if way == "hash alone":
        before, clock = hash_alone(data)
    elif way == "file_digest":
        for path in files_below(data):
            with path.open("rb", buffering=0) as file:
                hashlib.file_digest(file, "sha256").hexdigest()
    else:
        known = DigestTable(table)
        known.content(data)
        known.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cpu_s, wall_s = time.process_time() - before, time.perf_counter() - clock
    print(json.dumps({"cpu_s": cpu_s, "wall_s": wall_s, "peak_bytes": peak, "read": read[0]}))


def count_reads() -> list[int]:
    counted = [0]

    def counting(files: Sequence[Sized]) -> list[Hashed]:
        counted[0] += len(files)
        return hash_and_stat(files)

    digests.hash_and_stat = counting  # type: ignore[attr-defined]  # the name that the table calls
    return counted


def hash_alone(data: Path) -> tuple[float, float]:
    sizes = [path.stat().st_size for path in files_below(data)]
    block = os.urandom(2**20)
    before, clock = time.process_time(), time.perf_counter()
    for size in sizes:
        digest = hashlib.sha256()
        for _ in range(size // len(block)):
            digest.update(block)
        digest.update(memoryview(block)[: size % len(block)])
        digest.hexdigest()
    return before, clock


def files_below(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    return [Path(folder, name) for folder, _, names in os.walk(data) for name in names]


def drop_pages(data: Path) -> None:
    """Have the system forget the content of the files, so that the next reader waits for the disk."""
    os.sync()
    for path in files_below(data):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


# All ways, in turn


def ways(data: Path, place: Path, dvc: str | None) -> Mapping[str, Callable[[], Figures]]:
    table = place / f"{data.name}.sqlite"

    def worker(way: str) -> Callable[[], Figures]:
        return lambda: run_worker(way, data, table)

    def first() -> Figures:
        remove_database(table)
        return run_worker("modelyard", data, table)

    def one_changed() -> Figures:
        path = next(iter(sorted(files_below(data))))
        with path.open("r+b") as file:
            file.write(os.urandom(8))
        time.sleep(0.05)
        return run_worker("modelyard", data, table)

    def each(command: str) -> Callable[[], Figures]:
        return lambda: run_command(["sh", "-c", f"find {data} -type f -print0 | xargs -0 {command} > /dev/null"], place)

    def from_disk(way: Callable[[], Figures]) -> Callable[[], Figures]:
        def after() -> Figures:
            drop_pages(data)
            return way()

        return after

    found: dict[str, Callable[[], Figures]] = {
        "hash alone": worker("hash alone"),
        "file_digest": worker("file_digest"),
        "modelyard, first": first,
        "modelyard, nothing changed": worker("modelyard"),
        "modelyard, one changed": one_changed,
        "sha256sum": each("sha256sum"),
        "openssl sha256": each("openssl sha256 -r"),
        "modelyard, first, from disk": from_disk(first),
        "sha256sum, from disk": from_disk(each("sha256sum")),
        "cat, from disk": from_disk(each("cat")),
    }
    return found | (dvc_ways(dvc, data, place) if dvc else {})


def dvc_ways(dvc: str, data: Path, place: Path) -> dict[str, Callable[[], Figures]]:
    project = place / f"dvc-{data.name}"

    def add() -> Figures:
        shutil.rmtree(project, ignore_errors=True)
        project.mkdir()
        copy = shutil.copytree(data, project / "data") if data.is_dir() else shutil.copyfile(data, project / "data")
        run_command([dvc, "init", "--no-scm", "-q"], project)
        run_command([dvc, "config", "cache.type", "reflink,hardlink,copy"], project)
        run_command([dvc, "config", "core.site_cache_dir", str(project / "site")], project)
        return run_command([dvc, "add", "-q", str(copy)], project)

    return {"dvc add": add, "dvc status, nothing changed": lambda: run_command([dvc, "status", "-q"], project)}


def run_worker(way: str, data: Path, table: Path) -> Figures:
    command = [sys.executable, __file__, "--worker", way, str(data), str(table)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def run_command(command: list[str], folder: Path) -> Figures:
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )
    wall_s, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall_s": wall_s}


def rounds(found: Mapping[str, Callable[[], Figures]], count: int) -> dict[str, Figures]:
    """Return the least of each way's figures."""
    figures: dict[str, list[Figures]] = {name: [] for name in found}
    for _ in range(count):
        for name, way in found.items():
            figures[name].append(way())
    return {n: {key: min(f[key] for f in all_of) for key in all_of[0]} for n, all_of in figures.items()}


def report(title: str, found: Mapping[str, Figures]) -> None:
    """Print the figures, and each way's CPU time as a part of that of the first run here."""
    base = found["modelyard, first"]["cpu_s"]
    print(f"\n{title}\n{'':30} {'CPU':>9} {'wall':>9} {'of first':>9}")
    for name, f in found.items():
        memory = f"   {f['peak_bytes'] / 1e6:5.0f} MB" if "peak_bytes" in f else ""
        read = f", {f['read']:.0f} read" if name.startswith("modelyard") else ""
        print(f"{name:30} {f['cpu_s']:7.2f} s {f['wall_s']:7.2f} s {f['cpu_s'] / base:8.2f}x{memory}{read}")
    for other, ours in COMPARED:
        cpu, wall = (found[other][key] / found[ours][key] for key in ("cpu_s", "wall_s"))
        print(f"{other} / {ours}: {cpu:.2f} of the CPU time, {wall:.2f} of the wall time")


if __name__ == "__main__":
    main()
