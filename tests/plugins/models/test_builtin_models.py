from __future__ import annotations

from typing import Any

import pytest

from modelyard import DataError


def test_guide_cnn_is_the_guides_network(tensorflow: None) -> None:
    from modelyard_plugins.models.guide_cnn import guide_cnn

    model = guide_cnn((32, 32, 3), 10)
    assert model.count_params() == 167_562
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dropout", "Dense"]
    assert model.get_layer("dropout").rate == 0.25
    assert model.layers[-1].activation.__name__ == "linear"


def test_digits_cnn_takes_small_images(tensorflow: None) -> None:
    from modelyard_plugins.models.digits_cnn import digits_cnn

    model = digits_cnn((8, 8, 1), 10, filters=4, dense_units=8, dropout=0.5)
    assert model.output_shape == (None, 10)
    assert model.get_layer("conv2").filters == 8


def test_guide_cnn_names_the_model_for_small_images(tensorflow: None) -> None:
    from modelyard_plugins.models.guide_cnn import guide_cnn

    with pytest.raises(DataError, match=r"from 10 x 10, but these are 8 x 8\n  use the model 'digits-cnn'"):
        guide_cnn((8, 8, 1), 10)
    with pytest.raises(DataError, match=r"takes images \(height, width, channels\)"):
        guide_cnn((64,), 10)


def test_guide_cnn_keras_is_its_twin_in_keras_3(tensorflow: None) -> None:
    from modelyard_plugins.models.guide_cnn_keras import guide_cnn_keras

    model = guide_cnn_keras((32, 32, 3), 10)
    assert model.count_params() == 167_562
    assert model.output_shape == (None, 10)
    with pytest.raises(DataError, match="guide-cnn-keras"):
        guide_cnn_keras((8, 8, 1), 10)


def test_guide_cnn_torch_is_its_twin(torch: None) -> None:
    from torch import nn

    from modelyard_plugins.models.guide_cnn_torch import guide_cnn_torch

    model = guide_cnn_torch((3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == 167_562
    kinds = [type(layer).__name__ for layer in model if not isinstance(layer, nn.ReLU)]
    assert kinds == ["Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Flatten", "Linear", "Dropout", "Linear"]
    assert model.dropout.p == 0.25


def test_digits_cnn_torch_is_a_twin_too(tensorflow: None, torch: None) -> None:
    from modelyard_plugins.models.digits_cnn import digits_cnn
    from modelyard_plugins.models.digits_cnn_torch import digits_cnn_torch

    options: dict[str, Any] = {"filters": 4, "dense_units": 8, "dropout": 0.5}
    model, twin = digits_cnn((8, 9, 1), 10, **options), digits_cnn_torch((1, 8, 9), 10, **options)
    assert sum(p.numel() for p in twin.parameters()) == model.count_params()
    assert [name for name, _ in twin.named_children() if "relu" not in name] == [layer.name for layer in model.layers]


def test_the_twins_name_the_model_for_small_images(torch: None) -> None:
    from modelyard_plugins.models.guide_cnn_torch import guide_cnn_torch

    with pytest.raises(DataError, match=r"from 10 x 10, but these are 8 x 9\n  use the model 'digits-cnn-torch'"):
        guide_cnn_torch((1, 8, 9), 10)
    with pytest.raises(DataError, match=r"takes images \(height, width, channels\)"):
        guide_cnn_torch((64,), 10)
