"""TF Serving's gRPC, asked with its own messages; answers are those of HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("hpack", reason="hpack is not installed")
pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")
StatusCode = grpc.StatusCode


@pytest.fixture(scope="module")
def apis() -> Any:
    """The messages; they need TensorFlow's own, which take seconds to import."""
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    found: dict[str, type] = {}
    for module in (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    ):
        found |= {name: value for name, value in vars(module).items() if isinstance(value, type)}
    return type("Apis", (), found | {"TensorProto": tensor_pb2.TensorProto})


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path) -> Iterator[Any]:
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="32") as running:
        yield running


@pytest.fixture(scope="module")
def channel(server: Any) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as one:
        yield one


@pytest.fixture(scope="module")
def stub(channel: Any, apis: Any) -> Any:
    return apis.PredictionServiceStub(channel)


def tensor(apis: Any, raw: Any, dtype: int = 4, **values: Any) -> Any:
    """A tensor of uint8, if `dtype` does not say otherwise, with its bytes, or its values as `values` says."""
    one = apis.TensorProto(dtype=dtype, **(values or {"tensor_content": raw.tobytes()}))
    for size in raw.shape:
        one.tensor_shape.dim.add(size=size)
    return one


def request_of(apis: Any, value: Any, key: str = "input", **spec: Any) -> Any:
    request = apis.PredictRequest(model_spec={"name": "digits", **spec})
    request.inputs[key].CopyFrom(value)
    return request


def over_http(server: Any, raw: Any) -> np.ndarray:
    with server.client() as client:
        answer = client.post("/v1/models/digits:predict", json={"instances": raw.tolist()})
    return np.array(answer.json()["predictions"], np.float32)


@contextlib.contextmanager
def refused(code: Any, words: Any) -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert (caught.value.code(), words in caught.value.details()) == (code, True), caught.value.details()


def values_of(answer: Any) -> Any:
    tensor = answer.outputs["probabilities"]
    return np.array(tensor.float_val, np.float32).reshape([dim.size for dim in tensor.tensor_shape.dim])


def test_bytes_and_values_are_answered_as_over_http(server: Any, stub: Any, apis: Any, raw: np.ndarray) -> None:
    right = over_http(server, raw)

    answer = stub.Predict(request_of(apis, tensor(apis, raw)))
    also = stub.Predict(
        request_of(apis, tensor(apis, raw, int_val=raw.ravel().tolist()), signature_name="serving_default")
    )

    np.testing.assert_array_equal(values_of(answer), right)
    np.testing.assert_array_equal(values_of(also), right)
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("digits", 1, "serving_default")
    assert answer.outputs["probabilities"].dtype == 1


@pytest.mark.parametrize("given", [[], [5], [1, 2, 3]])
def test_the_last_of_fewer_values_goes_on_to_the_end(server: Any, stub: Any, apis: Any, given: list[Any]) -> None:
    whole = np.array([*given, *[given[-1] if given else 0] * (128 - len(given))], np.uint8).reshape(2, 8, 8, 1)

    answer = stub.Predict(request_of(apis, tensor(apis, whole, int_val=given)))

    np.testing.assert_array_equal(values_of(answer), over_http(server, whole))


def test_floats(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, apis: Any, raw: np.ndarray
) -> None:
    values = raw.astype(np.float32) / np.float32(3)
    with (
        start(models / "float32-raw", GRPC_PORT="0") as running,
        grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as one,
    ):
        stub, right = apis.PredictionServiceStub(one), over_http(running, values)
        for given in ({}, {"float_val": values.ravel().tolist()}):
            answer = stub.Predict(request_of(apis, tensor(apis, values, 1, **given)))
            np.testing.assert_array_equal(values_of(answer), right)


def test_metadata_and_status(server: Any, channel: Any, stub: Any, apis: Any) -> None:
    request = apis.GetModelMetadataRequest(model_spec={"name": "digits"}, metadata_field=["signature_def"])
    answer = stub.GetModelMetadata(request)
    found = apis.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    signature = found.signature_def["serving_default"]
    with server.client() as client:
        said = client.get("/v1/models/digits/metadata").json()["metadata"]["signature_def"]["signature_def"]
    for ours, theirs in ((signature.inputs, "inputs"), (signature.outputs, "outputs")):
        for name, info in said["serving_default"][theirs].items():
            assert ours[name].name == info["name"]
            assert [str(dim.size) for dim in ours[name].tensor_shape.dim] == [
                d["size"] for d in info["tensor_shape"]["dim"]
            ]
    assert (signature.method_name, signature.inputs["input"].dtype) == ("tensorflow/serving/predict", 4)
    status = apis.ModelServiceStub(channel).GetModelStatus(apis.GetModelStatusRequest(model_spec={"name": "digits"}))
    assert [(one.version, one.state, one.status.error_code) for one in status.model_version_status] == [(1, 30, 0)]


def test_what_is_not_served_is_refused_in_tf_servings_words(
    channel: Any, stub: Any, apis: Any, raw: np.ndarray
) -> None:
    fit = tensor(apis, raw)
    with refused(StatusCode.NOT_FOUND, "Servable not found for request: Latest(other)"):
        stub.Predict(request_of(apis, fit, name="other"))
    with refused(StatusCode.NOT_FOUND, "Servable not found for request: Specific(digits, 2)"):
        stub.Predict(request_of(apis, fit, version={"value": 2}))
    with refused(StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: canary"):
        stub.Predict(request_of(apis, fit, version_label="canary"))
    with refused(StatusCode.INVALID_ARGUMENT, 'Serving signature name: "x" not found in signature def'):
        stub.Predict(request_of(apis, fit, signature_name="x"))
    with refused(StatusCode.INVALID_ARGUMENT, 'Serving signature name: "x y" not found in signature def'):
        stub.Predict(request_of(apis, fit, signature_name="x\ny"))
    with refused(StatusCode.INVALID_ARGUMENT, "Sent extra: {x}. Missing but required: {input}."):
        stub.Predict(request_of(apis, fit, "x"))
    with refused(StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"):
        stub.Predict(apis.PredictRequest())
    with refused(StatusCode.UNIMPLEMENTED, "unknown method 'Classify'"):
        channel.unary_unary("/tensorflow.serving.PredictionService/Classify")(b"")
    with refused(StatusCode.NOT_FOUND, "Could not find any versions of model x"):
        apis.ModelServiceStub(channel).GetModelStatus(apis.GetModelStatusRequest(model_spec={"name": "x"}))
    request = apis.GetModelMetadataRequest(model_spec={"name": "digits"}, metadata_field=["x"])
    with refused(StatusCode.INVALID_ARGUMENT, "Metadata field x is not supported"):
        stub.GetModelMetadata(request)
    filtered = request_of(apis, fit)
    filtered.output_filter.append("x")
    with refused(StatusCode.INVALID_ARGUMENT, "output tensor alias not found in signature: x"):
        stub.Predict(filtered)


def test_tensors_that_do_not_fit(stub: Any, apis: Any, raw: np.ndarray) -> None:
    cases = [
        (tensor(apis, raw, 1), "dtype is 1, expected 4 (uint8)"),
        (tensor(apis, raw[:, :4]), "has shape [7, 4, 8, 1], expected [-1, 8, 8, 1]"),
        (tensor(apis, raw[0]), "its shape has 3 dimensions"),
        (tensor(apis, raw, tensor_content=b"\0" * 5), "5 bytes do not fit uint8"),
        (tensor(apis, raw, int_val=[1] * 449), "holds 449 values of uint8, expected 448"),
        (tensor(apis, raw, int_val=[300]), "the number 300 is no uint8"),
        (tensor(apis, np.zeros((33, 8, 8, 1), np.uint8)), "holds 33 samples; at most 32 are taken"),
        (tensor(apis, np.zeros((0, 8, 8, 1), np.uint8), int_val=[]), "sample"),
    ]
    for value, words in cases:
        with refused(StatusCode.INVALID_ARGUMENT, words):
            stub.Predict(request_of(apis, value))
