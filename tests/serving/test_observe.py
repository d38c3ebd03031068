"""What a request is called in the metrics, the log and its span, whatever a client sends."""

from __future__ import annotations

import pytest

from modelyard.serving.observe import operation


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/a/versions/1:Predict", ("tfserving", "predict")),
        ("/v1/models/a/metadata", ("tfserving", "metadata")),
        ("/v1/models/a", ("tfserving", "describe")),
        ("/v2/health/live", ("health", "live")),
        ("/v2/models/a/infer", ("oip", "infer")),
        ("/v2/models/a/versions/3/ready", ("oip", "ready")),
        ("/v2/models/a", ("oip", "describe")),
        ("/v2", ("oip", "describe")),
        ("/metrics", ("metrics", "metrics")),
        ("/v2x", ("other", "other")),
        ("/anything\n", ("other", "other")),
    ],
)
def test_any_path_has_one_of_a_few_labels(path: str, expected: tuple[str, str]) -> None:
    assert operation(path) == expected
