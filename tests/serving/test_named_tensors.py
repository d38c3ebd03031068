"""Models of several inputs and outputs, which have names, over both protocols."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.named_models import notes, sample, write_notes
from tests.serving.raw import INFER
from tests.serving.servers import PREDICT

pytest.importorskip("onnx", reason="needs onnx, to write the models")
KINDS = {"ids": "INT64", "weights": "FP32"}


@pytest.fixture(scope="module")
def server(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    folder = write_notes(tmp_path_factory.mktemp("named") / "notes")
    with start(folder, BACKEND="onnxruntime", MAX_BATCH="32", MAX_LENGTH="50", GRPC_PORT="0") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[Any]:
    with server.client() as one:
        yield one


def oip_inputs(samples: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": KINDS[name], "shape": list(array.shape), "data": array.ravel().tolist()}
        for name, array in samples.items()
    ]


def rows_of(samples: Any) -> list[dict[str, Any]]:
    return [
        dict(zip(samples, row, strict=True)) for row in zip(*(one.tolist() for one in samples.values()), strict=True)
    ]


def assert_close(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(np.reshape(found[name], array.shape), array, rtol=1e-5, err_msg=name)


def test_both_protocols_describe_the_signature(client: Any) -> None:
    said = client.get("/v2/models/digits").json()
    signature = client.get("/v1/models/digits/metadata").json()["metadata"]["signature_def"]["signature_def"]
    tensors = signature["serving_default"]["inputs"] | signature["serving_default"]["outputs"]

    assert said["inputs"] == [
        {"name": "ids", "datatype": "INT64", "shape": [-1, -1]},
        {"name": "weights", "datatype": "FP32", "shape": [-1, -1, 2]},
    ]
    assert [(one["name"], one["datatype"], one["shape"]) for one in said["outputs"]] == [
        ("onset", "FP32", [-1, 2]),
        ("note", "FP32", [-1, 2]),
        ("scaled", "FP32", [-1, -1, 2]),
        ("count", "INT64", [-1]),
    ]
    assert said["parameters"]["labels"] == {"onset": ["left", "right"]}
    assert {name: one["dtype"] for name, one in tensors.items()} == {
        "ids": "DT_INT64", "weights": "DT_FLOAT", "onset": "DT_FLOAT", "note": "DT_FLOAT", "scaled": "DT_FLOAT",
        "count": "DT_INT64",
    }  # fmt: skip
    assert [dim["size"] for dim in tensors["weights"]["tensor_shape"]["dim"]] == ["-1", "-1", "2"]


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("tokens", [1, 7, 50])
def test_tritons_http_client_gets_every_output_under_its_own_name(
    server: Any, binary_in: bool, binary_out: bool, tokens: int
) -> None:
    module = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    samples = sample(20, tokens)
    inputs = [module.InferInput(name, list(samples[name].shape), KINDS[name]) for name in ("weights", "ids")]
    for one in inputs:
        one.set_data_from_numpy(samples[one.name()], binary_data=binary_in)
    outputs = [
        module.InferRequestedOutput(name, binary_data=binary_out) for name in ("note", "count", "onset", "scaled")
    ]

    with module.InferenceServerClient(f"127.0.0.1:{server.port}") as triton:
        answer = triton.infer("digits", inputs, outputs=outputs)

    assert [one["name"] for one in answer.get_response()["outputs"]] == ["note", "count", "onset", "scaled"]
    assert_close({name: answer.as_numpy(name) for name in notes(**samples)}, notes(**samples))


@pytest.mark.parametrize("raw", [True, False])
def test_tritons_grpc_client_and_plain_contents_get_every_output(server: Any, raw: bool) -> None:
    module = pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc]")
    pytest.importorskip("hpack", reason="hpack is not installed")
    grpc = pytest.importorskip("grpc")
    samples = sample(3, 5)
    if raw:
        inputs = [module.InferInput(name, list(array.shape), KINDS[name]) for name, array in samples.items()]
        for one in inputs:
            one.set_data_from_numpy(samples[one.name()])
        with module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as triton:
            assert [list(one.shape) for one in triton.get_model_metadata("digits").inputs] == [[-1, -1], [-1, -1, 2]]
            answer = triton.infer("digits", inputs)
        found = {name: answer.as_numpy(name) for name in notes(**samples)}
    else:
        fields = {"ids": "int64_contents", "weights": "fp32_contents"}
        request = module.service_pb2.ModelInferRequest(model_name="digits")
        for name, array in samples.items():
            contents = {fields[name]: array.ravel().tolist()}
            request.inputs.add(name=name, datatype=KINDS[name], shape=array.shape, contents=contents)
        request.outputs.add(name="count")
        request.outputs.add(name="note")
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            answer = module.service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
        found = {one.name: one.contents.int64_contents or one.contents.fp32_contents for one in answer.outputs}

    assert_close(found, {name: array for name, array in notes(**samples).items() if name in found})
    assert list(found) == (list(notes(**samples)) if raw else ["count", "note"])


def test_tf_serving_takes_rows_of_all_inputs_and_columns(client: Any) -> None:
    samples = sample(4, 3)
    rows = client.post(PREDICT, json={"instances": rows_of(samples)}).json()["predictions"]
    columns = {name: array.tolist() for name, array in samples.items()}
    answer = client.post(PREDICT, json={"inputs": columns}).json()["outputs"]

    assert_close({name: [row[name] for row in rows] for name in rows[0]}, notes(**samples))
    assert_close(answer, notes(**samples))


def test_tf_servings_own_messages_over_grpc(server: Any) -> None:
    """Its client reads the fields of the dtypes, int64_val and float_val."""
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("hpack", reason="hpack is not installed")
    apis = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="tensorflow-serving-api is not installed")
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    samples, kinds, fields = sample(4, 3), {"ids": 9, "weights": 1}, {"ids": "int64_val", "weights": "float_val"}
    samples["ids"][0, 0] = 7
    request = apis.PredictRequest()
    request.model_spec.name = "digits"
    for name, array in samples.items():
        tensor = tensor_pb2.TensorProto(dtype=kinds[name], **{fields[name]: array.ravel().tolist()})
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        request.inputs[name].CopyFrom(tensor)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        found = stub.Predict(request).outputs
        request.output_filter.append("note")
        only = stub.Predict(request).outputs
        del request.inputs["ids"]
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request)

    assert_close({name: one.int64_val or one.float_val for name, one in found.items()}, notes(**samples))
    assert list(only) == ["note"]
    assert "Missing but required: {ids}" in caught.value.details()


def test_an_event_holds_them_and_is_answered_in_kind(client: Any) -> None:
    samples = sample(2, 4)
    head = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "t",
        "content-type": "application/json",
    }
    rows = client.post("/events", headers=head, json={"instances": rows_of(samples)}).json()["predictions"]
    oip = client.post(
        "/events", headers=head, json={"inputs": oip_inputs(samples), "outputs": [{"name": "note"}]}
    ).json()
    raw = client.post("/events", headers=head | {"content-type": "application/octet-stream"}, content=bytes(64))

    assert_close({name: [row[name] for row in rows] for name in rows[0]}, notes(**samples))
    assert_close({one["name"]: one["data"] for one in oip["outputs"]}, {"note": notes(**samples)["note"]})
    assert raw.status_code == 415
    assert "'ids' [-1,tokens], 'weights' [-1,tokens,2]; send application/json" in raw.json()["error"]


def test_curl_is_answered(server: Any) -> None:
    body = json.dumps({"instances": [{"ids": [2, 3], "weights": [[1, 10], [1, 1]]}]})
    command = ["curl", "-s", f"{server.url}{PREDICT}", "-d", body]

    answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    assert answer == {
        "predictions": [{"onset": [5.0, 23.0], "note": [3.0, 20.0], "scaled": [[2.0, 20.0], [3.0, 3.0]], "count": 5}]
    }


def changed(which: Any, /, **changes: Any) -> list[Any]:
    return [one | (changes if one["name"] == which else {}) for one in oip_inputs(sample(2, 3))]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (oip_inputs(sample(2, 3))[:1], "'inputs' must be a list of 2 tensors, 'ids', 'weights'"),
        (oip_inputs(sample(2, 3))[:1] * 2, "input 'ids' is there twice; model 'digits' takes 'ids', 'weights'"),
        (changed("ids", name="id"), "unknown input \"id\"; model 'digits' takes 'ids', 'weights'"),
        (changed("ids", datatype="INT32"), "input 'ids' has datatype \"INT32\", expected 'INT64'"),
        (changed("weights", shape=[2, 3, 3]), "input 'weights' has shape [2,3,3], expected [-1,tokens,2]"),
        (changed("weights", shape=[2, 6]), "input 'weights' has shape [2, 6], expected [-1, -1, 2]"),
        (changed("weights", shape=[2, 4, 2]), "input 'weights' has shape [2,4,2]: tokens is 4, but 3 in input 'ids'"),
        (changed("weights", shape=[3, 3, 2]), "input 'weights' holds 3 samples, but input 'ids' holds 2"),
        (changed("ids", shape=[2, 51]), "input 'ids' has shape [2,51]: tokens is 51; allowed: 1 to 50"),
        (changed("ids", shape=[2, 0], data=[]), "input 'ids' has shape [2,0]: tokens is 0; allowed: 1 to 50"),
        (changed("ids", shape=[33, 3]), "input 'ids' holds 33 samples; at most 32 are taken"),
        (changed("ids", data=[1] * 5), "input 'ids': 'data' has shape [5], expected [2, 3], or flat with 6 values"),
        (changed("ids", data=[1, 2, 3, 4, 5, 100]), "input 'ids' holds 100; allowed: 0 to 99"),
        (changed("weights", data=[True] * 12), "input 'weights': JSON Value: true Type: True is not of expected type"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(client: Any, inputs: Any, words: str) -> None:
    answer = client.post(INFER, json={"inputs": inputs})

    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"instances": [[1, 2]]}, "instances is a plain list, but expecting list of objects as multiple input tensors"),
        ({"inputs": [[1, 2]]}, "inputs is a plain value/list, but expecting an object as multiple input tensors"),
        ({"inputs": {"ids": [[1]]}}, "Missing named input: weights in 'inputs' object."),
        ({"instances": [{"ids": [1]}]}, "keys must be equal to: ids,weights"),
        ({"instances": [{"ids": [1], "weights": [[1, 1]], "x": 1}]}, "does not have named input: x"),
        (
            {"instances": [{"ids": [1], "weights": [[1, 1]]}, {"ids": ["1"], "weights": [[1, 1]]}]},
            "element: 1 key: ids",
        ),
        ({"instances": [{"ids": [1], "weights": [[1, 1]]}, {"ids": [1, 2], "weights": [[1, 1]]}]}, "element: 1 of"),
        ({"instances": [{"ids": {"b64": "AAAA"}, "weights": [[1, 1]]}]}, "bytes do not say the shape, which varies"),
        ({"instances": [{"ids": [1, 2], "weights": [[1, 1]]}]}, "tokens is 1, but 2 in input 'ids'"),
        ({"inputs": {"ids": [[1.5]], "weights": [[[1, 1]]]}}, "input 'ids': JSON Value: 1.5 Type: Number is not of"),
    ],
)
def test_tf_serving_refuses_in_its_own_words(client: Any, document: dict[str, Any], words: str) -> None:
    answer = client.post(PREDICT, json=document)

    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([{"name": "tone"}], "unknown output \"tone\"; model 'digits' answers 'onset', 'note', 'scaled', 'count'"),
        ([{"name": "note"}] * 2, 'output asked for twice: "note"'),
        (
            [{"name": "scaled", "parameters": {"classification": 1}}],
            "'classification' of output 'scaled', which holds no",
        ),
    ],
)
def test_an_output_that_cannot_be_had_is_refused(client: Any, outputs: Any, words: str) -> None:
    answer = client.post(INFER, json={"inputs": oip_inputs(sample(2, 3)), "outputs": outputs})

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_the_likeliest_classes_have_their_names_where_there_are_some(client: Any) -> None:
    samples = sample(1, 3)
    outputs = [{"name": name, "parameters": {"classification": 1}} for name in ("onset", "note")]

    found = client.post(INFER, json={"inputs": oip_inputs(samples), "outputs": outputs}).json()["outputs"]

    right = {name: int(notes(**samples)[name].argmax()) for name in ("onset", "note")}
    assert found[0]["data"][0].endswith(f":{right['onset']}:{('left', 'right')[right['onset']]}")
    assert found[1]["data"][0].endswith(f":{right['note']}")


def test_binary_inputs_follow_each_other_in_the_order_of_the_request(client: Any) -> None:
    samples = sample(2, 3)
    inputs = [
        {"name": name, "datatype": KINDS[name], "shape": list(samples[name].shape),
         "parameters": {"binary_data_size": samples[name].nbytes}}
        for name in ("weights", "ids")
    ]  # fmt: skip
    data = samples["weights"].tobytes() + samples["ids"].tobytes()

    def ask(inputs: Any, data: Any) -> Any:
        head = json.dumps({"inputs": inputs}).encode()
        return client.post(INFER, content=head + data, headers={"Inference-Header-Content-Length": str(len(head))})

    found = ask(inputs, data).json()["outputs"]
    long = ask(inputs, data + b"x")
    short = ask(inputs, data[:-1])

    assert_close({one["name"]: one["data"] for one in found}, notes(**samples))
    assert long.json()["error"] == "input 'ids': 'binary_data_size' is 48, but 49 bytes follow the JSON"
    assert short.json()["error"] == "input 'ids': 'binary_data_size' is 48, but 47 bytes follow the JSON"


def test_requests_of_unlike_lengths_wait_together_and_each_gets_its_own(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    """Those of one shape are joined; none is padded, cut or mixed up."""
    from concurrent.futures import ThreadPoolExecutor

    folder = write_notes(tmp_path / "m")
    asked = [sample(1 + number % 3, 1 + number % 4, number) for number in range(48)]
    with start(folder, BACKEND="onnxruntime", BATCHING="on") as server, server.client() as client:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda one: client.post(INFER, json={"inputs": oip_inputs(one)}).json(), asked))
        text = client.get("/metrics").text

    for samples, answer in zip(asked, answers, strict=True):
        assert_close({one["name"]: one["data"] for one in answer["outputs"]}, notes(**samples))
    assert f"modelyard_samples_total {sum(1 + number % 3 for number in range(48))}" in text


def test_what_would_take_too_much_memory_is_refused_before_it_is_read(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path
) -> None:
    folder = write_notes(tmp_path / "m")
    settings = {"BACKEND": "onnxruntime", "MEMORY_BYTES": "1", "MAX_LENGTH": "100000"}  # 16 MiB to live on
    shapes = {"ids": [1000, 1000], "weights": [1000, 1000, 2]}
    inputs = [{"name": name, "datatype": KINDS[name], "shape": shape, "data": []} for name, shape in shapes.items()]
    with start(folder, **settings) as server, server.client() as client:
        answer = client.post(INFER, json={"inputs": inputs})
    with start(folder, BACKEND="onnxruntime", MEMORY_BYTES="1") as server, server.client() as client:
        bounded = client.post(INFER, json={"inputs": inputs})

    assert answer.status_code == 413
    assert answer.json()["error"] == (
        "the request's tensors and their answer would take 23 MiB of memory; at most 8 MiB are given to one: "
        "send fewer or shorter samples"
    )
    assert bounded.status_code == 413, "1000 is below what 16 samples of 8 MiB may be long"
