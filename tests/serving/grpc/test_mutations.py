"""Messages with a few bytes changed: each is answered, or refused as the client's mistake."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import RequestError
from modelyard.serving.limits import Limits
from modelyard.serving.messages import Request
from modelyard.serving.model import Facts
from modelyard.serving.served import Served
from modelyard.serving.tensors import TensorError

pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import oip, tfserving, wire

SHAPE, VALUES = [2, 8, 8, 1], b"\3" * 128


def entry(number: int, key: Any, value: Any) -> Any:
    return wire.blob(number, wire.text(1, key) + wire.blob(2, value))


def inference(contents: bytes = b"", more: bytes = b"") -> Any:
    said = wire.text(1, "input") + wire.text(2, "UINT8") + wire.whole_numbers(3, SHAPE)
    parameters = entry(4, "timeout", wire.whole(2, 5)) + entry(4, "priority", b"\x28\0")
    wanted = wire.text(1, "probabilities") + entry(2, "classification", wire.whole(2, 3))
    tensor = wire.blob(5, said + (wire.blob(5, contents) if contents else b""))
    return wire.text(1, "digits") + wire.text(3, "7") + parameters + tensor + wire.blob(6, wanted) + more


def prediction(values: Any) -> Any:
    shape = b"".join(wire.blob(2, wire.whole(1, size)) for size in SHAPE)
    spec = wire.text(1, "digits") + wire.blob(2, wire.whole(1, 1)) + wire.text(3, "serving_default")
    tensor = wire.whole(1, 4) + wire.blob(2, shape) + values
    return wire.blob(1, spec) + entry(2, "input", tensor) + wire.text(3, "probabilities")


SEEDS = [
    (oip.ModelInfer, inference(more=wire.blob(7, VALUES))),
    (oip.ModelInfer, inference(wire.blob(4, VALUES))),
    (tfserving.Predict, prediction(wire.blob(4, VALUES))),
    (tfserving.Predict, prediction(wire.blob(7, b"\3\4"))),
]


@pytest.fixture(scope="module")
def served(models: Path) -> Served:
    return Served("digits", "1", Facts.read(models / "float32"), 32)


def answer(served: Any, kind: Any, message: Any) -> int:
    """Return the number of samples that are answered."""
    work = kind(served, Limits.of(served.inputs.values(), 32, 1 << 25, 1 << 28), Request("POST", "/", {}, body=message))
    (samples,) = work.read().values()
    assert (samples.shape[1:], samples.dtype) == ((8, 8, 1), np.uint8)
    assert work.answer({"probabilities": np.full((len(samples), 10), 0.1, np.float32)}).status == 200
    return len(samples)


def changed(chance: Any, message: Any) -> bytes:
    data = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(data))
        how = chance.randrange(4)
        if how == 0:
            data[place] = chance.randrange(256)
        elif how == 1:
            del data[place : place + chance.randrange(1, 5)]
        elif how == 2:
            data[place:place] = chance.randbytes(chance.randrange(1, 12))
        else:
            data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_what_was_changed_is_answered_or_refused(served: Served, number: int) -> None:
    kind, message = SEEDS[number]
    assert answer(served, kind, message) == 2
    chance, refused, answered = random.Random(number), 0, 0
    for _ in range(1500):
        try:
            answer(served, kind, changed(chance, message))
            answered += 1
        except (RequestError, TensorError):
            refused += 1
    assert answered > 5
    assert refused > 500
