"""Runtime `onnxruntime`: ONNX Runtime behind TF Serving's REST API and the Open Inference Protocol v2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import modelyard
from modelyard import hookimpl
from modelyard.params import PositiveInt
from modelyard_plugins.support.ports import HighPort

if TYPE_CHECKING:
    from modelyard.contexts import Predictor
    from modelyard.hookspecs import RegisterRuntime

_SERVER = Path(modelyard.__file__).parent / "serving"
_REQUIREMENTS = Path(__file__).with_name("onnxruntime-requirements.txt")
_GRPC_REQUIREMENTS = Path(__file__).with_name("grpc-requirements.txt")
_OIDC_REQUIREMENTS = Path(__file__).with_name("oidc-requirements.txt")


def onnxruntime(
    model: Path,
    *,
    threads: PositiveInt = 1,
    batching: Literal["auto", "on", "off"] = "auto",  # noqa: ARG001 - the server's
    grpc_port: HighPort | None = None,  # noqa: ARG001 - the server's
    events_oidc: bool = False,  # noqa: ARG001 - the server's
) -> Predictor:
    """ONNX Runtime on the CPU, served over TF Serving's REST API and the Open Inference Protocol v2.

    Args:
        model: the folder with model.json and the model
        threads: threads that one prediction uses
        batching: whether requests that wait are predicted together; `auto`: where that is measured to pay when a server starts
        grpc_port: the port for gRPC; without it, gRPC is not spoken, and what it needs is not in the image
        events_oidc: have what checks the tokens of OpenID Connect in the image, for MODELYARD_EVENTS_AUTH=oidc
    """
    from modelyard.serving.backends.onnxruntime import open_model

    return open_model(model, threads=threads)


@hookimpl
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register the runtime `onnxruntime`."""
    register(
        "onnxruntime",
        onnxruntime,
        accepts=("onnx",),
        server=_SERVER,
        requirements=_REQUIREMENTS,
        optional_requirements={"grpc_port": _GRPC_REQUIREMENTS, "events_oidc": _OIDC_REQUIREMENTS},
        serving_only=("batching", "grpc_port", "events_oidc"),
        entrypoint=("python3", "-m", "modelyard_serving"),
        server_environment={"MODELYARD_BACKEND": "onnxruntime"},
        tools=("onnxruntime", "numpy"),
        preload=("modelyard.serving.backends.onnxruntime",),
        deterministic=True,  # it computes on the CPU
    )
