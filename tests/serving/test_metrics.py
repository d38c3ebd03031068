from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from tests.serving.conftest import Running


def scrape(client: Any) -> dict[tuple[Any, Any], Any]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels(**pairs: Any) -> Any:
    return frozenset(pairs.items())


def test_requests_samples_and_the_model_are_seen(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    body = {"instances": np.zeros((3, 8, 8, 1), int).tolist()}
    with start(models / "float32") as server, server.client() as client:
        for _ in range(4):
            client.post("/v1/models/digits:predict", json=body)
        client.post("/v1/models/digits:predict", json={})
        client.get("/v2/health/ready")
        seen = scrape(client)

    predict = labels(protocol="tfserving", operation="predict")
    assert seen["modelyard_requests_total", predict | labels(code="200")] == 4
    assert seen["modelyard_requests_total", predict | labels(code="400")] == 1
    assert seen["modelyard_request_seconds_count", predict] == 5
    assert 0 < seen["modelyard_request_seconds_sum", predict] < 60
    assert seen["modelyard_requests_total", labels(protocol="health", operation="ready", code="200")] == 1
    assert seen["modelyard_samples_total", labels()] == 12
    assert seen["modelyard_inference_seconds_count", labels()] == 4
    assert seen["modelyard_requests_in_progress", labels()] == 1, "the scrape itself"
    assert seen["modelyard_ready", labels()] == 1
    assert seen["process_resident_memory_bytes", labels()] > 1e6
    model = labels(name="digits", version="1", format="tflite", variant="float32", sha256="0f" * 32)
    assert seen["modelyard_model_info", model] == 1
    assert not any(name.endswith("_created") for name, _ in seen)
