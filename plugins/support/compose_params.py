"""The configuration of the target `compose`.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

from typing import Literal

import msgspec

from modelyard.params import NonNegativeInt, Port, PositiveFloat, PositiveInt


class ComposeParams(msgspec.Struct, frozen=True, kw_only=True):
    """What the target `compose` takes.

    Attributes:
        source: registry: the image is pulled by digest; engine: it was loaded from the archive and is found by its tag
        bind: the address of the machine that takes requests
        host_port: the port of the machine that takes requests
        port: the port that the server, or the proxy, listens on in the container; 0: the image's, or the proxy's
        auth: ask for a user name and a password
        tls: serve HTTPS
        secrets_folder: the folder with the files username and password (for a proxy: htpasswd), tls.crt and tls.key;
            relative to compose.yaml, or absolute: the default is secrets/ in the project
        events_url: the broker that the server takes events from, without user name and password; empty: from none
        events_broker: the image of a broker that is started beside the server, for trying out: without a password, what it
            holds is gone with it, and doit events:send reaches it on 127.0.0.1; for instance nats:2.10; empty: none
        events_auth: the broker asks for a user name and a password: the files events-username and events-password
        events_ca: the broker's certificate is trusted by the file events-ca.crt; otherwise, as the image trusts
        events_certificate: the broker is shown a certificate, the files events-tls.crt and events-tls.key
        proxy_image: the nginx image, NAME:TAG@sha256:..., in front of a server that has neither a password nor TLS
        cpus: the processors that the container may use
        memory: the memory that the container may use, for instance 256m; empty: what its server needs, as `check` has measured
            it, and 256m at least
        log_level: what the server, or the proxy, logs
        workers: processes that serve, each with its own copy of the model; auto: as many as cpus have room for
        threads: threads a prediction; 0: a worker's share of cpus, rounded up
        max_body_bytes: the largest request
        startup_s: how long loading the model may take
        drain_s: how long a container that stops goes on taking requests
        grace_s: how long requests that are then being answered may take
        labels: labels for the container
    """

    source: Literal["registry", "engine"] = "registry"
    bind: str = "127.0.0.1"
    host_port: Port = 8080
    port: NonNegativeInt = 0
    auth: bool = True
    tls: bool = True
    secrets_folder: str = "../../../secrets"
    events_url: str = ""
    events_broker: str = ""
    events_auth: bool = False
    events_ca: bool = False
    events_certificate: bool = False
    proxy_image: str = ""
    cpus: PositiveFloat = 1.0
    memory: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    workers: PositiveInt | Literal["auto"] = 1
    threads: NonNegativeInt = 0
    max_body_bytes: PositiveInt = 8 * 1024 * 1024
    startup_s: PositiveInt = 60
    drain_s: NonNegativeInt = 0
    grace_s: PositiveInt = 10
    labels: dict[str, str] | None = None
