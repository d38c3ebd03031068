"""Runtime `onnxruntime`: ONNX Runtime behind TF Serving's REST API and the Open Inference Protocol v2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.own_server import OWN_SERVER, OwnServer, in_words

if TYPE_CHECKING:
    from modelyard.contexts import Predictor
    from modelyard.hookspecs import RegisterRuntime

_REQUIREMENTS = Path(__file__).with_name("onnxruntime-requirements.txt")


def onnxruntime(model: Path, *, params: OwnServer) -> Predictor:
    """ONNX Runtime on the CPU, served over TF Serving's REST API and the Open Inference Protocol v2.

    Args:
        model: the folder with model.json and the model
        params: see `OwnServer`
    """
    from modelyard.serving.backends.onnxruntime import open_model

    with in_words("ONNX Runtime"):
        return open_model(model, threads=params.threads)


@hookimpl
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register the runtime `onnxruntime`."""
    register(
        "onnxruntime",
        onnxruntime,
        accepts=("onnx",),
        requirements=_REQUIREMENTS,
        server_environment={"MODELYARD_BACKEND": "onnxruntime"},
        tools=("onnxruntime", "numpy"),
        preload=("modelyard.serving.backends.onnxruntime",),
        **OWN_SERVER,
    )
