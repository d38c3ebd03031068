"""Weigh the server against others that run the same model: CPU seconds of the process tree for 1,000 requests.

    python benchmarks/serving.py MODEL_FOLDER [--floor PYTHON] [--mlserver PYTHON] [--kserve PYTHON] [--bentoml PYTHON]
                                 [--litserve PYTHON] [--seconds 3] [--rounds 3] [--connections 8] [--workers [--share 0.4]]

MODEL_FOLDER has a LiteRT model and its model.json: artifacts/optimize/int8, say. Each PYTHON is that of an environment
with what `peers.py` says and ai-edge-litert. The floor is a bare ASGI function that parses, predicts and answers, and
checks, counts and logs nothing. Servers are pinned to one CPU and `wrk` to another; they take turns. Wall times of a
shared machine say little: the CPU and its ratio to the floor are what counts. `--workers` compares one worker with two:
requests a second, with the client on the same two CPUs, and the server's CPU for each. `--share 0.4` gives each worker
that much of a CPU, by a control group, so that the client finds a free one (as root).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from peers import PEERS, Peer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CPU_GROUPS = Path("/sys/fs/cgroup/cpu" if Path("/sys/fs/cgroup/cpu").is_dir() else "/sys/fs/cgroup")
SERVING = Path(__file__).parents[1] / "src" / "modelyard" / "serving"


@dataclass
class Form:
    """A way to send samples."""

    path: str
    body: bytes
    headers: dict[str, str]


def forms(facts: dict[str, Any], samples: int = 1) -> dict[str, Form]:
    """Return the forms in which clients write so many samples, by name."""
    (taken,) = facts["inputs"]
    shape, dtype = tuple(taken["shape"]), np.dtype(taken["dtype"])
    sample = np.random.default_rng(5).integers(0, 200, (samples, *shape)).astype(dtype)
    name = {"float32": "FP32"}.get(dtype.name, dtype.name.upper())
    tensor = {"name": "input", "datatype": name, "shape": list(sample.shape)}
    flat = {"inputs": [{**tensor, "data": sample.ravel().tolist()}]}
    triton = {
        "parameters": {"binary_data_output": True},
        **flat,
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": False}}],
    }
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": sample.nbytes}}]}).encode()
    infer = "/v2/models/m/infer"
    kind = {"Content-Type": "application/json"}
    return {
        "OIP JSON": Form(infer, json.dumps(flat).encode(), kind),
        "OIP JSON, tritonclient": Form(infer, json.dumps(triton).encode(), kind),
        "OIP binary": Form(infer, head + sample.tobytes(), {"Inference-Header-Content-Length": str(len(head))}),
        "instances": Form("/v1/models/m:predict", json.dumps({"instances": sample.tolist()}).encode(), kind),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    for name, peer in PEERS.items():
        parser.add_argument(f"--{name}", metavar="PYTHON", help=f"of an environment with ai-edge-litert {peer.needs}")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--share", type=float, help="of a CPU, for each worker")
    options = parser.parse_args()
    model = options.model.resolve()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = Path(folder)
        shutil.copytree(SERVING, place / "modelyard_serving", ignore=shutil.ignore_patterns("__pycache__"))
        facts = json.loads((model / "model.json").read_text())
        asked = forms(facts)
        if options.workers:  # a client's own work is little beside that of a large batch
            asked["OIP binary, 64 samples"] = forms(facts, 64)["OIP binary"]
        scripts = {name: write_script(place, number, form) for number, (name, form) in enumerate(asked.items())}
        if options.workers:
            compare_workers(stack, place, model, scripts, options)
            return
        servers: dict[str, tuple[int, int]] = {"modelyard": stack.enter_context(modelyard(place, model))}
        for name, peer in PEERS.items():
            if python := getattr(options, name):
                servers[peer.title] = stack.enter_context(started(peer, Path(python), place, model))
        for connections in options.connections:
            report(measure(servers, scripts, options, connections), servers, connections)


def measure(servers: Any, scripts: Any, options: Any, connections: Any) -> Any:
    """Return CPU ms a request, by form and server, of every round."""
    found: dict[tuple[str, str], list[float]] = {}
    understood = {peer.title: peer.forms for peer in PEERS.values()}
    for _ in range(options.rounds):
        for form, script in scripts.items():
            for name, (process, port) in servers.items():
                if form not in understood.get(name, scripts):
                    continue
                before = cpu_s(process)
                done, failed, _rate = wrk(script, port, options.seconds, connections)
                assert (done > 0, failed) == (True, 0), (name, form, done, failed)
                found.setdefault((form, name), []).append((cpu_s(process) - before) / done * 1000)
    return found


def report(found: Any, servers: Any, connections: Any) -> None:
    base = "the floor" if "floor" in servers else "modelyard"
    print(f"\nCPU seconds for 1,000 requests, {connections} connections (of {base})")
    print(f"{'':24}" + "".join(f"{name:>20}" for name in servers))
    for form in dict.fromkeys(form for form, _ in found):
        base = statistics.median(found.get((form, "floor")) or found[form, "modelyard"])
        cells = ""
        for name in servers:
            values = found.get((form, name))
            cells += (
                f"{statistics.median(values):11.3f} {statistics.median(values) / base:6.2f} x" if values else " " * 20
            )
        print(f"{form:24}{cells}")
    for name, (process, _) in servers.items():
        print(f"{name}: {pss_mb(process):.0f} MB")


def compare_workers(stack: Any, place: Any, model: Any, scripts: Any, options: Any) -> None:
    """Print requests a second of one worker and of two, the client beside them on the same CPUs."""
    servers = {}
    for count in (1, 2):
        enter = stack.enter_context(limited(count * options.share)) if options.share else ""
        servers[count] = stack.enter_context(modelyard(place, model, workers=count, pin=False, enter=enter))
    for form, script in scripts.items():
        rates: dict[int, list[float]] = {1: [], 2: []}
        costs: dict[int, list[float]] = {1: [], 2: []}
        parts: list[float] = []
        for _ in range(options.rounds):
            for count, (process, port) in servers.items():
                before = cpus_s(process)
                done, _, rate = wrk(script, port, options.seconds, 16, pin=False)
                spent = sorted(after - before[number] for number, after in cpus_s(process).items())
                rates[count].append(rate)
                costs[count].append(sum(spent) / done * 1000)
                if count == 2:
                    parts.append(spent[-1] / sum(spent))
        one, two = (statistics.median(rates[count]) for count in (1, 2))
        cost = ", ".join(f"{statistics.median(costs[count]):.3f}" for count in (1, 2))
        print(f"{form:24} {one:8.0f} {two:8.0f} requests a second, {two / one:.2f} x; CPU for 1,000: {cost};", end=" ")
        print(f"the busier of two had {statistics.median(parts):.0%}")


@contextlib.contextmanager
def limited(cpus: float) -> Iterator[str]:
    """Give what a process does to enter a control group that has so many CPUs, before all that has none."""
    quota, group = f"{cpus * 100_000:.0f}", Path(tempfile.mkdtemp(prefix="modelyard-", dir=CPU_GROUPS))
    files = {"cpu.cfs_quota_us": quota, "cpu.shares": "16384"}
    if (group / "cpu.max").exists():
        files = {"cpu.max": f"{quota} 100000", "cpu.weight": "1000"}
    for name, value in files.items():
        (group / name).write_text(value)
    try:
        yield f"echo $$ > {group}/cgroup.procs; "
    finally:
        group.rmdir()


def write_script(place: Path, number: int, form: Form) -> Path:
    """Write what wrk sends."""
    (place / f"{number}.body").write_bytes(form.body)
    lines = ['wrk.method = "POST"', f'wrk.path = "{form.path}"']
    lines += [f'local file = io.open("{place}/{number}.body", "rb")', 'wrk.body = file:read("*a")']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in form.headers.items()]
    script = place / f"{number}.lua"
    script.write_text("\n".join(lines))
    return script


def wrk(script: Path, port: int, seconds: int, connections: int, *, pin: bool = True) -> tuple[int, int, float]:
    """Return how many requests were answered and how many of these not with 200, and how many a second."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/"]
    pinned = ["taskset", "-c", "1"] if pin else []
    said = subprocess.run([*pinned, *command], capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    done = re.search(r"(\d+) requests in", said)
    assert rate
    assert done
    return int(done[1]), int(bad[1]) if bad else 0, float(rate[1])


def tree(process: int) -> list[int]:
    """Return a process and all below it."""
    found = [process]
    for number in found:
        for file in Path(f"/proc/{number}/task").glob("*/children"):
            found += [int(child) for child in file.read_text().split()]
    return found


def cpus_s(process: int) -> dict[int, float]:
    """Return the CPU seconds of a process and of each below it."""
    found = {}
    for number in tree(process):
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        found[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def cpu_s(process: int) -> float:
    return sum(cpus_s(process).values())


def pss_mb(process: int) -> float:
    texts = [Path(f"/proc/{number}/smaps_rollup").read_text() for number in tree(process)]
    return sum(int(size) for text in texts for size in re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)) / 1000


@contextlib.contextmanager
def running(
    command: list[str], port: int, path: str, pin: bool = True, environment: Mapping[str, str] = {}
) -> Iterator[tuple[int, int]]:
    """Run a server until it answers `path`; give its process and port."""
    pinned = ["taskset", "-c", "0"] if pin else []
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*pinned, *command], env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            assert process.poll() is None, command
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).read()
                break
            except urllib.error.HTTPError as exc:
                if exc.code in (500, 400):  # the floor, which was asked for nothing
                    break
            except OSError:
                pass
            time.sleep(0.02)
        print(f"{command[-1][-60:]!r} answers after {time.perf_counter() - begin:.2f} s", file=sys.stderr)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def modelyard(
    place: Path, model: Path, workers: int = 1, pin: bool = True, enter: str = ""
) -> contextlib.AbstractContextManager[tuple[int, int]]:
    port = free_port()
    settings = {"MODEL_DIR": str(model), "MODEL_NAME": "m", "HOST": "127.0.0.1", "PORT": str(port)}
    settings |= {"WORKERS": str(workers), "DRAIN_S": "0"}
    environment = {f"MODELYARD_{name}": value for name, value in settings.items()}
    command = ["bash", "-c", f"{enter}exec {sys.executable} -m modelyard_serving"]
    return running(command, port, "/v2/health/ready", pin, environment | {"PYTHONPATH": str(place)})


def started(peer: Peer, python: Path, place: Path, model: Path) -> contextlib.AbstractContextManager[tuple[int, int]]:
    port = free_port()
    return running(peer.command(python, peer.write(place, model, port), port), port, peer.ready)


if __name__ == "__main__":
    main()
