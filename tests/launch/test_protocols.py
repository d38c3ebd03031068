"""The clients of `check`, against a real server of models with several tensors and with texts."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.serving import named_models, stream_models
from tests.serving.conftest import Running, started

from modelyard.launch.protocols import HEADER_LENGTH, PROTOCOLS, answered, infer_in_sequences, listed, parts
from modelyard.tensors import OutputFacts

pytest.importorskip("onnx", reason="needs onnx, to write the models")
pytest.importorskip("onnxruntime", reason="needs onnxruntime, to run them")


def outputs(facts: dict[str, Any]) -> list[OutputFacts]:
    return msgspec.convert(facts["outputs"], list[OutputFacts])


def exchanged(server: Running, path: str, body: object) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{server.url}{path}", data, timeout=30) as answer:
        return answered(answer.read(), answer.headers[HEADER_LENGTH])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_tensors_go_and_come_by_name(protocol: str, tmp_path: Path) -> None:
    samples, (_, ask) = named_models.sample(3, 5), PROTOCOLS[protocol]
    with started(named_models.write_notes(tmp_path / "m"), BACKEND="onnxruntime") as server:
        found = ask(lambda *asked: exchanged(server, *asked), "digits", samples, outputs(named_models.NOTES_FACTS))

    expected = named_models.notes(**samples)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_streams_go_in_sequences_of_two_requests(steps: int, tmp_path: Path) -> None:
    sent, asked = stream_models.streams(3, steps), []

    def exchange(path: str, body: object) -> Any:
        asked.append(path)
        return exchanged(server, path, body)

    with started(stream_models.write_stream(tmp_path / "m"), BACKEND="onnxruntime") as server:
        found = infer_in_sequences(exchange, "digits", {"sound": sent}, outputs(stream_models.FACTS))

    np.testing.assert_allclose(found["level"], stream_models.levels(sent), rtol=1e-5)
    assert asked.count("/v2/models/digits/infer") == 3 * min(steps, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_go_and_come(protocol: str, tmp_path: Path) -> None:
    texts, (_, ask) = np.array([b"hello", b"", "w\u00f6rd".encode()], object), PROTOCOLS[protocol]
    with started(named_models.write_texts(tmp_path / "m"), BACKEND="onnxruntime") as server:
        facts = outputs(named_models.TEXTS_FACTS)
        found = ask(lambda *asked: exchanged(server, *asked), "digits", {"text": texts}, facts)

    assert found["kind"].tolist() == [1, 3, 0]
    assert found["answer"].tolist() == [b"good day", b"silence", b"?"]


def test_a_request_holds_no_more_than_servers_let_in() -> None:
    small = {"x": np.zeros((32, 28, 28), np.uint8)}
    assert list(parts(small)) == [slice(0, 32)]
    large = {"x": np.zeros((32, 224, 224, 3), np.float32)}
    asked = list(parts(large))
    assert [row for rows in asked for row in range(rows.start, rows.stop)] == list(range(32))
    assert all(large["x"][rows].nbytes * 5 < 8 << 20 for rows in asked)
    files = np.empty(3, object)
    files[:] = [bytes(9 << 20), b"", b"a"]
    assert list(parts({"file": files})) == [slice(0, 1), slice(1, 3)], "what is larger goes by itself"


def test_a_number_that_is_missing_is_null() -> None:
    assert json.dumps(listed(np.array([[1.5, np.nan]], np.float32))) == "[[1.5, null]]"


def test_elements_that_are_no_text_follow_the_json() -> None:
    said = {"outputs": [{"name": "a", "data": [1]}, {"name": "b", "parameters": {"binary_data_size": 14}}]}
    said["outputs"].append({"name": "c", "parameters": {"binary_data_size": 5}})
    head = json.dumps(said).encode()
    body = head + b"\2\0\0\0\xff\x00" + b"\0\0\0\0" + b"\0\0\0\0" + b"\1\0\0\0\xfe"
    found = answered(body, str(len(head)))["outputs"]
    assert [one["data"] for one in found] == [[1], [b"\xff\x00", b"", b""], [b"\xfe"]]
    assert answered(head, None) == said
