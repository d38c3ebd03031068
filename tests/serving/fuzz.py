"""The worst bodies that a fuzzer finds, against a server that lives in a real control group.

    python -m tests.serving.fuzz [--seconds 600] [--memory 256] [--workers 1]

Each body is made of a few pieces of JSON, repeated up to the largest size that is taken, with something else at its end,
plain or compressed, alone or 64 at once. While one is read, `/v2/health/live` is asked without a pause. Printed are the
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
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.conftest import Running

BODY_BYTES = 8 * 1024 * 1024
"""What the targets `kubernetes` and `compose` render."""
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
)  # fmt: skip


@dataclass
class Watched:
    """A server, and what was seen of it."""

    server: Running
    group: Path | None
    longest_s: float = 0.0
    longest_of: str = ""
    statuses: dict[int, int] = field(default_factory=dict)
    asked: int = 0
    now: str = ""


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
    facts = {
        "file": "model.onnx", "format": "onnx", "input_shape": SHAPE, "input_dtype": "uint8",
        "preprocessing": {"scale": 1 / 255}, "class_names": [str(number) for number in range(10)],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


@contextlib.contextmanager
def limited(memory_bytes: int) -> Iterator[Path | None]:
    """Give a control group that may use so much memory; None where none can be made."""
    parents = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
    files = ["memory.limit_in_bytes", "memory.max"]
    name = f"modelyard-{os.getpid()}"
    for parent, file in zip(parents, files, strict=True):
        try:
            (parent / name).mkdir()
            (parent / name / file).write_text(str(memory_bytes))
        except OSError:
            continue
        try:
            yield parent / name
        finally:
            (parent / name).rmdir()
        return
    yield None


@contextlib.contextmanager
def serving(folder: Path, memory_mib: int, workers: int = 1) -> Iterator[Watched]:
    """Serve the model as the targets render it: its limit on bodies, and on memory."""
    from tests.serving.conftest import started

    with limited(memory_mib * 1024 * 1024) as group:
        enter = f"echo $$ > {group}/cgroup.procs; " if group else ""
        command = ["bash", "-c", f"{enter}exec {sys.executable} -m modelyard.serving"]
        settings = {"BACKEND": "onnxruntime", "MAX_BODY_BYTES": str(BODY_BYTES), "WORKERS": str(workers)}
        if group is None:
            settings["MEMORY_BYTES"] = str(memory_mib * 1024 * 1024)
        with started(folder, command, **settings) as server:
            watched = Watched(server, group)
            end = threading.Event()
            probe = threading.Thread(target=ask_alive, args=(watched, end))
            probe.start()
            try:
                yield watched
            finally:
                end.set()
                probe.join()
        wait_until_empty(group)


def wait_until_empty(group: Path | None) -> None:
    while group is not None and (group / "cgroup.procs").read_text():
        time.sleep(0.05)


def ask_alive(watched: Watched, end: threading.Event) -> None:
    """Ask whether the server is live, again and again, each time on a new connection, as a kubelet does."""
    while not end.is_set():
        start, body = time.monotonic(), watched.now
        try:
            connection = http.client.HTTPConnection("127.0.0.1", watched.server.port, timeout=60)
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
            connection.close()
        except OSError:
            if end.is_set():
                return
        took = time.monotonic() - start
        if took > watched.longest_s:
            watched.longest_s, watched.longest_of = took, body or watched.now
        time.sleep(0.01)


def body_of(random_: random.Random) -> tuple[str, bytes]:
    """Return a large body, and how it was made."""
    pieces = [random_.choice(PIECES) for _ in range(random_.choice((1, 1, 1, 2, 5)))]
    end, frame = random_.choice(ENDS), random_.choice(FRAMES)
    unit = ",".join(pieces) + ","
    size = random_.choice((BODY_BYTES, BODY_BYTES, BODY_BYTES, BODY_BYTES // 3, 400_000, 3072 * len(unit)))
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
    how, body = body_of(random_)
    path = random_.choice(("/v1/models/digits:predict", "/v2/models/digits/infer"))
    coding = random_.choice(("", "", "gzip", "deflate"))
    if coding:
        body = gzip.compress(body, 1) if coding == "gzip" else zlib.compress(body, 1)
    headers = {"content-encoding": coding} if coding else {}
    watched.now = f"{at_once} x {path} {coding} {how}"
    list(threads.map(lambda _: send(watched, path, body, headers), range(at_once)))
    watched.asked += at_once


def hail(port: int, name: str, bodies: int, at_once: int = 16, seed: int = 1) -> set[int]:
    """Send some bodies of the largest size, each several times at once, and return the statuses of the answers."""
    random_, found = random.Random(seed), set[int]()
    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(bodies):
            path = random_.choice((f"/v1/models/{name}:predict", f"/v2/models/{name}/infer"))
            _, body = body_of(random_)
            found.update(threads.map(lambda _, path=path, body=body: post(port, path, body, {}), range(at_once)))
    return found


def peak_bytes(watched: Watched) -> int:
    """Return the most memory that was resident in the processes of the server, in bytes.

    The group counts pages of files, too, which the kernel drops when they are in the way.
    """
    numbers = [str(watched.server.process.pid)]
    if watched.group is not None:
        numbers = (watched.group / "cgroup.procs").read_text().split()
    texts = [Path(f"/proc/{number}/status").read_text() for number in numbers]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("VmHWM")]
    return sum(int(line.split()[1]) * 1024 for line in lines)


def fuzz(watched: Watched, seconds: float, seed: int) -> None:
    """Send bodies for so long; every eighth is sent 64 times at once."""
    random_, end = random.Random(seed), time.monotonic() + seconds
    with ThreadPoolExecutor(64) as threads:
        number = 0
        while time.monotonic() < end:
            number += 1
            once(watched, random_, threads, 64 if number % 8 == 0 else 1)
            assert watched.server.process.poll() is None, f"the server ended at: {watched.now}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--memory", type=int, default=256, help="of the control group, MiB")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model")
        with serving(model, options.memory, options.workers) as watched:
            fuzz(watched, options.seconds, options.seed)
            peak = peak_bytes(watched)
    print(f"seed {options.seed}, {watched.asked} bodies, answers {dict(sorted(watched.statuses.items()))}")
    print(f"longest without an answer: {watched.longest_s:.3f} s at {watched.longest_of}")
    print(f"most memory: {peak / 2**20:.0f} MiB of {options.memory}, in a control group: {watched.group is not None}")


if __name__ == "__main__":
    main()
