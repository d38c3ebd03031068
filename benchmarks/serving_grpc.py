"""Weigh gRPC against HTTP, against what gRPC's libraries cost alone, and against MLServer: CPU for 1,000 requests.

    python benchmarks/serving_grpc.py MODEL_FOLDER [--mlserver PYTHON] [--seconds 3] [--rounds 3] [--calls 1 8]

MODEL_FOLDER has a LiteRT model and its model.json. This environment has modelyard[grpc], tritonclient[grpc] and, for its
row, grpclib. The libraries' servers parse with protobuf, predict and answer, and check, count and log nothing. Every server
is asked by grpcio's client with the same bytes, one sample in `raw_input_contents`; HTTP by wrk with a binary tensor. Servers
are pinned to one CPU, clients to another, and take turns: the ratios are what counts.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from peers import OPEN, PEERS, free_port
from tritonclient.grpc import service_pb2 as messages

from serving import SERVING, cpu_s, forms, pss_mb, running, write_script, wrk

METHOD = "/inference.GRPCInferenceService/ModelInfer"

LIBRARY = """
import http.server, threading
from tritonclient.grpc import service_pb2 as messages
model = open_model()
def answer(data):
    request = messages.ModelInferRequest.FromString(data)
    raw = np.frombuffer(request.raw_input_contents[0], model.facts.input.dtype).reshape(request.inputs[0].shape)
    found = model.predict(raw)
    response = messages.ModelInferResponse(model_name="m", raw_output_contents=[found.tobytes()])
    response.outputs.add(name="probabilities", datatype="FP32", shape=found.shape)
    return response.SerializeToString()
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
ready = http.server.HTTPServer(("127.0.0.1", {port}), Ready)
threading.Thread(target=ready.serve_forever, daemon=True).start()
"""

GRPCIO = """
import grpc
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(8))
handler = grpc.unary_unary_rpc_method_handler(lambda data, _: answer(data))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {{"ModelInfer": handler}}),))
server.add_insecure_port("127.0.0.1:{grpc_port}")
server.start()
server.wait_for_termination()
"""

ASYNCIO = """
import asyncio, grpc, grpc.aio
async def infer(data, _): return answer(data)
async def main():
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(infer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {{"ModelInfer": handler}}),))
    server.add_insecure_port("127.0.0.1:{grpc_port}")
    await server.start()
    await server.wait_for_termination()
asyncio.run(main())
"""

GRPCLIB = """
import asyncio
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server
class Bytes(CodecBase):
    __content_subtype__ = "proto"
    def encode(self, message, kind): return message
    def decode(self, data, kind): return data
class Service:
    async def infer(self, stream): await stream.send_message(answer(await stream.recv_message()))
    def __mapping__(self): return {{"/inference.GRPCInferenceService/ModelInfer": Handler(self.infer, Cardinality.UNARY_UNARY, bytes, bytes)}}
async def main():
    server = Server([Service()], codec=Bytes())
    await server.start("127.0.0.1", {grpc_port})
    await server.wait_closed()
asyncio.run(main())
"""

CLIENT = """
import grpc, pathlib, sys, threading, time
port, calls, seconds, file, method = sys.argv[1:]
body, done, end = pathlib.Path(file).read_bytes(), [], time.monotonic() + float(seconds)
def ask():
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call, count = channel.unary_unary(method), 0
        while time.monotonic() < end:
            call(body)
            count += 1
    done.append(count)
threads = [threading.Thread(target=ask) for _ in range(int(calls))]
[one.start() for one in threads]
[one.join() for one in threads]
print(sum(done))
"""


def body(facts: dict[str, Any]) -> bytes:
    """Return a request with one sample."""
    (taken,) = facts["inputs"]
    sample = np.random.default_rng(5).integers(0, 200, (1, *taken["shape"])).astype(taken["dtype"])
    name = {"float32": "FP32"}.get(sample.dtype.name, sample.dtype.name.upper())
    request = messages.ModelInferRequest(model_name="m", raw_input_contents=[sample.tobytes()])
    request.inputs.add(name="input", datatype=name, shape=sample.shape)
    return bytes(request.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--mlserver", metavar="PYTHON")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, nargs="*", default=[1, 8])
    options = parser.parse_args()
    model = options.model.resolve()
    facts = json.loads((model / "model.json").read_text())
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = Path(folder)
        shutil.copytree(SERVING, place / "modelyard_serving", ignore=shutil.ignore_patterns("__pycache__"))
        (place / "grpc.body").write_bytes(body(facts))
        (place / "client.py").write_text(CLIENT)
        script = write_script(place, 0, forms(facts)["OIP binary"])
        servers = start(stack, place, model, options.mlserver)
        for calls in options.calls:
            found = measure(servers, place, script, options, calls)
            base = statistics.median(found["modelyard"])
            print(f"\nCPU seconds for 1,000 requests, {calls} at a time (of modelyard's gRPC)")
            for name, values in found.items():
                print(f"{name:28}{statistics.median(values):8.3f} {statistics.median(values) / base:6.2f} x")
        for name, (process, _, _) in servers.items():
            print(f"{name}: {pss_mb(process):.0f} MB")


def start(stack: contextlib.ExitStack, place: Path, model: Path, mlserver: str | None) -> dict[str, tuple[Any, ...]]:
    """Return each server's process, port for HTTP and port for gRPC."""
    port, grpc_port = free_port(), free_port()
    settings = {"MODEL_DIR": str(model), "MODEL_NAME": "m", "HOST": "127.0.0.1", "PORT": str(port), "DRAIN_S": "0"}
    environment = {f"MODELYARD_{name}": value for name, value in settings.items()} | {"PYTHONPATH": str(place)}
    environment["MODELYARD_GRPC_PORT"] = str(grpc_port)
    command = [sys.executable, "-m", "modelyard_serving"]
    ours = stack.enter_context(running(command, port, "/v2/health/ready", environment=environment))
    found = {"modelyard": (*ours, grpc_port)}
    libraries = {"grpcio, threads": GRPCIO, "grpcio, asyncio": ASYNCIO}
    if importlib.util.find_spec("grpclib"):
        libraries["grpclib"] = GRPCLIB
    for number, (name, code) in enumerate(libraries.items()):
        port, grpc_port = free_port(), free_port()
        file = place / f"library{number}.py"
        text = OPEN + LIBRARY + code
        file.write_text(text.format(lib=str(place), model=str(model), port=port, grpc_port=grpc_port))
        found[name] = (*stack.enter_context(running([sys.executable, str(file)], port, "/")), grpc_port)
    if mlserver:
        peer, port = PEERS["mlserver"], free_port()
        file = peer.write(place, model, port)
        command = peer.command(Path(mlserver), file, port)
        grpc_port = json.loads((file.parent / "settings.json").read_text())["grpc_port"]
        found["MLServer"] = (*stack.enter_context(running(command, port, peer.ready)), grpc_port)
    return found


def measure(servers: Any, place: Path, script: Path, options: Any, calls: int) -> dict[str, list[float]]:
    """Return CPU ms a request of every round, by server, and of modelyard over HTTP."""
    found: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, (process, _, port) in servers.items():
            before = cpu_s(process)
            done = ask(place, port, options.seconds, calls)
            found.setdefault(name, []).append((cpu_s(process) - before) / done * 1000)
        process, port, _ = servers["modelyard"]
        before = cpu_s(process)
        done, failed, _rate = wrk(script, port, options.seconds, calls)
        assert (done > 0, failed) == (True, 0)
        found.setdefault("modelyard over HTTP", []).append((cpu_s(process) - before) / done * 1000)
    return found


def ask(place: Path, port: int, seconds: int, calls: int) -> int:
    """Return how many calls were answered; one that is not ends the benchmark."""
    command = ["taskset", "-c", "1", sys.executable, str(place / "client.py"), str(port), str(calls), str(seconds)]
    said = subprocess.run([*command, str(place / "grpc.body"), METHOD], capture_output=True, text=True, check=True)
    return int(said.stdout)


if __name__ == "__main__":
    main()
