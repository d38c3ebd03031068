"""The outputs of an answer, against TF Serving's own."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.tfserving.asking import PREDICT


@pytest.mark.parametrize("name", ["int8", "int8-io", "uint8-io", "int16-io", "batch-3"])
def test_predictions_of_every_kind_of_model(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    name: str,
) -> None:
    with start(models / name) as server, server.client() as client:
        answer = client.post(PREDICT, json={"instances": raw.tolist()})

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / name, raw), atol=1e-6)


def test_numbers_are_the_shortest_that_give_the_float32_back(client: httpx.Client, raw: np.ndarray) -> None:
    numbers = np.ravel(client.post(PREDICT, json={"instances": raw.tolist()}).json()["predictions"])

    shortest = [np.format_float_positional(np.float32(number), unique=True) for number in numbers]
    assert len(numbers) == 70
    assert numbers.tolist() == [float(text) for text in shortest]


def test_nan_is_taken_and_given_as_tf_serving_does(raw_client: httpx.Client, models: Path, raw: np.ndarray) -> None:
    rows = raw.astype(float).tolist()
    rows[1][0][0][0] = math.nan

    answer = raw_client.post(PREDICT, content=json.dumps({"instances": rows}))

    assert answer.status_code == 200
    assert "NaN" in answer.text
    predictions = np.array(json.loads(answer.text)["predictions"])
    assert np.isnan(predictions[1]).all()
    np.testing.assert_allclose(np.delete(predictions, 1, axis=0).sum(axis=1), 1, atol=1e-5)
