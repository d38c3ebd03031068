from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard import DataError
from modelyard.artifacts import Model, self_contained
from modelyard.files.json import write_json
from modelyard.tensors import Activation, Preprocessing


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def exported(trained: Trained, bench: Bench) -> Model:
    """The small trained model, exported; with the `model.json` that the stage writes."""
    from msgspec.structs import replace

    from modelyard_plugins.optimizers.saved_model import saved_model

    context = bench.optimize(trained.dataset, trained.model)
    told = saved_model(context)
    assert told == self_contained(trained.model.facts)
    assert context.metrics["size_bytes"] == sum(p.stat().st_size for p in context.out.rglob("*") if p.is_file())
    write_json(context.out / "model.json", replace(told, format="saved_model", file="saved_model"))
    return Model.open(context.out)


def test_it_takes_raw_samples_and_answers_what_its_parent_does(exported: Model, trained: Trained) -> None:
    import tensorflow as tf

    from modelyard_plugins.support.keras.saved_model import load_signature
    from modelyard_plugins.support.keras_files import load_keras

    raw = np.array(trained.dataset.x("test"))
    logits = load_keras(trained.model.path)(trained.dataset.inputs("test"))
    answered = load_signature(exported)(tf.constant(raw))
    assert list(answered) == ["probabilities"]
    np.testing.assert_allclose(answered["probabilities"], tf.nn.softmax(logits), atol=1e-6)
    assert exported.facts.preprocessing == Preprocessing()
    assert exported.facts.output == "probabilities"


def test_the_same_model_gives_the_same_bytes_however_many_functions_came_before(
    exported: Model, trained: Trained, bench: Bench
) -> None:
    import tensorflow as tf

    from modelyard_plugins.optimizers.saved_model import saved_model

    for _ in range(11):
        tf.function(lambda x: x + 1)(tf.constant(1))
    again = bench.optimize(trained.dataset, trained.model)
    saved_model(again)
    assert digests(again.out / "saved_model") == digests(exported.path)
    names = {name.partition(".")[0] for name in digests(exported.path)}
    assert names == {"saved_model", "fingerprint", "variables/variables"}


def test_whatever_the_order_of_its_functions_a_recurrent_model_is_the_same_bytes(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf
    import tf_keras
    from tensorflow.core.protobuf import saved_model_pb2

    from modelyard_plugins.support.keras.saved_model import write_saved_model

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 1)),
            layers.Reshape((8, 8)),
            *(layers.LSTM(3, return_sequences=True), layers.LSTM(3)),  # each with a random UUID in its functions
        ]
    )
    saved = saved_model_pb2.SavedModel()

    def save(module: Any, folder: str, **options: Any) -> None:
        """Save what was saved the first time, with its functions in another order: TensorFlow's is that of a hash."""
        if not saved.meta_graphs:
            really_save(module, str(tmp_path / "first"), **options)
            saved.ParseFromString((tmp_path / "first" / "saved_model.pb").read_bytes())
        functions = saved.meta_graphs[0].graph_def.library.function
        functions.sort(
            key=lambda one: re.findall(rb"lstm_[\da-f-]{36}", one.SerializeToString()), reverse="b" in folder[-1]
        )
        shutil.copytree(tmp_path / "first", folder)
        Path(folder, "saved_model.pb").write_bytes(saved.SerializeToString())

    really_save = tf.saved_model.save
    monkeypatch.setattr(tf.saved_model, "save", save)
    for name in "ab":
        write_saved_model(tmp_path / name, trained.model.facts, model, model.variables)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_model_with_another_signature_is_refused(trained: Trained, bench: Bench) -> None:
    from msgspec.structs import replace

    from modelyard_plugins.support.keras.saved_model import load_signature, write_saved_model

    facts = replace(trained.model.facts, format="saved_model", file="saved_model")
    folder = bench.stage().out
    other = replace(facts, inputs=(replace(facts.input, shape=(4, 4, 1)),))
    write_saved_model(folder / "saved_model", other, lambda x: x[:, 0, :3, 0], ())
    with pytest.raises(DataError, match=r"is input: uint8 \[None, 4, 4, 1\] -> .*, not input: uint8 \[None, 8, 8, 1\]"):
        load_signature(Model(folder, facts))


@pytest.mark.parametrize(
    ("activation", "inside", "expected"),
    [("none", False, [-1, 0, 2]), ("sigmoid", False, [0.268941, 0.5, 0.880797]), ("sigmoid", True, [-1, 0, 2])],
)
def test_what_is_answered_has_the_name_shape_and_activation_of_the_facts(
    trained: Trained, bench: Bench, activation: Activation, inside: bool, expected: list[Any]
) -> None:
    import tensorflow as tf
    from msgspec.structs import replace

    from modelyard.tensors import OutputFacts
    from modelyard_plugins.support.keras.saved_model import load_signature, write_saved_model

    answer = OutputFacts(name="levels", shape=(3, 1), activation=activation, inside=inside)
    facts = replace(trained.model.facts, format="saved_model", file="saved_model", outputs=(answer,))
    folder = bench.stage().out
    levels = tf.constant([[[-1.0], [0.0], [2.0]]])
    write_saved_model(folder / "saved_model", facts, lambda x: tf.tile(levels, [tf.shape(x)[0], 1, 1]), ())
    found = load_signature(Model(folder, facts))(tf.zeros((2, 8, 8, 1), tf.uint8))
    np.testing.assert_allclose(found["levels"].numpy()[..., 0], [expected] * 2, rtol=1e-5)
    other = replace(facts, outputs=(replace(answer, name="heights"),))
    with pytest.raises(DataError, match=r"-> levels: float32 \[None, 3, 1\], not .*-> heights: float32"):
        load_signature(Model(folder, other))


def test_a_damaged_folder_is_told_in_words(trained: Trained, bench: Bench) -> None:
    from msgspec.structs import replace

    from modelyard_plugins.support.keras.saved_model import load_signature

    folder = bench.stage().out
    (folder / "saved_model").mkdir()
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"\x00damaged")
    with pytest.raises(DataError, match="cannot be read as a SavedModel"):
        load_signature(Model(folder, replace(trained.model.facts, format="saved_model", file="saved_model")))


def test_a_graph_that_writes_a_file_is_refused(trained: Trained, bench: Bench) -> None:
    import tensorflow as tf
    from msgspec.structs import replace

    from modelyard_plugins.support.keras.saved_model import load_signature, write_saved_model

    facts = replace(trained.model.facts, format="saved_model", file="saved_model")
    folder = bench.stage().out

    def call(x: Any) -> Any:
        tf.io.write_file(str(folder / "ran"), "x")
        return x[:, 0, :3, 0]

    write_saved_model(folder / "saved_model", facts, call, ())
    with pytest.raises(DataError, match=r"has the operator 'WriteFile', which can do more than compute\n  take"):
        load_signature(Model(folder, facts))


@pytest.mark.parametrize("damage", ["link", "file"])
def test_a_folder_with_more_than_a_saved_model_is_refused(trained: Trained, bench: Bench, damage: str) -> None:
    from msgspec.structs import replace

    from modelyard_plugins.support.keras.saved_model import load_signature, write_saved_model

    facts = replace(trained.model.facts, format="saved_model", file="saved_model")
    folder = bench.stage().out
    write_saved_model(folder / "saved_model", facts, lambda x: x[:, 0, :3, 0], ())
    if damage == "link":
        (folder / "saved_model" / "fingerprint.pb").unlink()
        (folder / "saved_model" / "fingerprint.pb").symlink_to("/etc/hostname")
    else:
        (folder / "saved_model" / "code.py").touch()
    with pytest.raises(DataError, match=r"holds '(fingerprint\.pb|code\.py)', so it is not just a SavedModel\n  write"):
        load_signature(Model(folder, facts))


def test_its_configuration_can_be_read() -> None:
    from modelyard.component import parameters_of
    from modelyard_plugins.optimizers.saved_model import saved_model

    assert parameters_of(saved_model, "saved-model") == {}
