"""What kind of request a path is: the labels of the metrics, few whatever a client sends."""

from __future__ import annotations

import re

OPERATIONS = (
    (re.compile(r"/inference\.GRPCInferenceService/Model(Infer|Ready)"), "oip-grpc"),
    (re.compile(r"/inference\.GRPCInferenceService/Server(Live|Ready)"), "health-grpc"),
    (re.compile(r"/inference\.GRPCInferenceService/(?:Server|Model)Metadata"), "oip-grpc"),
    (re.compile(r"/tensorflow\.serving\.PredictionService/(Predict)"), "tfserving-grpc"),
    (re.compile(r"/tensorflow\.serving\.PredictionService/GetModel(Metadata)"), "tfserving-grpc"),
    (re.compile(r"/tensorflow\.serving\.ModelService/GetModelStatus"), "tfserving-grpc"),
    (re.compile(r"/grpc\.health\.v1\.Health/(Check|Watch)"), "health-grpc"),
    (re.compile(r"/v1/.*:(predict|classify|regress)", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v1/.*/(metadata)", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v1/.*", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v2/health/(live|ready)"), "health"),
    (re.compile(r"/v2/models/.*/(infer|ready)"), "oip"),
    (re.compile(r"/v2(?:/.*)?"), "oip"),
    (re.compile(r"/(metrics)"), "metrics"),
    (re.compile(r"/(events)"), "events"),
)
QUIET = ("health", "health-grpc", "metrics")
MALFORMED = ("http", "malformed")
"""The labels of what is no request."""
LABELS = (
    *(("tfserving", name) for name in ("predict", "classify", "regress", "metadata", "describe")),
    *(("health", name) for name in ("live", "ready")),
    *(("oip", name) for name in ("infer", "ready", "describe")),
    *(("oip-grpc", name) for name in ("infer", "ready", "describe")),
    *(("tfserving-grpc", name) for name in ("predict", "metadata", "describe")),
    *(("health-grpc", name) for name in ("live", "ready", "check", "watch")),
    ("metrics", "metrics"),
    ("events", "events"),
    ("other", "other"),
    MALFORMED,
)
"""Every pair of a protocol and an operation that there is."""
_V1, _V2 = "/v1/models/NAME[/versions/N]", "/v2/models/NAME[/versions/N]"
ROUTES = {
    **{("tfserving", name): f"{_V1}:{name}" for name in ("predict", "classify", "regress")},
    ("tfserving", "metadata"): f"{_V1}/metadata",
    ("tfserving", "describe"): _V1,
    ("oip", "infer"): f"{_V2}/infer",
    ("oip", "ready"): f"{_V2}/ready",
    ("events", "events"): "/events",
    ("oip", "describe"): "/v2[/models/NAME[/versions/N]]",
}
"""The paths that have these labels and a span, as the page of the server writes them."""

GRPC_CODES = {
    200: 0,
    400: 3,
    401: 16,
    404: 5,
    405: 12,
    408: 4,
    413: 8,
    415: 12,
    431: 8,
    499: 1,
    500: 13,
    503: 14,
    504: 4,
}
"""What gRPC calls the statuses that calls are counted and logged in."""


def operation(path: str) -> tuple[str, str]:
    """Return the protocol and the operation of `path`, one of `LABELS`."""
    for pattern, protocol in OPERATIONS:
        if match := pattern.fullmatch(path):
            return protocol, match[1].lower() if match.re.groups else "describe"
    return "other", "other"
