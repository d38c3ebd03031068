"""Runtime `tensorflow-serving`: TensorFlow Serving, as its own image brings it; here the SavedModel runs in TensorFlow.

Source: TensorFlow Serving 2.20, main.cc (flags), model_server_config.proto, monitoring_config.proto,
session_bundle_config.proto.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard import hookimpl
from modelyard.artifacts import ServerFacts
from modelyard.contexts import Problem, ServerImage
from modelyard.errors import StageFailed
from modelyard.params import PositiveFloat, PositiveInt
from modelyard_plugins.support.ports import HighPort
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Model
    from modelyard.contexts import CheckContext, Predictor, ServerContext
    from modelyard.hookspecs import RegisterRuntime

BASE = "tensorflow/serving:2.20.0"
PROGRAM = "/usr/bin/tensorflow_model_server"
CONFIG = "/etc/tensorflow-serving"
METRICS = "/monitoring/prometheus/metrics"
SERVING_ONLY = (
    "model_version", "rest_port", "grpc_port", "rest_timeout_ms", "metrics",
    "batching", "max_batch_size", "batch_timeout_ms", "max_enqueued_batches", "batch_threads",
)  # fmt: skip
"""What shapes the server and its requests, and no answer: here the SavedModel runs without a server, on `threads` alone."""


class ServingParams(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime takes.

    Attributes:
        model_version: the version of the model in the image, and in its URLs
        threads: threads that the server computes with, for all requests together
        rest_port: the port for REST
        grpc_port: the port for gRPC
        rest_timeout_ms: how long a REST request may take
        metrics: answer Prometheus at /monitoring/prometheus/metrics, on the port for REST
        batching: let the server join requests that come at the same time
        max_batch_size: with batching, how many samples it joins at most; a larger request is refused
        batch_timeout_ms: with batching, how long it waits for more samples
        max_enqueued_batches: with batching, how many batches may wait; one more is refused
        batch_threads: with batching, how many batches run at once
    """

    model_version: PositiveInt = 1
    threads: PositiveInt = 1
    rest_port: HighPort = 8501
    grpc_port: HighPort = 8500
    rest_timeout_ms: PositiveInt = 30_000
    metrics: bool = True
    batching: bool = False
    max_batch_size: PositiveInt = 32
    batch_timeout_ms: PositiveFloat = 1.0
    max_enqueued_batches: PositiveInt = 100
    batch_threads: PositiveInt = 1


def tensorflow_serving(model: Path, *, params: ServingParams) -> Predictor:
    """TensorFlow Serving, from its own image, over REST and gRPC.

    Args:
        model: the folder with model.json and the SavedModel
        params: the configuration
    """
    import tensorflow as tf

    from modelyard.artifacts import Model

    _check_rows(Model.open(model))
    tf.config.threading.set_intra_op_parallelism_threads(params.threads)
    tf.config.threading.set_inter_op_parallelism_threads(params.threads)
    return _SavedModel(Model.open(model))


def _check_rows(model: Model) -> None:
    """Check that each answer has a row for each sample: REST's row format is made of nothing else.

    Raises:
        StageFailed: one has no axis of the batch.
    """
    for one in model.facts.outputs:
        if one.batch_axis is None:
            msg = (
                f"{model.path}: the output {one.name!r} has no axis of the batch, and TensorFlow Serving answers a row for each sample\n"
                "  let the model answer one, or choose another runtime, for instance onnxruntime or litert"
            )
            raise StageFailed(msg)


class _SavedModel:
    """A SavedModel that TensorFlow has loaded: the graph that the server runs, asked through its signature."""

    def __init__(self, model: Model) -> None:
        from modelyard_plugins.support.keras.saved_model import load_signature

        self._signature, self._facts = load_signature(model), model.facts

    def predict(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what clients get, float32, shape `(N, *output_shape)`, for raw samples of shape `(N, *input_shape)`."""
        answer: NDArray[np.float32] = self.run({self._facts.input.name: raw})[self._facts.answer.name]
        return answer

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by name, each of shape `(N, *shape)`, for raw samples by input, each of shape `(N, *shape)`."""
        import numpy as np
        import tensorflow as tf

        from modelyard_plugins.support.keras.saved_model import taken

        kinds = taken(self._facts)
        given = {
            name: tf.constant(np.asarray(inputs[one.name], None if one.dtype == "bytes" else one.dtype))
            for name, one in kinds.items()
        }
        answers = self._signature(**given)
        return {one.name: answers[one.tensor or one.name].numpy() for one in self._facts.outputs}


def image(context: ServerContext, *, params: ServingParams) -> ServerImage:
    """Say what TensorFlow Serving needs beside its own image: the versioned models, and its configuration."""
    models = {(one.name, one.version or params.model_version): one.model for one in context.models}
    places: dict[str, Path] = {}
    for (name, version), model in models.items():
        folder = f"/models/{name}/{version}"
        # `assets.extra` is where a SavedModel carries what is not TensorFlow's
        places |= {folder: model.path, f"{folder}/assets.extra/model.json": model.folder / "model.json"}
    files = configuration(models, params)
    name, version = next(iter(models))  # the server listens when all are there
    server = context.out / "server"
    server.mkdir()
    for file, text in files.items():
        (server / file).write_text(text, encoding="utf-8", newline="\n")
    return ServerImage(
        entrypoint=(PROGRAM, *flags(params)),
        server={f"{CONFIG}/{file}": server / file for file in files},
        model=places,
        port=params.rest_port,
        facts=ServerFacts(
            live=f"/v1/models/{name}",  # 200 whatever state the model is in
            ready=f"/v1/models/{name}/versions/{version}/metadata",  # 404 until that version can be asked
            protocols=("v1",),
            grpc_port=params.grpc_port,
            timeout_s=math.ceil(params.rest_timeout_ms / 1000) + 1,
        ),
    )


def check(_context: CheckContext, *, params: ServingParams) -> Iterator[Problem]:
    """Yield what is wrong with the two ports."""
    if params.rest_port == params.grpc_port:
        why = f"rest_port is {params.rest_port}, too: TensorFlow Serving would leave REST out"
        yield Problem("grpc_port", why, "allowed: any other port from 1024 to 65535")


def configuration(models: Iterable[tuple[str, int]], params: ServingParams) -> dict[str, str]:
    """Return the server's configuration files, text protos, by file name, for models by name and version."""
    files = {"models.config": _models(models)}
    if params.metrics:
        files["monitoring.config"] = f'prometheus_config {{\n  enable: true\n  path: "{METRICS}"\n}}\n'
    if params.batching:
        files["batching.config"] = _batching(params)
    return files


def _models(models: Iterable[tuple[str, int]]) -> str:
    versions: dict[str, list[int]] = {}
    for name, version in models:
        versions.setdefault(name, []).append(version)
    each = "".join(_model(name, sorted(found)) for name, found in versions.items())
    return f"model_config_list {{\n{each}}}\n"


def _model(name: str, versions: Iterable[int]) -> str:
    served = "".join(f"        versions: {version}\n" for version in versions)
    return f"""\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{
      specific {{
{served}      }}
    }}
  }}
"""


def _batching(params: ServingParams) -> str:
    values = {
        "max_batch_size": params.max_batch_size,
        "batch_timeout_micros": round(params.batch_timeout_ms * 1000),
        "max_enqueued_batches": params.max_enqueued_batches,
        "num_batch_threads": params.batch_threads,
    }
    return "".join(f"{name} {{\n  value: {value}\n}}\n" for name, value in values.items())


def flags(params: ServingParams) -> list[str]:
    """Return the flags of `tensorflow_model_server`."""
    values = {
        "port": params.grpc_port,
        "rest_api_port": params.rest_port,
        "rest_api_timeout_in_ms": params.rest_timeout_ms,
        "model_config_file": f"{CONFIG}/models.config",
        "file_system_poll_wait_seconds": 0,  # look once: the model in an image never changes
        "max_num_load_retries": 0,  # a model that cannot be loaded now never can: end, and say so
        "tensorflow_session_parallelism": params.threads,
    }
    if params.metrics:
        values["monitoring_config_file"] = f"{CONFIG}/monitoring.config"
    if params.batching:
        values |= {"enable_batching": "true", "batching_parameters_file": f"{CONFIG}/batching.config"}
    return [f"--{name}={value}" for name, value in values.items()]


@hookimpl
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register the runtime `tensorflow-serving`."""
    # the server runs whatever kernels it has: nothing here makes them deterministic
    traits = TENSORFLOW | {"tools": ("tensorflow", "numpy"), "deterministic": False}
    register(
        "tensorflow-serving",
        tensorflow_serving,
        accepts=("saved_model",),
        image=image,
        base=BASE,
        reads_settings=False,
        check=check,
        serving_only=SERVING_ONLY,
        serves_several=True,
        **traits,
    )
