"""Time the data pipeline of training beside the model's own step, and beside what else feeds Keras.

    python benchmarks/training.py [--runs 3] [--samples 3200] [--batch-size 32]

One epoch of pictures of CIFAR's shape, each way in turn, so that whatever else the machine does falls on all of them;
medians. The pipeline reads memory-mapped pictures of one byte a value, shuffles them anew each epoch and normalizes
them in the pipeline; its peers hold all of them in memory, as float32.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.artifacts import Dataset, Splits
from modelyard.stages.dataset import write_dataset
from modelyard_plugins.support.keras.feed import batches
from modelyard_plugins.support.keras.fitting import compile_model
from modelyard_plugins.tasks.classification import Classification

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def quiet(*_: object, **__: object) -> None:
    """Report no progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="how often each is run")
    parser.add_argument("--samples", type=int, default=3200, help="pictures an epoch")
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-training-") as folder:
        dataset = random_dataset(Path(folder), options.samples)
        cpus = len(os.sched_getaffinity(0))
        print(f"{options.samples:,} pictures, batch {options.batch_size}, {cpus} CPUs, load {os.getloadavg()[0]:.1f}")
        report(measure(ways(dataset, options.samples, options.batch_size), options.runs))


def random_dataset(folder: Path, samples: int) -> Dataset:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (samples + 10, 32, 32, 3), np.uint8)
    y = np.arange(samples + 10) % 10
    names = [f"c{n}" for n in range(10)]
    write_dataset(
        Splits(x[:samples], y[:samples], x[samples:], y[samples:], names),
        folder,
        Classification(),
        "classification",
        progress=quiet,
    )
    return Dataset.open(folder)


def ways(dataset: Dataset, samples: int, batch_size: int) -> dict[str, Callable[[], object]]:
    import tensorflow as tf

    rows = np.arange(samples)
    in_memory, labels = dataset.inputs("train"), np.array(dataset.y("train"))
    steps = -(-samples // batch_size)
    one = tf.constant(in_memory[:batch_size]), tf.constant(labels[:batch_size])
    feed = batches(dataset, rows, batch_size, seed=0)
    usual = tf.data.Dataset.from_tensor_slices((in_memory, labels)).shuffle(samples, seed=0)
    usual = usual.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    same = tf.data.Dataset.from_tensors(one).repeat(steps)
    model = new_model()

    def fit(data: Any) -> Callable[[], object]:
        return lambda: model.fit(data, epochs=1, verbose=0)

    return {
        "model steps alone": fit(same),
        "pipeline alone": lambda: exhaust(feed),
        "tf.data in memory, alone": lambda: exhaust(usual),
        "fit, pipeline": fit(feed),
        "fit, tf.data in memory": fit(usual),
        "fit, arrays in memory": lambda: model.fit(in_memory, labels, batch_size=batch_size, epochs=1, verbose=0),
    }


def new_model() -> Any:
    import tf_keras

    from modelyard_plugins.models.guide_cnn import guide_cnn

    model = guide_cnn((32, 32, 3), 10)
    compile_model(tf_keras, model, tf_keras.optimizers.Adam(0.001), "cross-entropy", "logits")
    return model


def exhaust(data: Any) -> None:
    for _ in data:
        pass


def measure(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, tuple[float, float, float]]:
    """Return the medians of wall and CPU time of each in seconds, and of its CPU time as a part of the first's."""
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for number in range(runs + 1):  # the first round builds graphs
        first = 0.0
        for name, way in ways.items():
            cpu, began = time.process_time(), time.perf_counter()
            way()
            wall, spent = time.perf_counter() - began, time.process_time() - cpu
            first = first or spent
            if number:
                times[name].append((wall, spent, spent / first))
    return {name: tuple(map(statistics.median, zip(*all_, strict=True))) for name, all_ in times.items()}


def report(times: dict[str, tuple[float, float, float]]) -> None:
    for name, (wall, cpu, ratio) in times.items():
        busy = cpu / wall
        print(
            f"  {name:26} {wall:6.2f} s wall  {cpu:6.2f} s CPU ({busy:.1f} CPUs)  {ratio:5.2f} x the CPU of the steps"
        )


if __name__ == "__main__":
    main()
