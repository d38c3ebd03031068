"""The worst bodies that a fuzzer finds, against a server that lives in a real control group.

    python -m tests.serving.fuzz [--seconds 600] [--memory 256] [--cpus 1] [--body 8388608] [--workers 1] [--several]

Each body is made of a few pieces of JSON, repeated up to the largest size that is taken, with something else at its end,
plain or compressed, alone or 64 at once. Meanwhile `/v2/health/live` is asked without a pause. Printed are the
longest time without an answer, the largest memory, and the bodies behind both.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.facts import model_json
from tests.serving import named_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.serving.conftest import Running

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
SHAPE = (32, 32, 3)
PIECES = (
    "0", "1", "255", "256", "999", "1.5", "1e9", "1e300", "0.1", "-1", "true", "false", "null", "[]", "{}", "[0]",
    "[0,0,0]", "[1,2,3]", "[true]", "[[0,0,0],[0,0,0]]", '""', '"a"', '"ab"', '"true"', '{"b64":"AAAA"}', '{"input":[1]}',
    '{"a":0}', "NaN", "Infinity", "[[[[", "12345678901234567890", '"\\u0074rue"', " 0", "\n0",
)  # fmt: skip
ENDS = ("0", "true", '"x"', "null", "{}", "[]", "1e999", "[[0]]", "", "NaN")
FRAMES = (
    '{"instances":[%s]}', '{"inputs":[%s]}', '{"instances":[[%s]]}', '{"instances":[{"input":[%s]}]}',
    '{"inputs":[{"name":"input","datatype":"UINT8","shape":[1,32,32,3],"data":[%s]}]}',
    '{"inputs":[{"name":"input","datatype":"UINT8","shape":[1024,32,32,3],"data":[%s]}]}',
    '{"parameters":{"binary_data_output":true},"inputs":[{"name":"input","datatype":"UINT8","shape":[682,32,32,3],"data":[%s]}]}',
    '{"id":"true","inputs":[{"name":"input","datatype":"UINT8","shape":[1,32,32,3],"data":[%s]}]}',
    '{"signature_name":[%s],"instances":[1]}', '{"outputs":[%s]}', '{"inputs":[%s],"instances":[1]}', "%s", "[%s]",
    '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"instances":[%s]}}',
    '[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"instances":[%s]}}]',
)  # fmt: skip

NAMED_FRAMES = (
    '{"instances":[{"ids":[%s],"weights":[[0,0]]}]}', '{"instances":[{"weights":[%s],"ids":[0]}]}', '{"instances":[%s]}',
    '{"inputs":{"ids":[[%s]],"weights":[[[0,0]]]}}', '{"inputs":{"weights":[[%s]],"ids":[[0]]}}', '{"instances":[{"ids":[%s]}]}',
    '{"inputs":[{"name":"ids","datatype":"INT64","shape":[1,900000],"data":[%s]},{"name":"weights","datatype":"FP32","shape":[1,900000,2],"data":[0]}]}',
    '{"inputs":[{"name":"weights","datatype":"FP32","shape":[1000,900,2],"data":[%s]},{"name":"ids","datatype":"INT64","shape":[1000,900],"data":[0]}]}',
    '{"inputs":[%s]}', '{"outputs":[%s],"inputs":[{"name":"ids"},{"name":"weights"}]}', '{"outputs":[%s]}', "%s", "[%s]",
    '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"instances":[{"ids":[%s],"weights":[[1,1]]}]}}',
)  # fmt: skip
"""What is sent to the model of `named_models.write_notes`."""


ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v1/models/digits:predict", {}),
    ("/v2/models/digits/infer", {}),
    ("/events", {"content-type": "application/cloudevents+json"}),
    ("/events", {"content-type": "application/cloudevents-batch+json"}),
)
"""Where large bodies are sent to, and what they are said to be."""


@dataclass(frozen=True)
class Box:
    """What a container is given, and what its server takes; by default what the targets render for a small model.

    Attributes:
        memory_mib: the memory of the control group, MiB.
        cpus: the processors of the control group.
        body_bytes: the largest body.
        workers: the server's processes.
    """

    memory_mib: int = 256
    cpus: float = 1.0
    body_bytes: int = 8 * MIB
    workers: int = 1


BOXES = {"the targets'": Box(), "half a processor": Box(cpus=0.5), "the hardened one": Box(192, 0.5, MIB)}
"""The limits that the targets render by themselves, and those of the page on hardening."""
_PERIOD_US = 100_000
ON_ITS_WAY_S = 0.2
"""What was sent so long before a question may be what keeps the server from its answer."""


@dataclass
class Watched:
    """A server, and what was seen of it."""

    server: Running
    box: Box
    group: Path | None
    frames: tuple[str, ...] = FRAMES
    longest_s: float = 0.0
    longest_of: str = ""
    statuses: dict[int, int] = field(default_factory=dict)
    asked: int = 0
    sent: list[tuple[float, str]] = field(default_factory=list)

    def sends(self, what: str) -> None:
        """Note what is sent from now on."""
        self.sent.append((time.monotonic(), what))

    def sent_at(self, start: float, end: float) -> str:
        """Return the last that was sent between two times, or was on its way then."""
        return "; ".join([what for at, what in self.sent[-1000:] if start - ON_ITS_WAY_S < at < end][-3:])


def write_model(folder: Path) -> Path:
    """Write an ONNX model of raw samples of 32 x 32 x 3, uint8, and return its folder."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(1).normal(0, 0.01, (3072, 10)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(weights, "w")],
    )
    folder.mkdir()
    opset = [helper.make_opsetid("", 17)]
    (folder / "model.onnx").write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
    facts: dict[str, Any] = {
        "file": "model.onnx", "format": "onnx", "input_shape": SHAPE, "input_dtype": "uint8",
        "preprocessing": {"scale": 1 / 255}, "class_names": [str(number) for number in range(10)],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(model_json(**facts)))
    return folder


@contextlib.contextmanager
def limited(box: Box) -> Iterator[list[Path]]:
    """Give the control groups that hold a process to what `box` says; none where none can be made.

    What else the machine does comes after them: the bounds are those of the box.
    """
    name, quota_us = f"modelyard-{os.getpid()}", int(box.cpus * _PERIOD_US)
    old = {
        "memory": {"memory.limit_in_bytes": str(box.memory_mib * MIB)},
        "cpu": {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota_us), "cpu.shares": "16384"},
    }
    new = {".": {"memory.max": str(box.memory_mib * MIB), "cpu.max": f"{quota_us} {_PERIOD_US}", "cpu.weight": "1000"}}
    made: list[Path] = []
    for version in (old, new):
        made = [Path("/sys/fs/cgroup", folder, name) for folder in version]
        try:
            for group, files in zip(made, version.values(), strict=True):
                group.mkdir()
                for file, value in files.items():
                    (group / file).write_text(value)
        except OSError:
            made = _removed(made)
            continue
        break
    try:
        yield made
    finally:
        _removed(made)


def _removed(groups: list[Path]) -> list[Path]:
    for group in groups:
        with contextlib.suppress(OSError):
            group.rmdir()
    return []


@contextlib.contextmanager
def serving(folder: Path, box: Box, frames: tuple[str, ...] = FRAMES, **more: str) -> Iterator[Watched]:
    """Serve the model as the targets render it: its limit on bodies, on memory and on processors; `more` are settings."""
    from tests.serving.conftest import started

    with limited(box) as groups:
        enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        command = ["bash", "-c", f"{enter}exec {sys.executable} -m modelyard.serving"]
        settings = {"BACKEND": "onnxruntime", "MAX_BODY_BYTES": str(box.body_bytes), "WORKERS": str(box.workers)}
        settings |= more
        if not groups:
            settings["MEMORY_BYTES"] = str(box.memory_mib * MIB)
        with started(folder, command, None, **settings) as server:
            watched = Watched(server, box, groups[0] if groups else None, frames)
            with asked(watched):
                yield watched
        wait_until_empty(groups)


def wait_until_empty(groups: list[Path]) -> None:
    while any((group / "cgroup.procs").read_text() for group in groups):
        time.sleep(0.05)


@contextlib.contextmanager
def asked(watched: Watched) -> Iterator[None]:
    """Have the server asked whether it is live, without a pause."""
    command = [sys.executable, "-m", "tests.serving.alive", str(watched.server.port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as probe:
        reader = threading.Thread(target=note_answers, args=(watched, probe.stdout))
        reader.start()
        try:
            yield
        finally:
            probe.terminate()
            reader.join()


def note_answers(watched: Watched, lines: Iterable[str]) -> None:
    """Note the longest time without an answer, and what was sent then."""
    for line in lines:
        start, end = map(float, line.split())
        if end - start > watched.longest_s:
            watched.longest_s, watched.longest_of = end - start, watched.sent_at(start, end)


def body_of(random_: random.Random, largest: int, frames: tuple[str, ...] = FRAMES) -> tuple[str, bytes]:
    """Return a large body, of `largest` bytes at most, and how it was made."""
    pieces = [random_.choice(PIECES) for _ in range(random_.choice((1, 1, 1, 2, 5)))]
    end, frame = random_.choice(ENDS), random_.choice(frames)
    unit = ",".join(pieces) + ","
    size = min(largest, random_.choice((largest, largest, largest, largest // 3, 400_000, 3072 * len(unit))))
    count = max(1, (size - len(frame) - len(end) - 9) // len(unit))
    return f"{frame[:60]} {unit!r} x {count} {end!r}", (frame % (unit * count + end)).encode()


def post(port: int, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a body and return the status of the answer; 0: the connection was closed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (ConnectionError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return answer.status


def send(watched: Watched, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a body to the server that is watched, and count the status of the answer."""
    status = post(watched.server.port, path, body, headers)
    watched.statuses[status] = watched.statuses.get(status, 0) + 1
    return status


def once(watched: Watched, random_: random.Random, threads: ThreadPoolExecutor, at_once: int) -> None:
    """Send one body, `at_once` times."""
    how, body = body_of(random_, watched.box.body_bytes, watched.frames)
    path, headers = random_.choice(ROUTES)
    coding = random_.choice(("", "", "gzip", "deflate"))
    if coding:
        body = gzip.compress(body, 1) if coding == "gzip" else zlib.compress(body, 1)
    headers = {**headers, "content-encoding": coding} if coding else headers
    watched.sends(f"{at_once} x {path} {coding} {how}")
    list(threads.map(lambda _: send(watched, path, body, headers), range(at_once)))
    watched.asked += at_once


def hail(port: int, name: str, bodies: int, at_once: int = 16, seed: int = 1) -> set[int]:
    """Send some bodies of the largest size, each several times at once, and return the statuses of the answers."""
    random_, found = random.Random(seed), set[int]()
    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(bodies):
            path = random_.choice((f"/v1/models/{name}:predict", f"/v2/models/{name}/infer"))
            _, body = body_of(random_, Box().body_bytes)
            found.update(threads.map(lambda _, path=path, body=body: post(port, path, body, {}), range(at_once)))
    return found


def peak_bytes(watched: Watched) -> int:
    """Return the most memory that the control group was charged with, pages of files included, in bytes.

    That is what its limit is held against. Without a group: the most that was resident in the server's process.
    """
    for file in ("memory.max_usage_in_bytes", "memory.peak"):
        if watched.group is not None and (watched.group / file).exists():
            return int((watched.group / file).read_text())
    text = Path(f"/proc/{watched.server.process.pid}/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def killed_for_memory(watched: Watched) -> int:
    """Return how many processes of the control group were killed because it had no memory left."""
    for file in ("memory.oom_control", "memory.events"):
        if watched.group is not None and (watched.group / file).exists():
            return int(dict(map(str.split, (watched.group / file).read_text().splitlines()))["oom_kill"])
    return 0


def fuzz(watched: Watched, seconds: float, seed: int) -> None:
    """Send bodies for so long; every eighth is sent 64 times at once."""
    random_, end = random.Random(seed), time.monotonic() + seconds
    with ThreadPoolExecutor(64) as threads:
        number = 0
        while time.monotonic() < end:
            number += 1
            once(watched, random_, threads, 64 if number % 8 == 0 else 1)
            assert watched.server.process.poll() is None, f"the server ended at: {watched.sent[-1][1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--memory", type=int, default=Box.memory_mib, help="of the control group, MiB")
    parser.add_argument("--cpus", type=float, default=Box.cpus, help="of the control group")
    parser.add_argument("--body", type=int, default=Box.body_bytes, help="the largest that the server takes, bytes")
    parser.add_argument("--workers", type=int, default=Box.workers)
    parser.add_argument("--several", action="store_true", help="a model of several tensors, whose length varies")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write, frames = (named_models.write_notes, NAMED_FRAMES) if options.several else (write_model, FRAMES)
        box = Box(options.memory, options.cpus, options.body, options.workers)
        with serving(write(Path(folder) / "model"), box, frames) as watched:
            fuzz(watched, options.seconds, options.seed)
            peak, killed = peak_bytes(watched), killed_for_memory(watched)
    print(f"seed {options.seed}, {watched.asked} bodies, answers {dict(sorted(watched.statuses.items()))}")
    print(f"longest without an answer: {watched.longest_s:.3f} s at {watched.longest_of}")
    print(
        f"most memory: {peak / 2**20:.0f} MiB of {box.memory_mib}, in a control group: {watched.group is not None}, killed: {killed}"
    )


if __name__ == "__main__":
    main()
