"""Samples of several lengths, from training through the conversions of each framework: what is asked is padded by nobody.

The class of each word says whether its number is odd: a model that mixed up positions, or that learnt from what pads, would
answer wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins import calling
from tests.plugins.chains import FORMATS, Chain, component, keras_of
from tests.plugins.conftest import Bench, no_progress, open_model
from tests.plugins.test_several_inputs import optimized

from modelyard.artifacts import Dataset, Model, Streams
from modelyard.asking import ask, batches
from modelyard.errors import DataError
from modelyard.stages import dataset as stage
from modelyard.stages.splits.streams import splits_of
from modelyard_plugins.support.onnx.facts import onnx_facts
from modelyard_plugins.support.own_server import OwnServer
from modelyard_plugins.tasks.token_labels import token_labels

CHAINS = [
    Chain("tensorflow", (("int8", {}),), "litert"),
    Chain("tensorflow", (("tf_keras_onnx", {}), ("onnx_static", {})), "onnxruntime"),
    Chain("keras", (("keras_onnx", {}), ("onnx_dynamic", {})), "onnxruntime"),
    Chain("keras", (("keras_saved_model", {}),), "tensorflow_serving"),
    Chain("torch", (("torch_onnx", {}), ("onnx_static", {})), "onnxruntime"),
    Chain("torch", (("torch_quantize", {}), ("torch_onnx", {})), "onnxruntime"),
]

USUAL = CHAINS[:3] + CHAINS[4:5]
"""Those of each framework and runtime that every run tries."""


def sentences(count: int, seed: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        words = random.integers(0, 20, random.integers(2, 30)).astype(np.int32)
        yield {"words": words}, words % 2


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("tagged")
    streams = Streams(sentences(300, 0), sentences(60, 1), ("even", "odd"), pad=0, masks=True, ragged=True)
    splits = splits_of(streams, folder / "cache", no_progress)
    stage.write_dataset(splits, folder, token_labels(ignore=-1), "token-labels", progress=no_progress)
    return Dataset.open(folder)


def keras_network(keras: Any) -> Callable[..., Any]:
    def build(input_shape: dict[str, tuple[Any, ...]], classes: int) -> Any:
        assert input_shape == {"words": (None,), "words_mask": (None,)}
        layers = keras.layers
        words, mask = (layers.Input(input_shape[name], name=name, dtype="int32") for name in input_shape)
        weights = layers.Reshape((-1, 1))(layers.Rescaling(1.0)(mask))
        seen = layers.Multiply()([layers.Embedding(20, 8)(words), weights])
        hidden = layers.Conv1D(16, 3, padding="same", activation="relu")(seen)
        return keras.Model([words, mask], layers.Dense(classes)(hidden))

    return build


def torch_network() -> Callable[..., Any]:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, shapes: dict[str, tuple[Any, ...]], classes: int) -> None:
            super().__init__()
            assert shapes == {"words": (None,), "words_mask": (None,)}
            self.embedded, self.near = nn.Embedding(20, 8), nn.Conv1d(8, 16, 3, padding=1)
            self.last = nn.Linear(16, classes)

        def forward(self, words: Any, words_mask: Any) -> Any:
            seen = self.embedded(words) * words_mask.unsqueeze(-1)
            return self.last(torch.relu(self.near(seen.transpose(1, 2))).transpose(1, 2))

    return Net


def network(trainer: str) -> Callable[..., Any]:
    return torch_network() if trainer == "torch" else keras_network(keras_of(trainer))


@pytest.fixture(scope="session")
def tagger_by(
    tagged: Dataset, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], Model]:
    """Return a function that trains with a trainer, once."""
    models: dict[str, Model] = {}

    def train(trainer: str) -> Model:
        request.getfixturevalue("torch" if trainer == "torch" else "tensorflow")
        if trainer not in models:
            context = Bench(tmp_path_factory.mktemp(trainer)).train(tagged, network(trainer))
            calling.trainer(trainer)(context, epochs=6, learning_rate=0.03, buckets=4, shuffle_block=16)
            models[trainer] = open_model(context.out, tagged, FORMATS[trainer])
        return models[trainer]

    return train


def accuracy(model: Model, runtime: str, dataset: Dataset) -> float:
    opener = component(f"runtimes.{runtime}")
    if runtime == "tensorflow_serving":
        predictor = opener._SavedModel(model)
    else:
        predictor = getattr(opener, runtime)(model.folder, params=OwnServer())
    raw, labels, right = dataset.raw("test"), dataset.y("test"), []
    for rows in batches(len(labels), 16, dataset.lengths("test")):
        samples = {name: array[rows] for name, array in raw.items()}
        assert (samples["words_mask"] == 1).all()
        length = samples["words"].shape[1]
        answers = ask(predictor, samples, "probabilities")
        assert answers.shape == (len(labels[rows]), length, 2)
        right.extend((answers.argmax(-1) == labels[rows][:, :length]).ravel())
    return float(np.mean(right))


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(
            one,
            id=one.id,
            marks=[
                pytest.mark.torch if one.trainer == "torch" else pytest.mark.tensorflow,
                *([] if one in USUAL else [pytest.mark.thorough]),
            ],
        )
        for one in CHAINS
    ],
)
def test_samples_of_several_lengths_are_learnt_converted_and_asked(
    chain: Chain, tagger_by: Callable[[str], Model], tagged: Dataset, bench: Bench
) -> None:
    model = tagger_by(chain.trainer)
    for name, params in chain.steps:
        model = optimized(bench, tagged, model, name, params)
    assert accuracy(model, chain.runtime, tagged) > 0.95
    if chain.steps[-1][0] == "torch_onnx":
        signature = onnx_facts(model.path).signature
        assert signature is not None
        assert [one.shape for one in signature.inputs] == [("batch", "length")] * 2


@pytest.mark.torch
def test_buckets_of_samples_that_are_all_of_one_shape_are_told(bench: Bench, torch: None, tmp_path: Path) -> None:
    from tests.tasks import write_dataset

    from modelyard.artifacts import Splits

    x, y = np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1])
    write_dataset(Splits(x, y, x, y, ("a", "b"), (0, 1)), tmp_path, progress=no_progress)
    import torch as pytorch

    with pytest.raises(DataError, match=r"buckets = 3: all samples are of one shape, so that nothing is padded\n"):
        calling.trainer("torch")(bench.train(Dataset.open(tmp_path), lambda *_: pytorch.nn.Linear(2, 2)), buckets=3)
