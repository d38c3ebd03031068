"""What a request is called in the metrics, the log and its span, whatever a client sends."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.metrics import STATUSES
from modelyard.serving.observe import GRPC_CODES, LABELS, MALFORMED, QUIET, ROUTES, operation


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


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/inference.GRPCInferenceService/ModelInfer", ("oip-grpc", "infer")),
        ("/inference.GRPCInferenceService/ServerLive", ("health-grpc", "live")),
        ("/inference.GRPCInferenceService/ModelMetadata", ("oip-grpc", "describe")),
        ("/tensorflow.serving.PredictionService/Predict", ("tfserving-grpc", "predict")),
        ("/tensorflow.serving.PredictionService/GetModelMetadata", ("tfserving-grpc", "metadata")),
        ("/tensorflow.serving.ModelService/GetModelStatus", ("tfserving-grpc", "describe")),
        ("/grpc.health.v1.Health/Watch", ("health-grpc", "watch")),
        ("/inference.GRPCInferenceService/ModelInferX", ("other", "other")),
    ],
)
def test_a_call_has_labels_as_a_path_has(path: str, expected: tuple[str, str]) -> None:
    assert operation(path) == expected


PIECES = (
    *("/v1", "/v2", "/models/", "a", ":", "predict", "Classify", "/infer", "/ready", "/health/live", "/metadata"),
    *("/events", "/metrics", "/versions/1", "\n", "é", "\0", "/grpc.health.v1.Health/", "Check", " ", "//", "INFER"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_whatever_a_client_asks_has_labels_that_are_counted(path: str) -> None:
    assert operation(path) in LABELS


def test_labels_are_each_once_and_what_is_no_request_has_its_own() -> None:
    assert len(set(LABELS)) == len(LABELS)
    assert MALFORMED in LABELS
    assert operation("/http/malformed") != MALFORMED


def test_a_route_is_a_path_that_has_its_labels() -> None:
    for labels, route in ROUTES.items():
        for path in (route.replace("[", "").replace("]", ""), re.sub(r"\[.*\]", "", route)):
            assert operation(path) == labels


def test_probes_and_scrapes_are_quiet_and_predictions_are_not() -> None:
    quiet = [labels for labels in LABELS if labels[0] in QUIET]

    assert ("metrics", "metrics") in quiet
    assert {name for _, name in quiet} == {"live", "ready", "check", "watch", "metrics"}


def test_each_status_that_is_counted_of_a_call_has_a_code_of_grpc() -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    known = {one.value[0] for one in grpc.StatusCode}

    assert set(GRPC_CODES.values()) <= known
    assert set(STATUSES) - set(GRPC_CODES) == {202, 417, 505}, "which HTTP and events alone have"
