"""Models that take and answer texts, over both protocols."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.serving import named_models
from tests.serving.conftest import Running
from tests.serving.named_models import WORDS, write_texts
from tests.serving.raw import INFER
from tests.serving.servers import PREDICT

pytest.importorskip("onnx", reason="needs onnx, to write the models")


@pytest.fixture(scope="module")
def texts(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    folder = write_texts(tmp_path_factory.mktemp("named") / "texts")
    with start(folder, BACKEND="onnxruntime", GRPC_PORT="0") as running:
        yield running


def test_texts_in_and_out_as_json_and_rows(texts: Any) -> None:
    words = ["hello", "adieu", "", "wörd"]
    tensor = {"name": "text", "datatype": "BYTES", "shape": [4], "data": words}
    with texts.client() as client:
        oip = client.post(INFER, json={"inputs": [tensor]}).json()["outputs"]
        rows = client.post(PREDICT, json={"instances": words}).json()["predictions"]
        encoded = [{"b64": base64.b64encode(word.encode()).decode()} for word in words]
        column = client.post(PREDICT, json={"inputs": {"text": encoded}}).json()["outputs"]
        named = client.post(PREDICT, json={"instances": [{"text": word} for word in words]}).json()["predictions"]
        head = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
        event = client.post("/events", headers=head | {"content-type": "application/octet-stream"}, content=b"adieu")
        said = client.get("/v2/models/digits").json()

    kinds, answers = [1, 2, 3, 0], ["good day", "until then", "silence", "?"]
    assert {one["name"]: (one["datatype"], one["shape"], one["data"]) for one in oip} == {
        "kind": ("INT64", [4], kinds),
        "answer": ("BYTES", [4], answers),
    }
    expected = [{"kind": kind, "answer": text} for kind, text in zip(kinds, answers, strict=True)]
    assert rows == named == expected
    assert column == {"kind": kinds, "answer": answers}
    assert event.json() == {"predictions": [{"kind": 2, "answer": "until then"}]}
    assert said["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_tritons_clients_send_and_get_texts(texts: Any, kind: str) -> None:
    module = pytest.importorskip(f"tritonclient.{kind}", reason="needs tritonclient")
    sent = module.InferInput("text", [3], "BYTES")
    sent.set_data_from_numpy(np.array([b"hello", b"", b"x"], object))
    port = texts.port if kind == "http" else texts.grpc_port
    with module.InferenceServerClient(f"127.0.0.1:{port}") as triton:
        answer = triton.infer("digits", [sent])

    assert answer.as_numpy("answer").tolist() == [b"good day", b"silence", b"?"]
    assert answer.as_numpy("kind").tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([1], "input 'text': JSON Value: 1 Type: Number is not of expected type: string"),
        ([{"b64": "!"}], "is not of expected type: string"),
        (["a", "b"], "'data' has shape [2], expected [1], or flat with 1 values"),
        ([["a"]], "'data' has shape [1, 1], expected [1]"),
        ([{"a": "b"}], "Type: Object is not of expected type: string"),
    ],
)
def test_what_is_no_text_is_refused(texts: Any, data: list[Any], words: str) -> None:
    with texts.client() as client:
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": data}
        answer = client.post(INFER, json={"inputs": [tensor]})

    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\5\0\0\0hell", b"\5\0\0\0hellox", b"\xff\xff\xff\xff"])
def test_bytes_that_hold_no_texts_are_refused(texts: Any, data: bytes) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with texts.client() as client:
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = client.post(INFER, content=head + data, headers=headers)

    assert answer.status_code == 400
    assert f"input 'text': {len(data)} bytes do not hold 1 texts" in answer.json()["error"]


def test_bytes_that_are_no_utf8_are_the_clients_mistake_where_the_model_takes_texts(texts: Any) -> None:
    with texts.client() as client:
        encoded = base64.b64encode(b"\xff\xfe").decode()
        answer = client.post(PREDICT, json={"instances": [{"b64": encoded}]})

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "input 'text': a text is not UTF-8, and ONNX knows no other",
    )
    assert len(WORDS) == 3
    assert named_models.TEXTS_FACTS["inputs"][0]["dtype"] == "bytes"


@pytest.mark.parametrize(("shape", "words"), [([], "has shape [], expected [-1]"), ([0], "holds no samples")])
def test_a_text_alone_has_the_axis_of_the_batch_nevertheless(texts: Any, shape: list[Any], words: str) -> None:
    with texts.client() as client:
        tensor = {"name": "text", "datatype": "BYTES", "shape": shape, "data": []}
        answer = client.post(INFER, json={"inputs": [tensor]})

    assert (answer.status_code, answer.json()["error"]) == (400, f"input 'text' {words}")
