"""Runtime `litert`: LiteRT (TensorFlow Lite) behind TF Serving's REST API and the Open Inference Protocol v2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.own_server import OWN_SERVER, OwnServer, in_words

if TYPE_CHECKING:
    from modelyard.contexts import Predictor
    from modelyard.hookspecs import RegisterRuntime

_REQUIREMENTS = Path(__file__).with_name("litert-requirements.txt")


def litert(model: Path, *, params: OwnServer) -> Predictor:
    """LiteRT on the CPU, served over TF Serving's REST API and the Open Inference Protocol v2.

    Args:
        model: the folder with model.json and the model
        params: see `OwnServer`
    """
    from modelyard.serving.backends.litert import open_model

    with in_words("LiteRT"):
        return open_model(model, threads=params.threads)


@hookimpl
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register the runtime `litert`."""
    register(
        "litert",
        litert,
        accepts=("tflite",),
        requirements=_REQUIREMENTS,
        tools=("ai-edge-litert", "numpy"),
        preload=("modelyard.serving.backends.litert",),
        **OWN_SERVER,
    )
