"""What the protocols' own clients send, and what they make of the answers: Triton's as it is, KServe's as it was recorded."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving import kserve_client
from tests.serving.conftest import Running

RECORDED = json.loads((Path(__file__).parent / "recorded" / "kserve.json").read_text())
KSERVE = os.environ.get("MODELYARD_TEST_KSERVE", "")
MIXES = [(False, False), (False, True), (True, False), (True, True)]


@pytest.fixture
def triton(server: Running) -> Iterator[Any]:
    module = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    with module.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        yield client


@pytest.fixture(scope="module")
def batch(raw: np.ndarray) -> np.ndarray:
    """Raw samples, uint8, shape (28, 8, 8, 1): the probabilities as JSON take more than is left uncompressed."""
    return np.concatenate([raw] * 4)


def tensors(module: Any, raw: Any, *, binary_in: Any, binary_out: Any, **output: Any) -> dict[str, list[Any]]:
    sent = module.InferInput("input", list(raw.shape), "UINT8")
    sent.set_data_from_numpy(raw, binary_data=binary_in)
    return {
        "inputs": [sent],
        "outputs": [module.InferRequestedOutput("probabilities", binary_data=binary_out, **output)],
    }


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize(("binary_in", "binary_out"), MIXES)
def test_tritons_client_gets_its_answer(
    triton: Any,
    models: Path,
    batch: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    binary_in: bool,
    binary_out: bool,
    coding: str | None,
) -> None:
    import tritonclient.http as module

    asked = tensors(module, batch, binary_in=binary_in, binary_out=binary_out)

    answer = triton.infer(
        "digits", **asked, request_id="7", request_compression_algorithm=coding, response_compression_algorithm=coding
    )

    assert answer.get_response()["id"] == "7"
    assert ("data" in answer.get_output("probabilities")) is not binary_out
    np.testing.assert_allclose(answer.as_numpy("probabilities"), expected(models / "float32", batch), atol=1e-6)


def test_tritons_client_is_told_of_the_server_and_the_model(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("digits")
    assert triton.is_model_ready("digits", "1")
    assert not triton.is_model_ready("other")
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification", "schedule_policy"]
    assert [one["shape"] for one in triton.get_model_metadata("digits")["inputs"]] == [[-1, 8, 8, 1]]


@pytest.mark.parametrize("binary_out", [False, True])
def test_tritons_client_gets_the_likeliest_classes(
    triton: Any, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray], binary_out: bool
) -> None:
    import tritonclient.http as module

    asked = tensors(module, raw, binary_in=True, binary_out=binary_out, class_count=2)

    rows = triton.infer("digits", **asked).as_numpy("probabilities")

    # as bytes where they came as bytes, else as text
    found = [[int((one.decode() if binary_out else one).split(":")[1]) for one in row] for row in rows]
    assert found == np.argsort(-expected(models / "float32", raw), axis=1, kind="stable")[:, :2].tolist()


def test_tritons_client_is_told_what_is_wrong(triton: Any, raw: np.ndarray) -> None:
    import tritonclient.http as module
    from tritonclient.utils import InferenceServerException

    asked = tensors(module, raw[:, :4], binary_in=False, binary_out=False)
    with pytest.raises(InferenceServerException, match=r"\[7, ?4, ?8, ?1\]") as caught:
        triton.infer("digits", **asked)
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="unknown model 'other'"):
        triton.infer("other", **tensors(module, raw, binary_in=True, binary_out=True))


def test_tritons_client_says_how_long_it_waits_and_finds_one_priority(
    triton: Any, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    import tritonclient.http as module
    from tritonclient.utils import InferenceServerException

    asked = tensors(module, raw, binary_in=True, binary_out=True)

    answer = triton.infer("digits", **asked, priority=0, timeout=5_000_000).as_numpy("probabilities")

    np.testing.assert_allclose(answer, expected(models / "float32", raw), atol=1e-6)
    with pytest.raises(InferenceServerException, match="'priority' is 2, but requests wait in one line") as caught:
        triton.infer("digits", **asked, priority=2)
    assert caught.value.status() == "400"


def test_tritons_client_asks_several_things_at_once(
    triton: Any, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    import tritonclient.http as module

    def begin(number: int) -> Any:
        binary_in, binary_out = MIXES[number % 4]
        row = raw[number % 7][None]
        return triton.async_infer("digits", **tensors(module, row, binary_in=binary_in, binary_out=binary_out))

    asked = [begin(number) for number in range(28)]
    answers = np.concatenate([one.get_result().as_numpy("probabilities") for one in asked])

    np.testing.assert_allclose(answers, np.tile(expected(models / "float32", raw), (4, 1)), atol=1e-6)


def test_tritons_client_for_asyncio(
    server: Running, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    module = pytest.importorskip("tritonclient.http.aio", reason="needs tritonclient[http]")

    async def ask() -> Any:
        async with module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            forms = [
                {**tensors(module, raw, binary_in=one, binary_out=other), "request_compression_algorithm": coding}
                for one, other in MIXES
                for coding in (None, "gzip", "deflate")
            ]
            return await asyncio.gather(*(client.infer("digits", **form) for form in forms))

    answers = asyncio.run(ask())

    assert len(answers) == 12
    for answer in answers:
        np.testing.assert_allclose(answer.as_numpy("probabilities"), expected(models / "float32", raw), atol=1e-6)


@pytest.mark.parametrize("request_", RECORDED["requests"], ids=lambda one: one["path"])
def test_what_kserves_client_wrote_is_answered(
    client: httpx.Client, models: Path, expected: Callable[[Path, np.ndarray], np.ndarray], request_: Any
) -> None:
    answer = client.request(
        request_["method"], request_["path"], headers=request_["headers"], content=base64.b64decode(request_["body"])
    )

    assert answer.status_code == 200, answer.text
    if request_["path"].endswith("infer"):
        found = probabilities(answer, binary=b'"binary_data":true' in base64.b64decode(request_["body"]))
    elif request_["path"].endswith("predict"):
        found = answer.json()["predictions"]
    else:
        assert next(value for key, value in answer.json().items() if key in ("live", "ready")) is True
        return
    np.testing.assert_allclose(found, expected(models / "float32", kserve_client.samples()), atol=1e-6)


def probabilities(answer: Any, *, binary: Any) -> Any:
    if not binary:
        return np.reshape(answer.json()["outputs"][0]["data"], (2, 10))
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers["inference-header-content-length"])
    return np.frombuffer(answer.content[size:], "<f4").reshape(2, 10)


@pytest.mark.skipif(not KSERVE, reason="needs MODELYARD_TEST_KSERVE: a Python that has kserve")
def test_kserves_client_writes_what_was_recorded_and_gets_its_answers(
    server: Running, models: Path, expected: Callable[[Path, np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    def run(*words: Any) -> Any:
        script = kserve_client.__file__
        return subprocess.run([KSERVE, script, *words], capture_output=True, text=True, check=True).stdout

    run("record", str(tmp_path / "new.json"))
    found = json.loads(run("ask", server.url))

    new = json.loads((tmp_path / "new.json").read_text())
    sent = [[(one["method"], one["path"], one["body"]) for one in each["requests"]] for each in (new, RECORDED)]
    assert sent[0] == sent[1], f"{new['client']} writes otherwise than {RECORDED['client']}: record it anew"
    assert [found.pop(name) for name in ("live", "ready", "model ready")] == [True, True, True]
    assert len(found) == 5
    for values in found.values():
        np.testing.assert_allclose(values, expected(models / "float32", kserve_client.samples()), atol=1e-6)
