"""Samples of several inputs, from training through every conversion: names bind them, whatever their order.

`plus` and `minus` have one shape, and the class is the sign of what they differ by: a model whose inputs were swapped on the
way would answer each sample wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins import calling
from tests.plugins.chains import FORMATS, FRAMEWORKS, Chain, component, keras_of
from tests.plugins.conftest import Bench, no_progress, open_model
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Model, ModelFacts, Splits, format_file, self_contained
from modelyard.asking import ask
from modelyard.errors import PluginError
from modelyard.files.json import write_json
from modelyard_plugins.support.own_server import OwnServer

STATIC = {"recipe": "static_wi8_ai8"}
QAT = {"epochs": 1, "skip": ("rows_embedded",)}
CHAINS = [
    Chain("tensorflow", (("float32", {}),), "litert"),
    Chain("tensorflow", (("float32", {}), ("edge_quantize", STATIC)), "litert"),
    Chain("tensorflow", (("prune", {"epochs": 1}), ("int8", {})), "litert"),
    Chain("tensorflow", (("qat", QAT), ("int8", {})), "litert"),
    Chain("tensorflow", (("tf_keras_onnx", {}), ("onnx_static", {})), "onnxruntime"),
    Chain("tensorflow", (("saved_model", {}),), "tensorflow_serving"),
    Chain("keras", (("keras_litert", {}),), "litert"),
    Chain("keras", (("keras_quantize", {}), ("keras_onnx", {})), "onnxruntime"),
    Chain("keras", (("keras_onnx", {}), ("onnx_dynamic", {})), "onnxruntime"),
    Chain("keras", (("keras_saved_model", {}),), "tensorflow_serving"),
    Chain("torch", (("torch_onnx", {}), ("onnx_static", {})), "onnxruntime"),
    Chain("torch", (("torch_prune", {"epochs": 1}), ("torch_onnx", {})), "onnxruntime"),
    Chain("torch", (("torch_quantize", {}), ("torch_onnx", {})), "onnxruntime"),
]
USUAL = {chain.trainer: chain for chain in reversed(CHAINS) if chain.trainer != "keras"}.values()
"""The first chain of each framework but the slowest; the others are tried by thorough runs."""
FRAMEWORK = {"tensorflow": pytest.mark.tensorflow, "keras": pytest.mark.tensorflow, "torch": pytest.mark.torch}


def samples(count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    plus, minus = random.normal(size=(2, count, 6)).astype(np.float32)
    pictures = random.integers(0, 255, (count, 4, 4, 1), np.uint8)
    rows = random.integers(0, 5, (count, 2)).astype(np.int32)
    return {"plus": plus, "pictures": pictures, "rows": rows, "minus": minus}, (plus - minus).sum(axis=1) > 0


@pytest.fixture(scope="session")
def differences(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    (train_x, train_y), (test_x, test_y) = samples(600, 0), samples(100, 1)
    folder = tmp_path_factory.mktemp("differences")
    splits = Splits(train_x, train_y.astype(int), test_x, test_y.astype(int), ("minus", "plus"), {"pictures": (0, 255)})
    write_dataset(splits, folder, progress=no_progress)
    return Dataset.open(folder)


def keras_network(keras: Any) -> Callable[..., Any]:
    """Return what builds a network whose inputs are in another order than the data set's."""

    def build(input_shape: dict[str, tuple[int, ...]], classes: int) -> Any:
        layers = keras.layers
        kinds = {"minus": "float32", "rows": "int32", "plus": "float32", "pictures": "float32"}
        taken = {name: layers.Input(input_shape[name], name=name, dtype=kind) for name, kind in kinds.items()}
        embedded = layers.Flatten()(layers.Embedding(5, 2, name="rows_embedded")(taken["rows"]))
        pictures = layers.Dense(2)(layers.Flatten()(taken["pictures"]))
        joined = layers.Concatenate()([taken["plus"], taken["minus"], embedded, pictures])
        hidden = layers.Dense(128, "relu")(joined)
        return keras.Model(list(taken.values()), layers.Dense(classes)(hidden))

    return build


def torch_network() -> Callable[..., Any]:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, shapes: dict[str, tuple[int, ...]], classes: int) -> None:
            super().__init__()
            assert shapes["pictures"] == (1, 4, 4)  # channels first
            self.embedded, self.pictures = nn.Embedding(5, 2), nn.Conv2d(1, 2, 4)
            self.last = nn.Linear(shapes["plus"][0] + shapes["minus"][0] + 4 + 2, classes)

        def forward(self, minus: Any, rows: Any, plus: Any, pictures: Any) -> Any:
            more = self.embedded(rows).flatten(1), self.pictures(pictures).flatten(1)
            return self.last(torch.cat([plus, minus, *more], dim=1))

    return Net


@pytest.fixture(scope="session")
def trained_by(
    differences: Dataset, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], Model]:
    """Return a function that trains with a trainer, once."""
    models: dict[str, Model] = {}

    def train(trainer: str) -> Model:
        request.getfixturevalue("torch" if trainer == "torch" else "tensorflow")
        if trainer not in models:
            bench = Bench(tmp_path_factory.mktemp(trainer))
            network = torch_network() if trainer == "torch" else keras_network(keras_of(trainer))
            context = bench.train(differences, network)
            calling.trainer(trainer)(context, epochs=12, learning_rate=0.03)
            models[trainer] = open_model(context.out, differences, FORMATS[trainer])
        return models[trainer]

    return train


def optimized(bench: Bench, dataset: Dataset, model: Model, name: str, params: dict[str, Any]) -> Model:
    context = bench.optimize(dataset, model)
    getattr(component(f"optimizers.{name}"), name)(context, **params)
    facts = model.facts if model.facts.format == "onnx" else open_model(context.out, dataset, FORMATS[name]).facts
    if FORMATS[name] == "saved_model":
        facts = self_contained(facts)
    facts = msgspec.structs.replace(facts, format=FORMATS[name], file=format_file(FORMATS[name]))
    write_json(context.out / "model.json", facts)
    return Model.open(context.out)


def accuracy(model: Model, runtime: str, dataset: Dataset) -> float:
    opener = component(f"runtimes.{runtime}")
    # the number of TensorFlow's threads can be set once in a process
    if runtime == "tensorflow_serving":
        predictor = opener._SavedModel(model)
    else:
        predictor = getattr(opener, runtime)(model.folder, params=OwnServer())
    raw = dataset.raw("test")
    answers = ask(predictor, {one.name: raw[one.name] for one in model.facts.inputs}, "probabilities")
    assert answers.shape == (100, 2)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    return float((answers.argmax(axis=1) == dataset.y("test")).mean())


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(one, id=one.id, marks=[FRAMEWORK[one.trainer], *([] if one in USUAL else [pytest.mark.thorough])])
        for one in CHAINS
    ],
)
def test_a_model_of_several_inputs_is_trained_converted_and_asked_by_name(
    chain: Chain, trained_by: Callable[[str], Model], differences: Dataset, bench: Bench
) -> None:
    model = trained_by(chain.trainer)
    for name, params in chain.steps:
        model = optimized(bench, differences, model, name, params)
    assert accuracy(model, chain.runtime, differences) > 0.8  # swapped, it would be below 0.2


@pytest.mark.parametrize("trainer", FRAMEWORKS)
def test_the_same_training_is_the_same_bytes(
    trainer: str, trained_by: Callable[[str], Model], differences: Dataset, bench: Bench
) -> None:
    first = trained_by(trainer)
    context = bench.train(differences, torch_network() if trainer == "torch" else keras_network(keras_of(trainer)))
    calling.trainer(trainer)(context, epochs=12, learning_rate=0.03)
    assert (context.out / format_file(FORMATS[trainer])).read_bytes() == first.path.read_bytes()


@pytest.mark.tensorflow
def test_inputs_of_other_names_are_refused(differences: Dataset, bench: Bench, tensorflow: None) -> None:
    keras = keras_of("tensorflow")

    def build(input_shape: dict[str, tuple[int, ...]], classes: int) -> Any:
        taken = [keras.layers.Input(shape, name=f"my_{name}") for name, shape in input_shape.items()]
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(one) for one in taken])
        return keras.Model(taken, keras.layers.Dense(classes)(joined))

    with pytest.raises(
        PluginError, match=r"takes my_minus, .*, but the data set's arrays are minus, .*\n  name its inputs like"
    ):
        calling.trainer("tensorflow")(bench.train(differences, build))


@pytest.mark.tensorflow
def test_an_input_of_another_shape_is_named(differences: Dataset, bench: Bench, tensorflow: None) -> None:
    keras = keras_of("tensorflow")

    def build(input_shape: dict[str, tuple[int, ...]], classes: int) -> Any:
        shapes = {**input_shape, "minus": (7,)}
        types = {"rows": "int32"}
        taken = [keras.layers.Input(shape, name=name, dtype=types.get(name)) for name, shape in shapes.items()]
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(one) for one in taken if one.name != "rows"])
        return keras.Model(taken, keras.layers.Dense(classes)(joined))

    with pytest.raises(PluginError, match=r"minus' takes the shape \(None, 7\), but the data set has \(None, 6\)"):
        calling.trainer("tensorflow")(bench.train(differences, build))


@pytest.mark.torch
def test_a_forward_without_such_an_argument_is_told(differences: Dataset, bench: Bench, torch: None) -> None:
    from torch import nn

    class Net(nn.Module):
        def forward(self, plus: Any, minus: Any) -> Any:
            return plus - minus

    with pytest.raises(
        PluginError, match=r"'Net' cannot take plus: float32 samples of the shape \(None, 6\), pictures"
    ):
        calling.trainer("torch")(bench.train(differences, lambda *_: Net()))


@pytest.mark.torch
def test_a_name_that_forward_cannot_have_is_told(bench: Bench, torch: None, tmp_path: Path) -> None:
    x, y = samples(60, 0)
    arrays = {"plus.0": x["plus"], "minus": x["minus"]}
    write_dataset(Splits(arrays, y.astype(int), arrays, y.astype(int), ("a", "b")), tmp_path, progress=no_progress)
    with pytest.raises(PluginError, match=r"array 'plus\.0' cannot be an argument of a module's forward"):
        calling.trainer("torch")(bench.train(Dataset.open(tmp_path), torch_network()))


@pytest.mark.torch
def test_a_program_that_takes_its_inputs_by_position_and_answers_several(
    differences: Dataset, bench: Bench, torch: None
) -> None:
    import torch as pytorch

    from modelyard_plugins.support.torch.program import save_program

    class Net(pytorch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sums = pytorch.nn.Linear(6, 2, bias=False)
            self.sums.weight.data = pytorch.tensor([[-1.0] * 6, [1.0] * 6])

        def forward(self, b: Any, a: Any) -> Any:
            return self.sums(b - a), self.sums(a - b)

    axis = {0: pytorch.export.Dim("batch")}
    zeros = pytorch.zeros(2, 6)
    program = pytorch.export.export(Net(), (zeros, zeros.clone()), dynamic_shapes=(axis, axis))
    names = program.graph_signature.user_outputs
    save = partial(save_program, program)
    model = _imported(bench, differences, "torch", save, inputs={"plus": "a", "minus": "b"}, output=names[1])
    for steps in (["torch_onnx"], ["torch_onnx", "onnx_static"]):
        made = model
        for step in steps:
            made = _optimized_with(bench, differences, made, step, model.facts)
        assert accuracy(made, "onnxruntime", differences) > 0.9


@pytest.mark.parametrize(("trainer", "step"), [("tensorflow", "tf_keras_onnx"), ("keras", "keras_onnx")])
@pytest.mark.tensorflow
def test_a_keras_model_that_answers_several_is_exported_with_their_names(
    trainer: str, step: str, differences: Dataset, bench: Bench, tensorflow: None
) -> None:
    keras = keras_of(trainer)
    taken = {name: keras.layers.Input((6,), name=name) for name in ("minus", "plus")}
    difference = keras.layers.Subtract()([taken["plus"], taken["minus"]])
    weights = np.array([[-1.0, 1.0]] * 6)
    ends = [
        keras.layers.Dense(2, name=name, use_bias=False, kernel_initializer=keras.initializers.Constant(one))
        for name, one in (("wrong", -weights), ("right", weights))
    ]
    network = keras.Model(list(taken.values()), [end(difference) for end in ends])
    model = _imported(bench, differences, FORMATS[trainer], network.save, inputs={}, output="right")
    made = _optimized_with(bench, differences, model, step, model.facts)
    assert accuracy(made, "onnxruntime", differences) > 0.9


def _imported(
    bench: Bench, dataset: Dataset, form: str, save: Callable[[Path], Any], inputs: dict[str, str], output: str
) -> Model:
    """Return a model of `plus` and `minus` alone, as the trainer `import` would tell it."""
    replace = msgspec.structs.replace
    folder = bench.stage().out
    facts = ModelFacts.of(dataset.facts, form)
    save(folder / facts.file)
    taken = tuple(
        replace(one, tensor=inputs.get(one.name, "")) for one in facts.inputs if one.name in ("plus", "minus")
    )
    answers = tuple(replace(one, tensor=output) for one in facts.outputs)
    write_json(folder / "model.json", replace(facts, inputs=taken, outputs=answers))
    return Model.open(folder)


def _optimized_with(bench: Bench, dataset: Dataset, model: Model, step: str, facts: Any) -> Model:
    context = bench.optimize(dataset, model)
    getattr(component(f"optimizers.{step}"), step)(context)
    told = msgspec.structs.replace(facts, format=FORMATS[step], file=format_file(FORMATS[step]))
    write_json(context.out / "model.json", told)
    return Model.open(context.out)
