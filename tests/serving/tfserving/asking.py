"""What the tests of TF Serving's REST API ask, and how its errors are read."""

from __future__ import annotations

from typing import Any

import numpy as np

PREDICT = "/v1/models/digits:predict"
SAMPLE = np.zeros((8, 8, 1), int).tolist()


def error(response: Any) -> Any:
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return response.json()["error"]
