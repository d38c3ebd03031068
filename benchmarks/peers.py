"""Servers that `serving.py` compares with: each runs the same LiteRT model by the same class, in an environment of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OPEN = """
import sys, pathlib, numpy as np
sys.path.insert(0, {lib!r})
from modelyard_serving.backends.litert import open_model as open_folder
def open_model(): return open_folder(pathlib.Path({model!r}))
"""

FLOOR = """
import orjson, uvicorn
model = open_model()
shape, dtype = (-1, *model.facts.input.shape), model.facts.input.dtype
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"): break
    length = dict(scope["headers"]).get(b"inference-header-content-length")
    if length:
        raw = np.frombuffer(body[int(length):], dtype).reshape(shape)
    else:
        data = orjson.loads(body)
        values = data["instances"] if "instances" in data else data["inputs"][0]["data"]
        raw = np.array(values, dtype).reshape(shape)
    answer = orjson.dumps({{"outputs": model.predict(raw)}}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": answer}})
uvicorn.run(app, port={port}, http="httptools", loop="uvloop", lifespan="off", access_log=False, log_level="error")
"""

MLSERVER = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
class Runtime(MLModel):
    async def load(self):
        self.model = open_model()
        return True
    async def predict(self, payload):
        raw = NumpyCodec.decode_input(payload.inputs[0])
        answer = NumpyCodec.encode_output("probabilities", self.model.predict(raw))
        return InferenceResponse(model_name=self.name, outputs=[answer])
"""

KSERVE = """
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
class Runtime(Model):
    def load(self):
        self.model, self.ready = open_model(), True
    def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            raw = np.array(payload["instances"], self.model.facts.input.dtype)
            return {{"predictions": self.model.predict(raw).tolist()}}
        answer = self.model.predict(payload.inputs[0].as_numpy())
        output = InferOutput("probabilities", list(answer.shape), "FP32")
        output.set_data_from_numpy(answer, binary_data=False)
        return InferResponse(payload.id or "", "m", [output])
runtime = Runtime("m")
runtime.load()
ModelServer(http_port={port}, enable_grpc=False, access_log_format="").start([runtime])
"""

BENTOML = """
import typing, bentoml
from bentoml.validators import DType
@bentoml.service(workers=1)
class Service:
    def __init__(self):
        self.model = open_model()
    @bentoml.api(route="/v1/models/m:predict")
    def predict(self, instances: typing.Annotated[np.ndarray, DType("{dtype}")]) -> np.ndarray:
        return self.model.predict(instances)
"""

LITSERVE = """
import litserve
class API(litserve.LitAPI):
    def setup(self, device):
        self.model = open_model()
    def decode_request(self, request):
        return np.array(request["instances"], self.model.facts.input.dtype)
    def predict(self, raw):
        return self.model.predict(raw)
    def encode_response(self, answer):
        return {{"predictions": answer.tolist()}}
if __name__ == "__main__":
    server = litserve.LitServer(API(api_path="/v1/models/m:predict"), accelerator="cpu", workers_per_device=1)
    server.run(port={port}, generate_client_file=False, log_level="error")
"""

EVERY = ("OIP JSON", "OIP JSON, tritonclient", "OIP binary", "instances")


@dataclass(frozen=True)
class Peer:
    """A server.

    Attributes:
        title: its name in the table.
        needs: what the environment has beside ai-edge-litert.
        code: its program.
        forms: what it understands.
        ready: the path that answers once it serves.
        command: the command, from the environment's Python, the program's file and the port.
    """

    title: str
    needs: str
    code: str
    forms: tuple[str, ...]
    ready: str
    command: Callable[[Path, Path, int], list[str]]

    def write(self, place: Path, model: Path, port: int) -> Path:
        """Write the program into a folder of its own and return it."""
        facts = json.loads((model / "model.json").read_text())
        folder = place / self.title
        folder.mkdir()
        values = {"lib": str(place), "model": str(model), "port": port, "dtype": facts["inputs"][0]["dtype"]}
        (folder / "runtime.py").write_text((OPEN + self.code).format(**values))
        return folder / "runtime.py"


def _script(python: Path, file: Path, _port: int) -> list[str]:
    return [str(python), str(file)]


def _mlserver(python: Path, file: Path, port: int) -> list[str]:
    settings = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "parallel_workers": 0}
    (file.parent / "settings.json").write_text(json.dumps(settings | {"debug": False}))
    model = {"name": "m", "implementation": "runtime.Runtime"}
    (file.parent / "model-settings.json").write_text(json.dumps(model))
    return [str(python.with_name("mlserver")), "start", str(file.parent)]


def _bentoml(python: Path, file: Path, port: int) -> list[str]:
    words = ["serve", "runtime:Service", "--working-dir", str(file.parent), "--port", str(port)]
    return [str(python.with_name("bentoml")), *words]


PEERS = {
    "floor": Peer("floor", "uvicorn httptools uvloop orjson numpy", FLOOR, EVERY, "/", _script),
    "mlserver": Peer("MLServer", "mlserver orjson", MLSERVER, EVERY[:2], "/v2/models/m/ready", _mlserver),
    "kserve": Peer("KServe", "kserve orjson", KSERVE, EVERY, "/v2/models/m/ready", _script),
    "bentoml": Peer("BentoML", "bentoml orjson", BENTOML, EVERY[3:], "/readyz", _bentoml),
    "litserve": Peer("LitServe", "litserve orjson", LITSERVE, EVERY[3:], "/health", _script),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
