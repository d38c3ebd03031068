"""What TF Serving's REST API says of a model, against the bodies of its own sources and tests."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


def test_status(client: httpx.Client) -> None:
    ok = {"error_code": "OK", "error_message": ""}
    golden = {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": ok}]}

    for path in (
        "/v1/models/digits",
        "/v1/models/digits/versions/1",
        "/V1/Models/digits",
        "/v1/models/digits/versions/01",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, golden), path
        assert answer.headers["content-type"] == "application/json"


def test_metadata(client: httpx.Client) -> None:
    def info(name: str, dtype: Any, *sizes: Any) -> dict[str, Any]:
        dims = [{"size": size, "name": ""} for size in sizes]
        return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": f"{name}:0"}

    signature = {
        "inputs": {"input": info("input", "DT_UINT8", "-1", "8", "8", "1")},
        "outputs": {"probabilities": info("probabilities", "DT_FLOAT", "-1", "10")},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    golden = {
        "model_spec": {"name": "digits", "signature_name": "", "version": "1"},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }

    assert client.get("/v1/models/digits/metadata").json() == golden
    assert client.get("/v1/models/digits/versions/1/metadata").json() == golden


def test_metadata_fits_the_proto_of_tf_serving(client: httpx.Client) -> None:
    """TensorFlow knows SignatureDef; its JSON form must take what the server says."""
    meta_graph = pytest.importorskip("tensorflow.core.protobuf.meta_graph_pb2", exc_type=ImportError)
    from google.protobuf import json_format

    signatures = client.get("/v1/models/digits/metadata").json()["metadata"]["signature_def"]["signature_def"]
    parsed = json_format.ParseDict(signatures["serving_default"], meta_graph.SignatureDef())

    assert [dim.size for dim in parsed.inputs["input"].tensor_shape.dim] == [-1, 8, 8, 1]
