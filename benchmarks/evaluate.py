"""Time the evaluation of 10,000 pictures of CIFAR's shape on LiteRT, beside the interpreter alone and the usual loops.

    python benchmarks/evaluate.py [--runs 7] [--project DIR] [--variants float32 int8]

With --project, the data set and the variants of a project that is built are taken; else random pictures and the
untrained guide-cnn. All run in turn, so that whatever else the machine does falls on all of them; medians. `invoke alone`
is the time inside the interpreter's own calls, with inputs that are ready, over as many pictures in batches as large.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.artifacts import Dataset, Model, ModelFacts, Splits
from modelyard.files.json import write_json
from modelyard.serving.backends.litert import open_model, quantize
from modelyard.serving.model import CHUNK, Facts
from modelyard.serving.tensor_facts import Input
from modelyard.stages.dataset import write_dataset
from modelyard.stages.predicting import predict
from modelyard_plugins.tasks.classification import Classification

TASK = Classification()
PICTURES = 10_000
CPUS = len(os.sched_getaffinity(0))


def quiet(*_: object, **__: object) -> None:
    """Report no progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="how often each is run")
    parser.add_argument("--project", type=Path, help="a project that is built")
    parser.add_argument("--variants", nargs="+", default=["float32", "int8"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-evaluate-") as folder:
        if options.project:
            models = {name: Model.open(options.project / "artifacts/optimize" / name) for name in options.variants}
            dataset = Dataset.open(next(options.project.glob("artifacts/dataset/*")))
        else:
            dataset = random_dataset(Path(folder))
            models = {name: untrained(dataset, name, Path(folder, name)) for name in options.variants}
        for name, model in models.items():
            x = dataset.x("test")[:PICTURES]
            print(f"{name}, {len(x):,} pictures, {CPUS} CPUs, load {os.getloadavg()[0]:.1f}")
            report(measure(ways(model, x), options.runs))


def random_dataset(folder: Path) -> Dataset:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (PICTURES, 32, 32, 3), np.uint8)
    y = np.arange(PICTURES) % 10
    write_dataset(
        Splits(x[:200], y[:200], x, y, [f"c{n}" for n in range(10)]), folder, TASK, "classification", progress=quiet
    )
    return Dataset.open(folder)


def untrained(dataset: Dataset, variant: str, folder: Path) -> Model:
    """Convert the guide's network as the model optimizers of these names do."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from modelyard_plugins.models.guide_cnn import guide_cnn

    folder.mkdir()
    converter = tf.lite.TFLiteConverter.from_keras_model(guide_cnn((32, 32, 3), 10))
    if variant == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row[None]] for row in dataset.inputs("train", slice(50)))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "model.tflite").write_bytes(converter.convert())
    facts = dataset.facts
    about = ModelFacts.of(facts, "tflite")
    write_json(folder / "model.json", about)
    return Model.open(folder)


def ways(model: Model, x: np.ndarray) -> dict[str, Callable[[], float]]:
    """Return what is compared; each returns the seconds that it took."""
    answers = model.folder / "answers.npy"

    def evaluation(workers: int) -> Callable[[], float]:
        output = model.facts.answer
        return timed(
            lambda: predict(
                lambda: open_model(model.folder), {"input": x}, answers, output, TASK, 256, workers, quiet, {}
            )
        )

    return {
        "invoke alone": lambda: invoke_alone(model, x),
        "modelyard, 1 predictor": evaluation(1),
        f"modelyard, {CPUS} predictors": evaluation(CPUS),
        f"1 interpreter, {CPUS} threads": timed(lambda: batches(model, x, CPUS)),
        "one picture at a time": timed(lambda: one_by_one(model, x)),
    }


def timed(run: Callable[[], object]) -> Callable[[], float]:
    def way() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return way


def interpreter(model: Model, batch: int, threads: int = 1) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_path=str(model.path), num_threads=threads)
    made.resize_tensor_input(made.get_input_details()[0]["index"], [batch, *model.facts.input_shape])
    made.allocate_tensors()
    return made, made.get_input_details()[0], made.get_output_details()[0]


def invoke_alone(model: Model, x: np.ndarray) -> float:
    made, takes, _ = interpreter(model, CHUNK)
    made.set_tensor(takes["index"], prepared(model, x[:CHUNK], takes))
    made.invoke()
    spent = 0.0
    for _ in range(len(x) // CHUNK):
        began = time.perf_counter()
        made.invoke()
        spent += time.perf_counter() - began
    return spent * len(x) / (len(x) // CHUNK * CHUNK)


def batches(model: Model, x: np.ndarray, threads: int) -> None:
    """Predict as evaluation does, with one interpreter that has threads of its own."""
    predictor = open_model(model.folder, threads=threads)
    for start in range(0, len(x), 256):
        predictor.predict(x[start : start + 256])


def one_by_one(model: Model, x: np.ndarray) -> int:
    """Predict as the guides of LiteRT do: a loop over pictures."""
    made, takes, gives = interpreter(model, 1)
    right = 0
    for row in x:
        made.set_tensor(takes["index"], prepared(model, row[None], takes))
        made.invoke()
        right += int(made.get_tensor(gives["index"])[0].argmax())
    return right


def prepared(model: Model, raw: np.ndarray, takes: dict[str, Any]) -> np.ndarray:
    taken = served(model.folder)
    return quantize(taken.of(raw), takes, taken)


@functools.cache
def served(folder: Path) -> Input:
    return Facts.read(folder).input


def measure(ways: dict[str, Callable[[], float]], runs: int) -> dict[str, tuple[float, float, float]]:
    """Return the medians of wall and CPU time of each in seconds, and of its CPU time as a part of the first's."""
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for number in range(runs + 1):  # the first round warms up
        first = 0.0
        for name, way in ways.items():
            cpu = time.process_time()
            wall = way()
            spent = time.process_time() - cpu
            first = first or spent
            if number:
                times[name].append((wall, spent, spent / first))
    return {name: tuple(map(statistics.median, zip(*all_, strict=True))) for name, all_ in times.items()}


def report(times: dict[str, tuple[float, float, float]]) -> None:
    for name, (wall, cpu, ratio) in times.items():
        print(f"  {name:26} {wall:6.2f} s wall  {cpu:6.2f} s CPU  {ratio:5.2f} x the CPU of invoke alone")


if __name__ == "__main__":
    main()
