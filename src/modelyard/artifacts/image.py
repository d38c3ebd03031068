"""An image: `image.json`, with its layers and how its server is asked."""

from __future__ import annotations

from typing import Literal

import msgspec

Protocol = Literal["v1", "v2"]


class LayerFacts(msgspec.Struct, frozen=True):
    """One layer of an image: what it holds, its digest (`sha256:...`) as shipped, and its size in bytes as shipped."""

    name: str
    digest: str
    size_bytes: int


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How the server in an image is asked and looked after; the check and the deploy targets go by it.

    Attributes:
        live: HTTP path that answers 200 as long as the server answers at all.
        ready: HTTP path that answers 200 only while the model can be asked.
        protocols: what it speaks on its port: `v1` is TF Serving's REST API, `v2` the Open Inference Protocol.
        grpc_port: the port that it listens on for gRPC; 0: none.
        timeout_s: how long it takes for a request at most, in seconds; a proxy must wait as long.
        reads_settings: whether it takes user name, password, certificate, port ... from the variables `MODELYARD_...`.
            In front of a server that does not, a target puts a proxy.
        event_schemes: the URLs of brokers that it takes events from, each scheme with its usual port; empty: of none.
        event_places: where such a broker has them: `input`, `output`, `dead_letter`; `group`, who takes them; and the
            source's own parameters.
    """

    live: str = "/v2/health/live"
    ready: str = "/v2/health/ready"
    protocols: tuple[Protocol, ...] = ("v1", "v2")
    grpc_port: int = 0
    timeout_s: int = 60
    reads_settings: bool = True
    event_schemes: dict[str, int] = {}
    event_places: dict[str, str] = {}


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`image.json`: what a builder made.

    Attributes:
        builder: the builder's name.
        repository: the image's name without tag, for instance `registry.example/team/digits`.
        tag: the image's tag.
        digest: digest of the OCI manifest (`sha256:...`); what Kubernetes YAML names.
        image_id: what an engine calls the image (`sha256:...`); in Docker's classic store the digest of its config.
        size_bytes: sum of the layers as shipped.
        archive: name of the archive in the same folder, or None where the builder writes none: then `doit push` cannot push it.
        platform: `linux/amd64` or alike.
        user: numeric user and group, `uid:gid`.
        port: the port that the server listens on by default.
        labels: the image's labels.
        layers: in order, the lowest first.
        base: what the base was made of, name and version or digest of each part.
        server: how its server is asked; modelyard fills it in.
    """

    builder: str
    repository: str
    tag: str
    digest: str
    image_id: str
    size_bytes: int
    archive: str | None
    platform: str
    user: str
    port: int
    labels: dict[str, str]
    layers: tuple[LayerFacts, ...]
    base: dict[str, str] = msgspec.field(default_factory=dict)
    server: ServerFacts = ServerFacts()

    @property
    def reference(self) -> str:
        """`repository:tag@digest`, what a Kubernetes manifest names."""
        return f"{self.repository}:{self.tag}@{self.digest}"
