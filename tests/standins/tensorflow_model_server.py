#!/usr/bin/env python3
"""A STAND-IN for `tensorflow_model_server`, which cannot be had where these tests run: it runs no model.

It takes the real program's flags and files, refuses what that refuses, and speaks its REST API as the recorded answers
in tensorflow/serving have it (status, metadata, predict, errors). Predictions come from a table, `answers.json` beside
it: the SHA-256 of a sample's JSON -> probabilities. With it the layout of an image, its flags, user, ports and read-only
root are tested, and all that stands in front of the server; the SavedModel itself is tested in TensorFlow.

It needs Python 3.9 and nothing else, so that it runs in a small base image.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Source: tensorflow_serving/model_servers/main.cc, 2.20 (those that modelyard may use)
FLAGS = {
    "port", "rest_api_port", "rest_api_timeout_in_ms", "rest_api_num_threads", "model_config_file", "enable_batching",
    "batching_parameters_file", "monitoring_config_file", "file_system_poll_wait_seconds", "max_num_load_retries",
    "tensorflow_session_parallelism",
}  # fmt: skip


def main(words: Any) -> None:
    flags = dict(word[2:].split("=", 1) for word in words)
    unknown = set(flags) - FLAGS
    if unknown or not all(word.startswith("--") for word in words):
        sys.exit(f"unknown flags: {sorted(unknown)}")
    if "batching_parameters_file" in flags and flags.get("enable_batching") != "true":
        sys.exit("batching_parameters_file is set without setting enable_batching to true.")
    for name in ("monitoring_config_file", "batching_parameters_file"):
        if name in flags:
            assert Path(flags[name]).read_text().strip(), name
    name, base, version = read_models(Path(flags["model_config_file"]).read_text())
    if not Path(base, version, "saved_model.pb").is_file():
        sys.exit(f"No versions of servable {name} found under base path {base}")
    print(json.dumps({"stand_in": True, "uid": os.getuid(), "read_only": is_read_only()}), flush=True)
    table = json.loads(Path(__file__).resolve().with_name("answers.json").read_text())
    serve(int(flags["rest_api_port"]), name, version, table)


def read_models(text: str) -> tuple[str, str, str]:
    """Return name, base path and version of the one model in a ModelServerConfig."""
    name, base = (value_of(rf'^\s*{key}: "([^"]+)"$', text) for key in ("name", "base_path"))
    return name, base, value_of(r"versions: (\d+)", text)


def value_of(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found, pattern
    return found[1]


def is_read_only() -> bool:
    try:
        Path("/written").touch()
    except OSError:
        return True
    return False


def key_of(sample: Any) -> Any:
    """Return what stands for a sample in the table."""
    return hashlib.sha256(json.dumps(sample).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body that is written after its headers waits for their ACK, 40 ms

    def do_GET(self) -> Any:
        name, version = self.server.model
        found = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?", self.path)
        if not found:
            return self.refuse(self.path)
        if found[1] != name or found[2] not in (None, version):
            which = f"Specific({name}, {found[2]})" if found[2] else f"Latest({found[1]})"
            return self.answer(404, {"error": f"Servable not found for request: {which}"})
        return self.answer(200, metadata_of(name, version) if found[3] else status_of(version))

    def do_POST(self) -> Any:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.lower() != f"/v1/models/{self.server.model[0]}:predict":
            return self.refuse(self.path)
        try:
            samples = json.loads(body)["instances"]
        except ValueError:
            return self.answer(400, {"error": "JSON Parse error: Invalid value. at offset: 0"})
        except KeyError:
            return self.answer(400, {"error": "Missing 'inputs' or 'instances' key"})
        rows = [self.server.table.get(key_of(sample)) for sample in samples]
        if None in rows:
            return self.answer(400, {"error": "the stand-in has no answer for this sample"})
        return self.answer(200, {"predictions": rows})

    def refuse(self, path: Any) -> Any:
        if path.startswith("/v1/"):
            return self.answer(400, {"error": f"Malformed request: {self.command} {path}"})
        return self.answer(404, None)

    def answer(self, code: Any, value: Any) -> None:
        data = b"" if value is None else json.dumps(value, indent=4).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if data else "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        self.server.seen.append((self.command, self.path, dict(self.headers)))


def status_of(version: str) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": version, "state": "AVAILABLE", "status": status}]}


def metadata_of(name: str, version: str) -> dict[str, Any]:
    tensor = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}
    signature = {"inputs": {"input": {**tensor, "name": "serving_default_input:0"}}, "outputs": {},
                 "method_name": "tensorflow/serving/predict", "defaults": {}}  # fmt: skip
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }


class StandIn(ThreadingHTTPServer):
    """Answers for the `model`, a name and a version, from the `table`; `seen` holds the requests that it got."""

    model: tuple[str, str]
    table: dict[str, Any]
    seen: list[tuple[str, str, dict[str, str]]]


def server(port: int, name: str, version: str, table: dict[str, Any], host: str = "0.0.0.0") -> StandIn:
    """Return the stand-in as a server that is not started."""
    made = StandIn((host, port), Handler)
    made.model, made.table, made.seen = (name, version), table, []
    return made


def serve(port: int, name: str, version: str, table: Any) -> None:
    server(port, name, version, table).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
