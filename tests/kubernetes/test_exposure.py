from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.renders import IMAGE

from modelyard.artifacts import ImageFacts, ServerFacts
from modelyard.kubernetes.exposure import Proxy, ports
from modelyard.kubernetes.target_params import KubernetesParams

PROXY = Proxy.of("nginx:1@sha256:0", ("nginx",), 8443, "/etc/nginx/conf/nginx.conf", "events {}", "/live")


def image(**server: Any) -> ImageFacts:
    return msgspec.structs.replace(IMAGE, port=8501, server=ServerFacts(**server))


def opened(values: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(one["name"], one["protocol"], one["port"]) for one in values["open_ports"]]


def test_the_one_file_of_a_proxy_is_in_its_folder() -> None:
    assert (PROXY.folder, PROXY.files) == ("/etc/nginx/conf", {"nginx.conf": "events {}"})


@pytest.mark.parametrize(
    ("params", "scheme", "port", "of_service"),
    [
        ({}, "https", 8501, 443),
        ({"tls": False}, "http", 8501, 80),
        ({"port": 9000, "service_port": 8080}, "https", 9000, 8080),
        ({"tls": False, "service_port": 8080}, "http", 8501, 8080),
    ],
)
def test_a_server_of_our_own_has_one_port_that_the_probes_ask_too(
    params: dict[str, Any], scheme: str, port: int, of_service: int
) -> None:
    found = ports(image(), KubernetesParams(**params), None)
    assert (found["scheme"], found["port"], found["service_port"]) == (scheme, port, of_service)
    assert found["port_names"] == {scheme: port}
    assert found["probe"] == {"port": scheme, "scheme": scheme}
    assert opened(found) == [(scheme, scheme, of_service)]


@pytest.mark.parametrize(("tls", "protocol"), [(True, "https"), (False, "kubernetes.io/h2c")])
def test_grpc_is_open_on_a_port_of_its_own_behind_that_for_http(tls: bool, protocol: str) -> None:
    found = ports(image(grpc_port=8500), KubernetesParams(tls=tls), None)
    assert found["port_names"] == {found["scheme"]: 8501, "grpc": 8500}
    assert opened(found)[1:] == [("grpc", protocol, 8500)]
    assert opened(found)[0][0] == found["scheme"]


def test_of_a_server_behind_a_proxy_no_port_is_open() -> None:
    server = image(reads_settings=False, grpc_port=8500)
    found = ports(server, KubernetesParams(port=8443), PROXY)
    assert found["port_names"] == {"rest": 8501, "grpc": 8500}
    assert found["probe"] == {"port": "rest", "scheme": "http"}
    assert found["port"] == 8443
    assert opened(found) == [("https", "https", 443)]


def test_a_server_without_settings_and_proxy_is_asked_in_plain_http() -> None:
    p = KubernetesParams(tls=False, auth=False)
    assert opened(ports(image(reads_settings=False), p, None)) == [("rest", "http", 80)]
    found = ports(image(reads_settings=False, grpc_port=8500), p, None)
    assert opened(found) == [("rest", "http", 80), ("grpc", "kubernetes.io/h2c", 8500)]
