"""Files that Keras 2 would run code of, named like a model that modelyard wrote."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelyard.errors import DataError

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def functional(tmp_path_factory: pytest.TempPathFactory, tensorflow: None) -> Path:
    """A functional model with an operator of TensorFlow in it, as a trainer saves it."""
    import tf_keras

    from modelyard_plugins.support.keras_files import save_keras

    inputs = tf_keras.Input((4,))
    dense = tf_keras.layers.Dense(4)(inputs)
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    save_keras(tf_keras.Model(inputs, dense + inputs), path)
    return path


def test_an_operator_of_tensorflow_is_read_and_one_that_writes_files_is_refused(
    functional: Path, tmp_path: Path
) -> None:
    """Safe mode lets both pass: the second one wrote its file as soon as the model was loaded."""
    from modelyard_plugins.support.keras_files import load_keras

    assert load_keras(functional)(np.zeros((2, 4), np.float32)).shape == (2, 4)
    with zipfile.ZipFile(functional) as source, zipfile.ZipFile(tmp_path / "model.keras", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                layer = config["config"]["layers"][2]
                layer["config"]["function"] = "io.write_file"
                layer["inbound_nodes"] = [
                    ["_CONSTANT_VALUE", -1, str(tmp_path / "ran"), {"contents": "x", "name": None}]
                ]
                data = json.dumps(config).encode()
            target.writestr(name, data)
    with pytest.raises(DataError, match=r"model\.keras: calls 'io\.write_file', which can do more than compute"):
        load_keras(tmp_path / "model.keras")
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_hdf5_with_a_lambda_layer_is_refused(tmp_path: Path, tensorflow: None) -> None:
    """tf_keras ignores safe_mode for HDF5: the code ran on the first call."""
    import tf_keras

    from modelyard_plugins.support.keras_files import load_keras

    layers = [tf_keras.Input((4,)), tf_keras.layers.Lambda(lambda x: x + 1)]
    tf_keras.Sequential(layers).save(tmp_path / "model.h5")
    (tmp_path / "model.h5").rename(tmp_path / "model.keras")
    with pytest.raises(DataError, match=r"model\.keras: is no \.keras archive\n  save the model in Keras's own format"):
        load_keras(tmp_path / "model.keras")
