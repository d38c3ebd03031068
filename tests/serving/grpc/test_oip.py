"""The Open Inference Protocol over gRPC, asked by Triton's own client; answers are those of HTTP."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.serving.test_otlp import SAMPLED, TRACE, collector, setting, values
from tests.serving.test_server import certificate, files, wait_until

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
client_module = pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")
messages, stubs = client_module.service_pb2, client_module.service_pb2_grpc
StatusCode = grpc.StatusCode

__all__ = ["certificate", "collector", "setting"]

SERVICE = "inference.GRPCInferenceService"


@pytest.fixture(scope="module")
def server(start, models):
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="32") as running:
        yield running


@pytest.fixture(scope="module")
def triton(server):
    with client_module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        yield client


@pytest.fixture(scope="module")
def stub(server):
    with channel(server) as one:
        yield stubs.GRPCInferenceServiceStub(one)


def channel(server, **options):
    pool = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1), *options.items()]
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=pool)


def tensor(raw, name="input"):
    one = client_module.InferInput(name, raw.shape, "UINT8")
    one.set_data_from_numpy(raw)
    return one


def request_of(raw, **changes):
    """A request with its values in the tensor, as clients without Triton's library write it."""
    said = {
        "name": "input",
        "datatype": "UINT8",
        "shape": raw.shape,
        "contents": {"uint_contents": raw.ravel().tolist()},
    }
    return messages.ModelInferRequest(model_name="digits", inputs=[said | changes])


def over_http(server, raw, name="UINT8"):
    said = {"name": "input", "datatype": name, "shape": list(raw.shape), "data": raw.ravel().tolist()}
    with server.client() as client:
        answer = client.post("/v2/models/digits/infer", json={"inputs": [said]}).json()
    return np.array(answer["outputs"][0]["data"], np.float32).reshape(answer["outputs"][0]["shape"])


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    assert "\n" not in caught.value.details()
    return caught.value.code(), caught.value.details()


# What is answered


def test_health_and_metadata(triton, server):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("digits")
    assert triton.is_model_ready("digits", "1")
    about, model = triton.get_server_metadata(), triton.get_model_metadata("digits")
    with server.client() as client:
        said, described = client.get("/v2").json(), client.get("/v2/models/digits").json()
    assert [about.name, about.version, list(about.extensions)] == list(said.values())
    assert [model.name, list(model.versions), model.platform] == [
        described[k] for k in ("name", "versions", "platform")
    ]
    for one, other in ((model.inputs, described["inputs"]), (model.outputs, described["outputs"])):
        assert [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in one] == other


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_bytes_are_answered_with_the_bytes_that_http_answers(server, triton, raw, compression):
    answer = triton.infer("digits", [tensor(raw)], request_id="é 7", compression_algorithm=compression)

    np.testing.assert_array_equal(answer.as_numpy("probabilities"), over_http(server, raw))
    response = answer.get_response()
    assert (response.id, response.model_name, response.model_version) == ("é 7", "digits", "1")
    assert len(response.raw_output_contents) == 1


def test_values_in_the_tensor_are_answered_alike(server, stub, raw):
    answer = stub.ModelInfer(request_of(raw))

    assert not answer.raw_output_contents
    found = np.array(answer.outputs[0].contents.fp32_contents, np.float32).reshape(answer.outputs[0].shape)
    np.testing.assert_array_equal(found, over_http(server, raw))


def test_floats_come_as_bytes_or_values(start, models, raw):
    with start(models / "float32-raw", GRPC_PORT="0") as running, channel(running) as one:
        values = raw.astype(np.float32) / np.float32(3)
        said = {"name": "input", "datatype": "FP32", "shape": values.shape}
        stub = stubs.GRPCInferenceServiceStub(one)
        filled = messages.ModelInferRequest(
            model_name="digits", inputs=[said | {"contents": {"fp32_contents": values.ravel().tolist()}}]
        )
        right = over_http(running, values, "FP32")
        answer = stub.ModelInfer(filled).outputs[0].contents.fp32_contents
        np.testing.assert_array_equal(np.array(answer, np.float32).reshape(right.shape), right)
        empty = messages.ModelInferRequest(model_name="digits", inputs=[said], raw_input_contents=[values.tobytes()])
        answer = stub.ModelInfer(empty).raw_output_contents[0]
        np.testing.assert_array_equal(np.frombuffer(answer, np.float32).reshape(right.shape), right)


def test_the_likeliest_classes_are_texts(triton, raw):
    wanted = client_module.InferRequestedOutput("probabilities", class_count=2)

    answer = triton.infer("digits", [tensor(raw)], outputs=[wanted]).as_numpy("probabilities")

    plain = triton.infer("digits", [tensor(raw)]).as_numpy("probabilities")
    assert answer.shape == (7, 2)
    assert [int(row[0].split(b":")[1]) for row in answer] == plain.argmax(1).tolist()


def test_many_calls_at_once_on_one_connection_are_each_their_own(server, raw):
    samples = np.random.default_rng(3).integers(0, 17, (24, 8, 8, 1)).astype(np.uint8)
    right = over_http(server, samples)
    with client_module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client, ThreadPoolExecutor(12) as pool:
        rows = [(start, 1 + start % 7) for start in range(17)] * 12
        answers = pool.map(lambda one: client.infer("digits", [tensor(samples[one[0] : sum(one)])]), rows)
        for (start_at, size), answer in zip(rows, answers, strict=True):
            np.testing.assert_array_equal(answer.as_numpy("probabilities"), right[start_at : start_at + size])


def test_a_message_of_many_frames_and_an_answer_of_many_windows(start, models):
    samples = np.random.default_rng(5).integers(0, 17, (4000, 8, 8, 1)).astype(np.uint8)  # 256 kB in, 160 kB out
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="4000") as running:
        # Only with this does Google's client keep to the window of 64 KiB for an answer.
        with channel(running, **{"grpc.http2.bdp_probe": 0}) as one:
            said = {"name": "input", "datatype": "UINT8", "shape": samples.shape}
            request = messages.ModelInferRequest(
                model_name="digits", inputs=[said], raw_input_contents=[samples.tobytes()]
            )
            answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request)
        found = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(4000, 10)
        np.testing.assert_array_equal(found[-32:], over_http(running, samples[-32:]))


# What is refused


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"name": "x"}, StatusCode.INVALID_ARGUMENT, 'unknown input "x"'),
        ({"datatype": "FP32"}, StatusCode.INVALID_ARGUMENT, "datatype"),
        ({"shape": [7, 8, 8, 2]}, StatusCode.INVALID_ARGUMENT, "has shape [7, 8, 8, 2], expected [-1, 8, 8, 1]"),
        ({"shape": [2**40, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "whole numbers"),
        ({"shape": [33, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "holds 33 samples; at most 32"),
        ({"shape": [6, 8, 8, 1]}, StatusCode.INVALID_ARGUMENT, "holds 448 values of UINT8, expected 384"),
        ({"contents": {"int_contents": [1] * 448}}, StatusCode.INVALID_ARGUMENT, "holds 0 values of UINT8"),
        ({"contents": {"uint_contents": [256] * 448}}, StatusCode.INVALID_ARGUMENT, "256 is no uint8"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_http(stub, raw, changes, code, words):
    found, details = refusal(stub.ModelInfer, request_of(raw, **changes))

    assert (found, words in details) == (code, True), details


def test_names_and_versions_that_are_not_served(stub, raw):
    other = request_of(raw)
    other.model_name = "other"
    assert refusal(stub.ModelInfer, other) == (StatusCode.NOT_FOUND, "unknown model 'other'; served: 'digits'")
    assert refusal(stub.ModelReady, messages.ModelReadyRequest(name="digits", version="2"))[0] == StatusCode.NOT_FOUND
    code, details = refusal(stub.RepositoryIndex, messages.RepositoryIndexRequest())
    assert (code, "unknown method 'RepositoryIndex'" in details) == (StatusCode.UNIMPLEMENTED, True)


def test_sequences_are_refused_not_ignored(triton, raw):
    with pytest.raises(client_module.InferenceServerException, match="keeps nothing from one request to the next"):
        triton.infer("digits", [tensor(raw)], sequence_id=5, sequence_start=True)


def test_a_priority_is_refused_not_ignored(triton, raw):
    with pytest.raises(client_module.InferenceServerException, match="requests wait in one line here"):
        triton.infer("digits", [tensor(raw)], priority=2)
    assert triton.infer("digits", [tensor(raw)], timeout=5_000_000).as_numpy("probabilities").shape == (7, 10)


def test_bytes_of_another_length_and_both_ways_at_once(stub, raw):
    request = request_of(raw)
    request.raw_input_contents.append(raw.tobytes())
    assert "both 'contents' and 'raw_input_contents'" in refusal(stub.ModelInfer, request)[1]
    request.inputs[0].ClearField("contents")
    request.raw_input_contents[0] += b"\0"
    assert "449 bytes do not fit" in refusal(stub.ModelInfer, request)[1]


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\xff" * 300, b"\x2a\0" * 100_000])
def test_rubbish_is_an_invalid_argument(server, data):
    with channel(server) as one:
        call = one.unary_unary(f"/{SERVICE}/ModelInfer")
        assert refusal(call, data)[0] in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


def test_a_message_larger_than_the_largest_batch_is_refused_before_it_has_come(server, stub):
    request = messages.ModelInferRequest(model_name="digits", raw_input_contents=[b"\0" * 20_000_000])

    code, details = refusal(stub.ModelInfer, request)

    limit = 32 * 64 * 10 + 1024 * 1024  # ten bytes a number, and the slack
    assert (code, details) == (StatusCode.RESOURCE_EXHAUSTED, f"the request's message is larger than {limit} bytes")


# Password, certificate, time


def test_the_password_is_asked_for_each_call_but_health(start, models, raw):
    login = {"authorization": "Basic " + base64.b64encode(b"ann:pass word").decode()}
    with (
        start(models / "float32", GRPC_PORT="0", USERNAME="ann", PASSWORD="pass word") as running,
        client_module.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as client,
    ):
        assert client.is_server_live()
        assert client.is_server_ready()
        for headers in (None, {"authorization": "Basic AAAA"}, {"authorization": "Bearer x"}):
            with pytest.raises(client_module.InferenceServerException, match="a user name and a password are needed"):
                client.infer("digits", [tensor(raw)], headers=headers)
        with pytest.raises(client_module.InferenceServerException, match="a user name and a password"):
            client.get_model_metadata("digits")
        assert client.infer("digits", [tensor(raw)], headers=login).as_numpy("probabilities").shape == (7, 10)


def test_guesses_are_slowed_together_with_those_over_http(start, models):
    with (
        start(models / "float32", GRPC_PORT="0", USERNAME="ann", PASSWORD="pass word") as running,
        running.client(auth=("ann", "wrong")) as client,
        channel(running) as one,
    ):
        for _ in range(15):
            assert client.get("/v2").status_code == 401
        begin = time.monotonic()
        call = stubs.GRPCInferenceServiceStub(one).ServerMetadata
        code, _ = refusal(call, messages.ServerMetadataRequest(), metadata=(("authorization", "Basic AAAA"),))
        assert (code, time.monotonic() - begin > 0.4) == (StatusCode.UNAUTHENTICATED, True)


def test_tls_with_the_certificate_of_http(start, models, raw, certificate):
    with start(models / "float32", GRPC_PORT="0", **files(certificate)) as running:
        trusted = grpc.ssl_channel_credentials((certificate / "tls.crt").read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{running.grpc_port}", trusted) as one:
            answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request_of(raw))
        assert list(answer.outputs[0].shape) == [7, 10]
        with running.client() as client:
            assert client.get("/v2").status_code == 200


SLOW = """
import time
import numpy as np

class Slow:
    def predict(self, raw):
        time.sleep(1.0)
        return np.full((len(raw), 10), 0.1, np.float32)

def open_model(folder, threads=1):
    return Slow()
"""


@pytest.fixture
def slow(start, models, tmp_path, monkeypatch):
    """A server whose predictions take a second each."""
    (tmp_path / "slow_model.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with start(
        models / "float32", GRPC_PORT="0", BACKEND="slow_model:open_model", DRAIN_S="0.5", LOG_LEVEL="debug"
    ) as running:
        yield running


def test_a_deadline_ends_the_call_and_what_waits_leaves_the_queue(slow, raw):
    with channel(slow) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        first = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.2)  # it is being predicted
        begin = time.monotonic()
        late = [stub.ModelInfer.future(request_of(raw), timeout=0.3) for _ in range(5)]
        assert {one.exception().code() for one in late} == {StatusCode.DEADLINE_EXCEEDED}
        assert time.monotonic() - begin < 0.8
        cancelled = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.1)
        cancelled.cancel()
        assert first.result().outputs
        assert stub.ModelInfer(request_of(raw)).outputs
        assert time.monotonic() - begin < 2.8, "what nobody waits for was not predicted"
    # The client's own clock may be the first to say so.
    wait_until(lambda: sum(line.get("status") in (499, 504) for line in slow.logs) == 6)


def test_sigterm_answers_what_is_on_its_way_and_says_goodbye(slow, raw):
    with channel(slow) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        call = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.2)
        slow.process.send_signal(signal.SIGTERM)
        slow.wait_for_log("draining")
        assert not stub.ServerReady(messages.ServerReadyRequest()).ready
        assert call.result().outputs
        assert slow.process.wait(timeout=10) == 0
    assert [line["event"] for line in slow.logs if line["level"] in ("warning", "error")] == []


def test_clients_that_go_on_asking_see_no_failure_until_the_port_closes(start, models, raw):
    with start(models / "float32", GRPC_PORT="0", DRAIN_S="1") as running, channel(running) as one:
        stub, failures, answered = stubs.GRPCInferenceServiceStub(one), [], []
        stopped = threading.Event()

        def ask():
            while not stopped.is_set():
                try:
                    answered.append(stub.ModelInfer(request_of(raw)))
                except grpc.RpcError as exc:
                    failures.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        stopped.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(answered) > 100
        assert running.process.wait(timeout=10) == 0


def test_several_processes_share_the_port(start, models, raw):
    with start(models / "float32", GRPC_PORT="0", WORKERS="2", DRAIN_S="0.2") as running:
        right = over_http(running, raw)
        for _ in range(6):
            with channel(running) as one:
                answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request_of(raw)).outputs[0]
            np.testing.assert_array_equal(np.array(answer.contents.fp32_contents, np.float32).reshape(7, 10), right)
        with running.client() as client:
            counted = 'modelyard_requests_total{protocol="oip-grpc",operation="infer",code="200"} 6'
            assert counted in client.get("/metrics").text
        assert running.stop() == 0


def test_log_and_metrics_say_what_was_asked_and_how_it_ended(server, stub, raw):
    refusal(stub.ModelReady, messages.ModelReadyRequest(name="no"))

    with server.client() as client:
        wait_until(lambda: 'protocol="oip-grpc",operation="ready",code="404"' in client.get("/metrics").text)
    lines = [line for line in server.logs if line.get("path") == f"/{SERVICE}/ModelReady"]
    wait_until(lambda: any(line["status"] == 404 and line["client"] == "127.0.0.1" for line in lines))


def test_a_call_is_a_part_of_its_clients_trace(server, stub, raw):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = (("traceparent", f"00-{trace_id}-b7ad6b7169203331-00"),)

    _, call = stub.ModelInfer.with_call(request_of(raw), metadata=parent)
    failed = stub.ModelReady.future(messages.ModelReadyRequest(name="no"), metadata=parent)

    assert failed.exception().code() == StatusCode.NOT_FOUND
    # What fails at once has one block of headers, which counts as the last.
    said = (call.initial_metadata(), failed.trailing_metadata())
    spans = [dict(one)["traceparent"].split("-") for one in said]
    assert [one[1] for one in spans] == [trace_id] * 2
    wait_until(lambda: {one[2] for one in spans} <= {line.get("span_id") for line in server.logs})
    assert {line["trace_id"] for line in server.logs if line.get("span_id") in {one[2] for one in spans}} == {trace_id}


def test_a_call_is_a_span_by_the_names_of_calls(start, models, raw, collector, setting):
    setting()
    with start(models / "float32", GRPC_PORT="0") as running, channel(running) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        sampled = (("traceparent", SAMPLED),)
        stub.ServerLive(messages.ServerLiveRequest(), metadata=sampled)
        stub.ModelInfer(request_of(raw), metadata=sampled)
        refusal(stub.ModelReady, messages.ModelReadyRequest(name="no"), metadata=sampled)
        wait_until(lambda: len(collector.spans) == 2)
    infer, ready = sorted(collector.spans, key=lambda span: span["name"])
    assert (infer["name"], infer["traceId"], infer["kind"]) == (f"{SERVICE}/ModelInfer", TRACE, 2)
    known = {"rpc.system": "grpc", "rpc.service": SERVICE, "client.address": "127.0.0.1"}
    assert values(infer["attributes"]) == known | {"rpc.method": "ModelInfer", "rpc.grpc.status_code": "0"}
    assert values(ready["attributes"]) == known | {"rpc.method": "ModelReady", "rpc.grpc.status_code": "5"}


# The start


def started_without(models, tmp_path, module, **settings):
    """Return the exit code and the standard error of a server for which `module` is not installed."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "MODELYARD_MODEL_DIR": str(models / "float32")}
    environment |= {f"MODELYARD_{name}": value for name, value in settings.items()}
    done = subprocess.run([sys.executable, "-m", "modelyard.serving"], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_without_the_port_nothing_of_grpc_is_imported(start, models):
    script = (
        "import asyncio, sys, threading, os, signal\n"
        "threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "from modelyard.serving.__main__ import main\n"
        "code = main()\n"
        "print([name for name in sys.modules if 'hpack' in name or 'serving.grpc' in name], file=sys.stderr)\n"
    )
    with start(models / "float32", command=[sys.executable, "-c", script]) as running:
        running.process.wait(timeout=20)
        assert running.wait_for_log("stopped")
        assert "grpc_port" not in running.wait_for_log("listening")
        assert running.errors[-1] == "[]\n"


def test_a_package_that_is_not_there_is_said_in_one_line(models, tmp_path):
    code, error = started_without(models, tmp_path, "hpack", GRPC_PORT="0", PORT="0")

    assert (code, error.count("\n")) == (2, 1), error
    assert "MODELYARD_GRPC_PORT: gRPC needs the package 'hpack', which is not here" in error


def test_a_port_that_is_taken_names_its_setting(models, tmp_path, server):
    code, error = started_without(
        models, tmp_path, "nothing", GRPC_PORT=str(server.grpc_port), PORT="0", HOST="127.0.0.1"
    )

    assert (code, error.count("\n")) == (2, 1), error
    assert "cannot listen: Address already in use; set MODELYARD_GRPC_PORT to another" in error
