from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard.errors import StageFailed
from modelyard.testing import SMALL_PYPROJECT, check_optimizer, write_small_project

# to import it is to import TensorFlow, whichever tests are asked for
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(find_spec("tf2onnx") is None, reason="needs the extra 'keras'"),
]


def test_onnx_answers_as_the_model_does(trained: Trained, bench: Bench) -> None:
    import onnxruntime

    from modelyard_plugins.optimizers.tf_keras_onnx import tf_keras_onnx
    from modelyard_plugins.support.keras_files import load_keras

    context = bench.optimize(trained.dataset, trained.model)
    tf_keras_onnx(context)

    session = onnxruntime.InferenceSession(str(context.out / "model.onnx"), providers=["CPUExecutionProvider"])
    inputs = trained.dataset.inputs("test")
    right = load_keras(trained.model.path).predict(inputs, verbose=0)
    np.testing.assert_allclose(session.run(["logits"], {"image": inputs})[0], right, atol=1e-4)
    assert session.get_inputs()[0].shape == ["batch", 8, 8, 1]


def test_a_layer_that_onnx_lacks_is_named(trained: Trained, bench: Bench, tmp_path: Path) -> None:
    import tf_keras
    from tests.plugins.optimizers.odd_layers import Bessel

    from modelyard_plugins.optimizers.tf_keras_onnx import tf_keras_onnx
    from modelyard_plugins.support.keras_files import save_keras

    layers = tf_keras.layers
    odd = tf_keras.Sequential([tf_keras.Input((8, 8, 1)), layers.Flatten(), Bessel(), layers.Dense(3)], name="odd")
    save_keras(odd, tmp_path / "model.keras")
    context = bench.optimize(trained.dataset, bench.open_model(tmp_path, trained.dataset, "tf_keras"))
    with pytest.raises(
        StageFailed, match=r"'odd' cannot be converted to ONNX, which .*BesselJ0 \('.*\n  replace the layer"
    ):
        tf_keras_onnx(context)


@pytest.mark.thorough
@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    text = SMALL_PYPROJECT.replace('float32 = ["float32"]', 'float32 = ["tf-keras-onnx"]')
    text += '\n[tool.modelyard.runtime]\nuse = "onnxruntime"\n'
    project = write_small_project(tmp_path / "project", {"pyproject.toml": text})

    assert check_optimizer("tf-keras-onnx", project=project).evaluation.metric("accuracy").value > 0.9
