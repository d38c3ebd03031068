"""Requests that were changed at random, to models of several tensors, of lengths that vary and of texts.

Each is read, and then holds samples that fit the model and an answer that can be written, or is refused in words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import InputError, RequestError
from modelyard.serving.events import payload
from modelyard.serving.events.event import Event
from modelyard.serving.limits import Limits
from modelyard.serving.messages import Request
from modelyard.serving.model import Facts
from modelyard.serving.oip.http import OpenInference
from modelyard.serving.served import Served
from modelyard.serving.tensors import TensorError, texts
from modelyard.serving.tfserving.http import TFServing
from tests.serving.named_models import NOTES_FACTS, TEXTS_FACTS, sample

from .mutations import changed, rounds

pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import oip, tfserving, wire

COUNT = 1500
LIMITS = Limits(1 << 22, 1 << 26, 1 << 22)
KINDS = {"ids": "INT64", "weights": "FP32"}
WORDS = [b"hello", b"", "wörd".encode()]
Ask = Callable[[Served, bytes], Any]


def served(facts: dict[str, Any], folder: Path) -> Served:
    (folder / "model.onnx").touch()
    (folder / "model.json").write_text(json.dumps(facts))
    return Served("m", "1", Facts.read(folder), 8, 16, 1 << 20)


def over(protocol: Any, path: str, headers: dict[bytes, bytes] | None = None) -> Ask:
    """Return what reads a body as HTTP brings it."""

    def ask(model: Served, body: bytes) -> Any:
        more = () if protocol is TFServing else (lambda: True,)
        return protocol(model, LIMITS, *more).answer(Request("POST", path, dict(headers or {}), body=body))

    return ask


def over_grpc(kind: Any) -> Ask:
    return lambda model, body: kind(model, LIMITS, Request("POST", "/", {}, body=body))


def over_event(media_type: str) -> Ask:
    return lambda model, body: Asked(model, body, media_type)


class Asked:
    """An event's data, with the two methods that are looked at."""

    def __init__(self, model: Served, body: bytes, media_type: str) -> None:
        self._model, self._event = model, Event({"datacontenttype": media_type}, body)

    def read(self) -> Any:
        self._asked = payload.read(self._event, self._model, LIMITS)
        return self._asked.samples

    def answer(self, outputs: Any) -> Any:
        return json.loads(self._asked.answer(outputs))


def entry(key: str, value: bytes) -> bytes:
    return wire.blob(2, wire.text(1, key) + wire.blob(2, value))


def tensors(samples: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": KINDS[name], "shape": list(one.shape), "data": one.tolist()}
        for name, one in samples.items()
    ]


def binary(samples: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    heads = [
        {
            "name": name,
            "datatype": KINDS[name],
            "shape": list(one.shape),
            "parameters": {"binary_data_size": one.nbytes},
        }
        for name, one in samples.items()
    ]
    return json.dumps({"inputs": heads, "outputs": [{"name": "note"}]}).encode(), b"".join(
        one.tobytes() for one in samples.values()
    )


def inference(samples: dict[str, np.ndarray], *, raw: bool) -> bytes:
    fields = [wire.text(1, "m")]
    for name, one in samples.items():
        said = wire.text(1, name) + wire.text(2, KINDS[name]) + wire.whole_numbers(3, one.shape)
        number, packed = (3, wire.packed_integers(one)) if name == "ids" else (6, one.tobytes())
        fields.append(wire.blob(5, said + (b"" if raw else wire.blob(5, wire.blob(number, packed)))))
    fields += [wire.blob(6, wire.text(1, name)) for name in ("count", "note")]
    return b"".join(fields + ([wire.blob(7, one.tobytes()) for one in samples.values()] if raw else []))


def prediction(samples: dict[str, np.ndarray]) -> bytes:
    fields = [wire.blob(1, wire.text(1, "m"))]
    for name, one in samples.items():
        shape = b"".join(wire.blob(2, wire.whole(1, size)) for size in one.shape)
        kind, number, packed = (9, 10, wire.packed_integers(one)) if name == "ids" else (1, 5, one.tobytes())
        fields.append(entry(name, wire.whole(1, kind) + wire.blob(2, shape) + wire.blob(number, packed)))
    return b"".join([*fields, wire.text(3, "note")])


def predicted_texts() -> bytes:
    shape = wire.blob(2, wire.blob(2, wire.whole(1, len(WORDS))))
    return wire.blob(1, wire.text(1, "m")) + entry(
        "text", wire.whole(1, 7) + shape + b"".join(wire.blob(8, word) for word in WORDS)
    )


SAMPLES = sample(2, 3)
HEAD, DATA = binary(SAMPLES)
ROWS = [{"ids": [1, 2], "weights": [[0.5, 1], [2, 3]]}] * 2
SAID = [word.decode() for word in WORDS]
PREDICT, INFER = "/v1/models/m:predict", "/v2/models/m/infer"
TEXT = {"name": "text", "datatype": "BYTES", "shape": [3], "data": SAID}
TEXT_DATA = b"".join(len(word).to_bytes(4, "little") + word for word in WORDS)
TEXT_HEAD = json.dumps(
    {"inputs": [TEXT | {"parameters": {"binary_data_size": len(TEXT_DATA)}}], "parameters": {"binary_data_output": True}}
).encode().replace(b', "data": ["hello", "", "w\\u00f6rd"]', b"")  # fmt: skip


def with_head(head: bytes) -> dict[bytes, bytes]:
    return {b"inference-header-content-length": b"%d" % len(head)}


SEEDS: dict[str, tuple[dict[str, Any], Ask, bytes]] = {
    "rows": (NOTES_FACTS, over(TFServing, PREDICT), json.dumps({"instances": ROWS}).encode()),
    "columns": (
        NOTES_FACTS,
        over(TFServing, PREDICT),
        json.dumps({"inputs": {name: one.tolist() for name, one in SAMPLES.items()}}).encode(),
    ),
    "infer": (NOTES_FACTS, over(OpenInference, INFER), json.dumps({"inputs": tensors(SAMPLES)}).encode()),
    "binary": (NOTES_FACTS, over(OpenInference, INFER, with_head(HEAD)), HEAD + DATA),
    "grpc raw": (NOTES_FACTS, over_grpc(oip.ModelInfer), inference(SAMPLES, raw=True)),
    "grpc contents": (NOTES_FACTS, over_grpc(oip.ModelInfer), inference(SAMPLES, raw=False)),
    "grpc predict": (NOTES_FACTS, over_grpc(tfserving.Predict), prediction(SAMPLES)),
    "event": (NOTES_FACTS, over_event("application/json"), json.dumps({"inputs": tensors(SAMPLES)}).encode()),
    "texts": (TEXTS_FACTS, over(TFServing, PREDICT), json.dumps({"instances": [*SAID, {"b64": "AAAA"}]}).encode()),
    "texts infer": (TEXTS_FACTS, over(OpenInference, INFER), json.dumps({"inputs": [TEXT]}).encode()),
    "texts binary": (TEXTS_FACTS, over(OpenInference, INFER, with_head(TEXT_HEAD)), TEXT_HEAD + TEXT_DATA),
    "texts grpc": (TEXTS_FACTS, over_grpc(tfserving.Predict), predicted_texts()),
    "texts event": (TEXTS_FACTS, over_event("application/octet-stream"), b"hello"),
}


def outputs_for(model: Served, samples: dict[str, np.ndarray], dice: random.Random) -> dict[str, np.ndarray]:
    """Return an answer of the right shapes, for samples whose shapes are looked at on the way."""
    lengths: dict[str, int] = {}
    rows = len(next(iter(samples.values())))
    assert 1 <= rows <= 8
    model.facts.samples(samples)
    for name, spec in model.inputs.items():
        assert samples[name].dtype == spec.dtype
        lengths |= dict(zip(spec.shape, samples[name].shape[1:], strict=True))
        assert all(type(one) is bytes for one in samples[name].ravel().tolist()) or not spec.is_text
    found = {}
    for name, spec in model.outputs.items():
        shape = (rows, *(axis if isinstance(axis, int) else lengths[axis] for axis in spec.shape))
        size = int(np.prod(shape))
        found[name] = (
            texts([dice.choice((b"a", b"b")) for _ in range(size)]).reshape(shape)
            if spec.is_text
            else np.ones(shape, spec.dtype)
        )
    return found


def refusal(ask: Ask, model: Served, body: bytes, dice: random.Random) -> str:
    """Return the words of the refusal, or an empty string; anything else that is raised is a fault."""
    try:
        work = ask(model, body)
        work.answer(outputs_for(model, work.read(), dice))
    except (RequestError, TensorError, InputError) as exc:
        return str(exc) or "?"
    return ""


@pytest.mark.parametrize("name", SEEDS)
def test_what_was_changed_is_answered_or_refused(name: str, tmp_path: Path) -> None:
    facts, ask, body = SEEDS[name]
    model = served(facts, tmp_path)
    assert refusal(ask, model, body, random.Random(0)) == ""

    said = [refusal(ask, model, changed(body, dice), dice) for dice in rounds(COUNT)]

    assert "?" not in said
    assert said.count("") > 5
    assert len(set(said)) > 10 or name == "texts event"  # any bytes are a text there
