"""The health service, asked by the library of gRPC's authors."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.conftest import Running

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
health = pytest.importorskip("grpc_health.v1.health_pb2", reason="grpcio-health-checking is not installed")
stubs = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
pytest.importorskip("hpack", reason="hpack is not installed")

SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3


def test_check_and_watch_follow_readiness(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with (
        start(models / "float32", GRPC_PORT="0", DRAIN_S="2") as running,
        grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
    ):
        stub, seen = stubs.HealthStub(channel), []
        for name in ("", "inference.GRPCInferenceService", "digits"):
            assert stub.Check(health.HealthCheckRequest(service=name)).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health.HealthCheckRequest(service="other"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        unknown = stub.Watch(health.HealthCheckRequest(service="other"))
        assert next(unknown).status == UNKNOWN
        unknown.cancel()

        watched, first = stub.Watch(health.HealthCheckRequest()), threading.Event()

        def watch() -> None:
            try:
                for one in watched:
                    seen.append(one.status)
                    first.set()
            except grpc.RpcError as exc:
                seen.append(exc.code())

        thread = threading.Thread(target=watch)
        thread.start()
        assert first.wait(5)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_log("draining")
        assert stub.Check(health.HealthCheckRequest()).status == NOT_SERVING
        thread.join(10)
        assert seen == [SERVING, NOT_SERVING, grpc.StatusCode.UNAVAILABLE]
        assert running.process.wait(timeout=10) == 0


def test_a_stranger_may_check_but_not_watch(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with (
        start(models / "float32", GRPC_PORT="0", USERNAME="ann", PASSWORD="secret") as running,
        grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
    ):
        stub = stubs.HealthStub(channel)
        assert stub.Check(health.HealthCheckRequest()).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Watch(health.HealthCheckRequest()))
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_request_may_be_compressed_but_not_grow_without_end(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with (
        start(models / "float32", GRPC_PORT="0") as running,
        grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
    ):
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        name = health.HealthCheckRequest(service="digits").SerializeToString()
        unknown = b"\x7a\xe8\x07" + bytes(1000)  # a field that makes it worth compressing
        answer = check(name + unknown, compression=grpc.Compression.Gzip)
        assert health.HealthCheckResponse.FromString(answer).status == SERVING
        with pytest.raises(grpc.RpcError, match="larger than 65536 bytes when decompressed") as caught:
            check(unknown * 70, compression=grpc.Compression.Gzip)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
