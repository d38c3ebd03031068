"""Which ports a pod has, which of them are open to others, and the proxy that may stand in front of its server."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.artifacts import ImageFacts
    from modelyard.kubernetes.target_params import KubernetesParams


@dataclass(frozen=True)
class Proxy:
    """A container in the server's pod that asks for the password and speaks TLS, for a server that does neither.

    Attributes:
        image: its image, `NAME:TAG@sha256:...`.
        command: the command that starts it.
        port: the port that it listens on.
        folder: the folder of its configuration, in its container.
        files: name -> text of the files there.
        live: HTTP path that answers 200 without a password as long as it answers at all.
    """

    image: str
    command: tuple[str, ...]
    port: int
    folder: str
    files: Mapping[str, str]
    live: str

    @classmethod
    def of(cls, image: str, command: tuple[str, ...], port: int, config: str, text: str, live: str) -> Proxy:
        """Return the proxy whose one file of configuration is `config`, with `text` in it."""
        folder, name = posixpath.split(config)
        return cls(image, command, port, folder, {name: text}, live)


def ports(image: ImageFacts, p: KubernetesParams, proxy: Proxy | None) -> dict[str, Any]:
    """Return the template values on ports.

    `port_names` are the server's: name -> number; `probe` how the kubelet asks it; `open_ports` what the Service and the
    NetworkPolicy open to others, the first for HTTP: name, protocol of the application, port of the Service.
    """
    scheme = "https" if p.tls else "http"
    service_port = p.service_port or (443 if p.tls else 80)
    values: dict[str, Any] = {"scheme": scheme, "port": p.port or image.port, "service_port": service_port}
    front = {"name": scheme, "protocol": scheme, "port": service_port}
    grpc = image.server.grpc_port
    if image.server.reads_settings:
        own, opened = {scheme: values["port"]}, [front]
        if grpc:
            own["grpc"] = grpc
            opened.append({"name": "grpc", "protocol": "https" if p.tls else "kubernetes.io/h2c", "port": grpc})
        return values | {"port_names": own, "probe": {"port": scheme, "scheme": scheme}, "open_ports": opened}
    own = {"rest": image.port} | ({"grpc": grpc} if grpc else {})
    opened = [front] if proxy else [{"name": "rest", "protocol": "http", "port": service_port}]
    if grpc and not proxy:
        opened.append({"name": "grpc", "protocol": "kubernetes.io/h2c", "port": grpc})
    return values | {"port_names": own, "probe": {"port": "rest", "scheme": "http"}, "open_ports": opened}
