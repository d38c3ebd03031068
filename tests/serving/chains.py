"""Handlers as an image has them, named by a module that can be imported, and a model for them to stand around."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Handler, Place
from modelyard.serving.model import Facts
from modelyard.serving.tensor_facts import BYTES, Input, Output

PLACE = Place()
TEXT = Tensor("text", "bytes")


def facts(inputs: Sequence[Any] = (("counts", (3,)),), outputs: Sequence[Any] = (("probabilities", (3,)),)) -> Facts:
    taken = tuple(Input(name, np.dtype(np.float32), shape) for name, shape in inputs)
    given = tuple(Output(name, np.dtype(np.float32), shape, labels=("a", "b", "c")) for name, shape in outputs)
    return Facts(Path("model.onnx"), "onnx", taken, given)


def counted(data: bytes) -> list[int]:
    if not data:
        msg = "the text is empty"
        raise ValueError(msg)
    return [data.count(letter) for letter in b"abc"]


def count(place: Place) -> Any:
    """Letters of a text."""
    gives = place.tensor("counts", "float32", [3])
    return place.handler(lambda given: {"counts": [counted(one) for one in given["text"]]}, [TEXT], [gives])


def largest(place: Place) -> Any:
    """The name of the largest number, and the numbers."""
    names = place.labels.get("probabilities", ())
    scores = place.tensor("probabilities", shape=("classes",))

    def run(given: Any) -> dict[str, Any]:
        found = given["probabilities"]
        return {"label": [names[row.argmax()] for row in found], "probabilities": found}

    return place.handler(run, [scores], [place.tensor("label", "bytes"), scores])


def gaps(place: Place) -> Handler:
    """A number of which some may be missing, and whether it is."""
    takes, gives = place.tensor("age", may_miss=True), place.tensor("counts", shape=[3])
    return place.handler(lambda given: {"counts": np.isnan(given["age"])[:, None].repeat(3, 1)}, [takes], [gives])


def nothing(_place: Place) -> int:
    return 1


class Same:
    """A model that answers what it gets, and notes how many samples came at once."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        (array,) = inputs.values()
        self.rows.append(len(array))
        return {"probabilities": np.asarray(array, np.float32)}


def spec(**sides: Any) -> str:
    steps = {
        side: [{"open": f"{__name__}:{one}", "name": one, "params": {}} for one in sides.get(side, ())]
        for side in ("before", "after")
    }
    return json.dumps(steps)


def texts(*values: bytes) -> dict[str, np.ndarray]:
    array = np.empty(len(values), BYTES)
    array[:] = values
    return {"text": array}
