"""A model as the protocols show it, of the tensors that a test names; there is no file of it, and nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.serving.limits import Limits
from modelyard.serving.model import Facts
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import BYTES, Input, Output

LIMITS = Limits(body=1 << 20)
PIXELS = Input("pixels", np.dtype("uint8"), (2,), value_range=(0, 16))
WEIGHTS = Input("weights", np.dtype("float32"), ("t",))
TEXT = Input("text", BYTES, ())
SCORES = Output("scores", np.dtype("float32"), (3,), labels=("cat", "dog", "owl"))
KIND = Output("kind", BYTES, ())


def served(
    inputs: Sequence[Input] = (PIXELS,),
    outputs: Sequence[Output] = (SCORES,),
    *,
    name: str = "net",
    version: str = "1",
    format: str = "onnx",  # noqa: A002
    extra: dict[str, Any] | None = None,
    **more: Any,
) -> Served:
    facts = Facts(Path("m"), format, tuple(inputs), tuple(outputs), extra=extra or {})
    return Served(name, version, facts, **more)
