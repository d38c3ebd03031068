"""What KServe's own Python client writes, and what it makes of the answers.

    python tests/serving/kserve_client.py record tests/serving/recorded/kserve.json
    python tests/serving/kserve_client.py ask http://127.0.0.1:8080

Run by a Python that has `kserve`, whose dependencies are no part of this project's tests. `record` writes every request
that the client sends, with the client's version; `ask` sends the same to a server of the tests' model and prints what the client
makes of the answers. It is started by test_clients.py, with the Python that MODELYARD_TEST_KSERVE names.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "digits"


def samples() -> np.ndarray:
    """Raw samples, uint8, shape (2, 8, 8, 1), values 0 to 15."""
    return (np.arange(128) % 16).astype(np.uint8).reshape(2, 8, 8, 1)


async def ask(url: str) -> dict[str, object]:
    """Ask everything that the client can ask over HTTP; return what it makes of the answers, by name."""
    from kserve import InferenceRESTClient, RESTConfig

    two = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    one = InferenceRESTClient(RESTConfig(protocol="v1", retries=0))
    found: dict[str, object] = {
        "live": await two.is_server_live(url),
        "ready": await two.is_server_ready(url),
        "model ready": await two.is_model_ready(url, MODEL),
    }
    for binary_in in (False, True):
        for binary_out in (False, True):
            answer = await two.infer(url, _request(binary_in, binary_out), model_name=MODEL)
            name = f"infer, {'binary' if binary_in else 'JSON'} in, {'binary' if binary_out else 'JSON'} out"
            found[name] = answer.outputs[0].as_numpy().tolist()
    answer = await one.infer(url, {"instances": samples().tolist()}, model_name=MODEL)
    found["predict"] = answer["predictions"]
    await one.close()
    await two.close()
    return found


def _request(binary_in: bool, binary_out: bool) -> Any:
    from kserve import InferInput, InferRequest
    from kserve.protocol.infer_type import RequestedOutput

    tensor = InferInput("input", list(samples().shape), "UINT8")
    tensor.set_data_from_numpy(samples(), binary_data=binary_in)
    output = RequestedOutput("probabilities", parameters={"binary_data": binary_out})
    return InferRequest(MODEL, [tensor], request_id="7", request_outputs=[output])


def record() -> list[dict[str, object]]:
    """Return the requests that `ask` sends, in order."""
    seen: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.take({"live": True, "ready": True, "name": MODEL})

        def do_POST(self) -> None:
            tensor = {"name": "probabilities", "datatype": "FP32", "shape": [1, 1], "data": [0.5]}
            self.take({"model_name": MODEL, "id": "7", "outputs": [tensor], "predictions": [[0.5]]})

        def take(self, answer: dict[str, object]) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "host"}
            text = base64.b64encode(body).decode()
            seen.append({"method": self.command, "path": self.path, "headers": headers, "body": text})
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with contextlib.redirect_stdout(sys.stderr):
        asyncio.run(ask(f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    return seen


def main() -> None:
    what, place = sys.argv[1:]
    if what == "record":
        written = {"client": f"kserve {version('kserve')}", "requests": record()}
        Path(place).write_text(json.dumps(written, indent=1) + "\n")
    else:
        with contextlib.redirect_stdout(sys.stderr):
            found = asyncio.run(ask(place))
        print(json.dumps(found))


if __name__ == "__main__":
    main()
