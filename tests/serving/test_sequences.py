"""Sequences: a stream whose steps come in requests of their own, through every protocol that knows them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.stream_models import levels, means, streams, write_cache, write_stream

from modelyard.serving.engine import Job, _apart
from modelyard.serving.errors import Overloaded, RequestError
from modelyard.serving.sequences import (
    NOTHING_KEPT,
    SEVERAL_WORKERS,
    Sequences,
    Step,
    as_many_as_fit,
    read_step,
    why_none,
)
from modelyard.serving.streams import Kept
from modelyard.serving.tensors import TensorError

INFER = "/v2/models/digits/infer"
KEPT = (Kept("state:h", np.dtype("float32"), (2, 3), 0.5),)
SAMPLES = {"x": np.zeros((1, 3), np.float32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx", reason="needs onnx, to write the model")
    return write_stream(tmp_path_factory.mktemp("m") / "m")


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path) -> Iterator[Any]:
    with start(folder, BACKEND="onnxruntime", MAX_SEQUENCES="3", GRPC_PORT="0", BATCHING="on") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[Any]:
    with server.client() as one:
        yield one


def body(chunk: Any, **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "sound", "datatype": "FP32", "shape": list(chunk.shape), "data": chunk.ravel().tolist()}
    return {"inputs": [tensor], "parameters": parameters}


def found(answer: Any) -> Any:
    (output,) = answer.json()["outputs"]
    return np.reshape(output["data"], output["shape"])


def test_steps_of_a_sequence_go_on_where_the_one_before_ended(client: Any) -> None:
    sent = streams(2, 5)
    got: dict[str | int, list[np.ndarray]] = {number: [] for number in ("one", 2)}
    for step in range(5):
        for row, name in enumerate(got):
            said = {"sequence_id": name, "sequence_start": step == 0, "sequence_end": step == 4}
            got[name].append(found(client.post(INFER, json=body(sent[row : row + 1, step : step + 1], **said))))

    for row, steps in enumerate(got.values()):
        np.testing.assert_allclose(np.concatenate(steps, axis=1)[0], levels(sent)[row], rtol=1e-5)
    assert "sequence" in client.get("/v2").json()["extensions"]


def test_a_whole_stream_needs_no_sequence_in_either_protocol(client: Any) -> None:
    sent = streams(3, 6)
    np.testing.assert_allclose(found(client.post(INFER, json=body(sent))), levels(sent), rtol=1e-5)
    rows = client.post("/v1/models/digits:predict", json={"instances": sent.tolist()}).json()["predictions"]
    np.testing.assert_allclose(rows, levels(sent), rtol=1e-5)


def test_an_event_holds_a_whole_stream_and_is_no_step_of_a_sequence(client: Any) -> None:
    sent = streams(1, 3)
    head = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "t",
        "content-type": "application/json",
    }
    np.testing.assert_allclose(found(client.post("/events", headers=head, json=body(sent))), levels(sent), rtol=1e-5)
    answer = client.post("/events", headers=head, json=body(sent, sequence_id=1, sequence_start=True))
    assert (answer.status_code, "an event is a step of no sequence" in answer.text) == (400, True)


def test_one_that_is_not_open_or_too_many_or_nonsense_is_refused_in_words(client: Any) -> None:
    one = streams(1, 1)
    refused = [
        (body(one, sequence_id=9), 400, "the sequence 9 is not open here: begin it with 'sequence_start'"),
        (body(one, sequence_start=True), 400, "'sequence_id' is null"),
        (body(one, sequence_id=-1), 400, "'sequence_id' is -1"),
        (body(one, sequence_id=9, sequence_end="yes"), 400, "'sequence_end' is \"yes\", expected true or false"),
        (body(streams(2, 1), sequence_id=9, sequence_start=True), 400, "a sequence is one stream"),
    ]
    for sent, status, told in refused:
        answer = client.post(INFER, json=sent)
        assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text

    for number in (1, 2, 3):
        assert client.post(INFER, json=body(one, sequence_id=number, sequence_start=True)).status_code == 200
    answer = client.post(INFER, json=body(one, sequence_id=4, sequence_start=True))
    assert (answer.status_code, answer.json()["error"][:31]) == (503, "3 sequences are open already, a")
    assert client.post(INFER, json=body(one, sequence_id=1, sequence_start=True)).status_code == 200, "it begins anew"
    for number in (1, 2, 3):
        assert client.post(INFER, json=body(one, sequence_id=number, sequence_end=True)).status_code == 200


def test_a_step_that_is_refused_leaves_the_sequence_where_it_was(client: Any) -> None:
    sent = streams(1, 3)
    first = client.post(INFER, json=body(sent[:, :1], sequence_id="s", sequence_start=True))
    assert client.post(INFER, json=body(streams(1, 0), sequence_id="s")).status_code == 400
    rest = client.post(INFER, json=body(sent[:, 1:], sequence_id="s", sequence_end=True))
    np.testing.assert_allclose(np.concatenate([found(first), found(rest)], axis=1), levels(sent), rtol=1e-5)


def test_tritons_clients_send_sequences_over_http_in_bytes_and_over_grpc(server: Any) -> None:
    http = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    grpc = pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc]")
    pytest.importorskip("hpack", reason="hpack is not installed")
    sent = streams(1, 4)
    for module, port in ((http, server.port), (grpc, server.grpc_port)):
        with module.InferenceServerClient(f"127.0.0.1:{port}") as triton:
            answers = []
            for step in range(4):
                tensor = module.InferInput("sound", [1, 1, 3], "FP32")
                tensor.set_data_from_numpy(sent[:, step : step + 1])
                said = {"sequence_id": 77, "sequence_start": step == 0, "sequence_end": step == 3}
                answers.append(triton.infer("digits", [tensor], **said).as_numpy("level"))
        np.testing.assert_allclose(np.concatenate(answers, axis=1), levels(sent), rtol=1e-5)


def test_a_cache_that_grows_goes_on_over_json_bytes_and_grpc_and_streams_of_unlike_lengths_do_not_mix(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    http = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    grpc = pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc]")
    sent = streams(4, 7)
    steps = [(0, 1), (1, 2), (2, 7)]

    def tensor(module: Any, chunk: np.ndarray) -> Any:
        one = module.InferInput("sound", list(chunk.shape), "FP32")
        one.set_data_from_numpy(chunk)
        return [one]

    def stream(row: int) -> list[np.ndarray]:
        chunks = [(n, sent[row : row + 1, begin:end]) for n, (begin, end) in enumerate(steps[row % 2 :])]
        said = [
            {"sequence_id": row + 1, "sequence_start": not n, "sequence_end": n == len(chunks) - 1} for n, _ in chunks
        ]
        if row < 2:
            with running.client() as client:
                return [
                    found(client.post(INFER, json=body(one, **it))) for (_, one), it in zip(chunks, said, strict=True)
                ]
        module, port = ((http, running.port), (grpc, running.grpc_port))[row - 2]
        with module.InferenceServerClient(f"127.0.0.1:{port}") as triton:
            asked = ((tensor(module, one), it) for (_, one), it in zip(chunks, said, strict=True))
            return [triton.infer("digits", one, **it).as_numpy("level") for one, it in asked]

    folder = write_cache(tmp_path / "m")
    with start(folder, BACKEND="onnxruntime", GRPC_PORT="0", BATCHING="on") as running, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(stream, range(4)))
    for row, got in enumerate(answers):
        first = steps[row % 2][0]
        for (_, end), answer in zip(steps[row % 2 :], got, strict=True):
            now = means(sent[row : row + 1, first:end])[:, :1]
            np.testing.assert_allclose(answer, np.broadcast_to(now, answer.shape), rtol=1e-4, atol=1e-6)


def test_sequences_at_once_that_are_predicted_together_do_not_mix(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path
) -> None:
    sent = streams(16, 12)

    def stream(row: Any) -> np.ndarray:
        with running.client() as client:
            steps = (
                client.post(
                    INFER, json=body(sent[row : row + 1, n : n + 1], sequence_id=row + 1, sequence_start=n == 0)
                )
                for n in range(12)
            )
            return np.concatenate([found(step) for step in steps], axis=1)

    with start(folder, BACKEND="onnxruntime", BATCHING="on") as running, ThreadPoolExecutor(16) as pool:
        answers = np.concatenate(list(pool.map(stream, range(16))))
    np.testing.assert_allclose(answers, levels(sent), rtol=1e-5)


def test_several_workers_have_no_sequences_and_say_so(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path
) -> None:
    with start(folder, BACKEND="onnxruntime", WORKERS="2") as running, running.client() as client:
        answer = client.post(INFER, json=body(streams(1, 1), sequence_id=1, sequence_start=True))
        assert (answer.status_code, answer.json()["error"]) == (400, f"'sequence_id' is 1, but {SEVERAL_WORKERS}")
        sent = streams(2, 3)
        np.testing.assert_allclose(found(client.post(INFER, json=body(sent))), levels(sent), rtol=1e-5)
        assert "sequence" not in client.get("/v2").json()["extensions"]


def test_what_is_said_of_a_sequence() -> None:
    assert read_step({}, NOTHING_KEPT) is None
    assert read_step({"sequence_id": 0, "sequence_start": False}, NOTHING_KEPT) is None
    assert read_step({"sequence_id": "a", "sequence_start": True}, "") == Step("a", start=True)
    with pytest.raises(TensorError, match=r"'sequence_id' is 3, but this model keeps nothing"):
        read_step({"sequence_id": 3}, NOTHING_KEPT)
    with pytest.raises(TensorError, match="a text of 1 to 256"):
        read_step({"sequence_id": "a" * 257}, "")
    assert (why_none((), 1), why_none(KEPT, 2), why_none(KEPT, 1)) == (NOTHING_KEPT, SEVERAL_WORKERS, "")


def test_a_sequence_that_rests_is_forgotten_and_while_draining_none_begins() -> None:
    now, stops = [0.0], [False]
    sequences = Sequences(KEPT, 2, 10, lambda: stops[0], lambda: now[0])
    for name in ("a", "b"):
        given = sequences.given(Step(name, start=True), SAMPLES, 1)
        assert given["state:h"].shape == (1, 2, 3)
        assert (given["state:h"] == 0.5).all()
        sequences.keep(Step(name), {"state:h": given["state:h"] + 1})
    now[0] = 6.0
    sequences.keep(Step("a"), sequences.split(dict(sequences.given(Step("a"), SAMPLES, 1)))[1])
    now[0] = 12.0
    assert (sequences.given(Step("a"), SAMPLES, 1)["state:h"] == 1.5).all()
    with pytest.raises(RequestError, match=r'"b" is not open here.*rests for 10 s'):
        sequences.given(Step("b"), SAMPLES, 1)
    assert len(sequences) == 1
    stops[0] = True
    with pytest.raises(Overloaded, match="about to stop"):
        sequences.given(Step("c", start=True), SAMPLES, 1)
    sequences.keep(Step("a", end=True), {})
    assert len(sequences) == 0


def test_what_grows_is_bounded_by_memory_and_said_with_it() -> None:
    grown = (Kept("state:h", np.dtype("float32"), ("", 3)),)
    sequences = Sequences(grown, 9, 10, most_bytes=24)

    def keep(name: str, steps: int) -> None:
        sequences.keep(Step(name), {"state:h": np.zeros((1, steps, 3), np.float32)})

    assert sequences.given(Step("a", start=True), SAMPLES, 1)["state:h"].shape == (1, 0, 3)
    keep("a", 1)
    keep("b", 2)
    with pytest.raises(Overloaded, match=r"the 2 sequences that are open keep .* MiB are given to all"):
        sequences.given(Step("a"), SAMPLES, 1)
    keep("b", 3)
    with pytest.raises(RequestError, match=r'"b" keeps .*; end it with') as caught:
        sequences.given(Step("b"), SAMPLES, 1)
    assert caught.value.status == 413
    sequences.keep(Step("b", end=True), {})
    assert sequences.given(Step("a"), SAMPLES, 1)["state:h"].shape == (1, 1, 3)


def test_as_many_are_kept_as_fit() -> None:
    assert as_many_as_fit(KEPT, 1000, 240) == 10
    assert as_many_as_fit(KEPT, 5, 240) == 5
    assert as_many_as_fit(KEPT, 5, 1) == 1


def test_two_steps_of_one_sequence_are_not_predicted_together() -> None:
    work: Any = None  # nothing is done of it
    jobs = [Job(work, print, step=None if name is None else Step(name)) for name in ("a", None, "b", "a", "a", "c")]
    assert [[job.step and job.step.id for job in some] for some in _apart(jobs)] == [
        ["a", None, "b"],
        ["a"],
        ["a", "c"],
    ]
