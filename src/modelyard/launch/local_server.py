"""Start a runtime's own server here, on a model in a folder, without an image: as `doit serve` does, and metrics."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ServerFacts
from modelyard.errors import StageFailed, ToolError
from modelyard.launch import ready
from modelyard.launch.handlers import setting
from modelyard.launch.local_broker import free_port
from modelyard.launch.protocols import HEADER_LENGTH, answered, infer
from modelyard.launch.python_server import environment, packages
from modelyard.stage_settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from modelyard.artifacts import Model
    from modelyard.component import Use
    from modelyard.launch.handlers import Handlers
    from modelyard.tensors import OutputFacts

_NAME = "model"
_POLL_S = 0.02
_READY_S = 120.0
_STOP_S = 15.0
_ANSWER_S = 60.0


@dataclass(frozen=True)
class LocalServer:
    """A server that runs here and is ready.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
        pid: its process.
        outputs: what the model answers.
    """

    url: str
    pid: int
    outputs: Sequence[OutputFacts]

    def ask(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Ask by the Open Inference Protocol, over HTTP, for raw samples by input, each of shape `(N, *shape)`.

        Raises:
            StageFailed: the server refused, or did not answer.
        """
        return infer(self._exchange, _NAME, inputs, self.outputs)

    def _exchange(self, path: str, body: object) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
                return answered(answer.read(), answer.headers[HEADER_LENGTH])
        except urllib.error.HTTPError as exc:
            msg = f"{path}: the model's server answered {exc.code}: {exc.read(500).decode(errors='replace')}"
            raise StageFailed(msg) from exc
        except OSError as exc:
            msg = f"{path}: the model's server did not answer: {exc}\n  its output is in the log"
            raise StageFailed(msg) from exc


def command(runtime: Use) -> list[str]:
    """Return the command that starts the server of `runtime` here."""
    return [sys.executable if word == "python3" else word for word in runtime.component.entrypoint]


def prepare(
    runtime: Use,
    settings: ServerSettings,
    model: Path,
    folder: Path,
    source: Use | None = None,
    handlers: Handlers | None = None,
    beside: Path | None = None,
) -> dict[str, str]:
    """Put the packages of the server of `runtime` into `folder`, and return the variables that it is told its settings by.

    Args:
        runtime: the runtime.
        settings: what is known of the server.
        model: the folder with `model.json` and the model.
        folder: a new folder, which Python is told to import from.
        source: where the server takes events from, if it does.
        handlers: what stands around the model.
        beside: the folder with their code, see `handlers.lay_out`; None: there are none.

    Raises:
        ToolError: the runtime has no server outside of its image.
    """
    if runtime.component.server is None:
        msg = (
            f"the server of the runtime {runtime.component.name!r} is in its image, not here\n"
            "  run `doit image`, then start the image, for instance with `docker run`"
        )
        raise ToolError(msg)
    for name, package in packages(runtime.component, source, beside).items():
        Path(folder, name).symlink_to(package)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    told = environment(settings, runtime, source) | setting(handlers or {})
    return {**told, "MODELYARD_MODEL_DIR": str(model), "PYTHONPATH": path}


@contextlib.contextmanager
def serving(runtime: Use, model: Model) -> Iterator[LocalServer]:
    """Start the server of `runtime` on `model` on a free port, wait until it is ready, and stop it at the end.

    Its settings are those of an image, but that it notes no single request: variables of this process that are called `MODELYARD_...` do not reach it. What it
    prints is where this process prints: in a stage, the stage's log.

    Args:
        runtime: the runtime.
        model: the model.

    Raises:
        StageFailed: the server ended before it was ready, or was not in two minutes.
        ToolError: the runtime has no server outside of its image.
    """
    port = free_port()
    own = {key: value for key, value in os.environ.items() if not key.startswith("MODELYARD_")}
    local = {"MODELYARD_HOST": "127.0.0.1", "MODELYARD_DRAIN_S": "0", "MODELYARD_LOG_LEVEL": "warning"}
    with tempfile.TemporaryDirectory(prefix="modelyard-serve-") as folder:
        variables = prepare(runtime, ServerSettings(name=_NAME, port=port), model.folder, Path(folder))
        variables.pop("MODELYARD_GRPC_PORT", None)  # nobody asks by it, and it may be taken on this machine
        process = subprocess.Popen(command(runtime), env={**own, **variables, **local}, stdin=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}{ServerFacts().ready}", process)
            yield LocalServer(f"http://127.0.0.1:{port}", process.pid, model.facts.outputs)
        finally:
            _stop(process)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    if ready.wait(url, lambda: process.poll() is None, _READY_S, _POLL_S):
        return
    code = process.poll()
    what = f"is not ready after {_READY_S:g} s" if code is None else f"ended with exit code {code} before it was ready"
    msg = f"the model's server {what}\n  its output is in the log"
    raise StageFailed(msg)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_S)
    process.kill()
    process.wait()
