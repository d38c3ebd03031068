"""Asks a server over gRPC with Triton's own client, and over HTTP for the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
client_module = pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")
messages, stubs = client_module.service_pb2, client_module.service_pb2_grpc
StatusCode = grpc.StatusCode

SERVICE = "inference.GRPCInferenceService"


def channel(server: Any, **options: Any) -> Any:
    pool = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1), *options.items()]
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=pool)


def tensor(raw: Any, name: str = "input") -> Any:
    one = client_module.InferInput(name, raw.shape, "UINT8")
    one.set_data_from_numpy(raw)
    return one


def request_of(raw: Any, **changes: Any) -> Any:
    """A request with its values in the tensor, as clients without Triton's library write it."""
    said = {
        "name": "input",
        "datatype": "UINT8",
        "shape": raw.shape,
        "contents": {"uint_contents": raw.ravel().tolist()},
    }
    return messages.ModelInferRequest(model_name="digits", inputs=[said | changes])


def over_http(server: Any, raw: Any, name: str = "UINT8") -> Any:
    said = {"name": "input", "datatype": name, "shape": list(raw.shape), "data": raw.ravel().tolist()}
    with server.client() as client:
        answer = client.post("/v2/models/digits/infer", json={"inputs": [said]}).json()
    return np.array(answer["outputs"][0]["data"], np.float32).reshape(answer["outputs"][0]["shape"])


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    assert "\n" not in caught.value.details()
    return caught.value.code(), caught.value.details()
