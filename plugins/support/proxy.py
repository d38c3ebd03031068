"""A proxy for servers that have neither a password nor TLS: nginx, from an image that the user names by digest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol

from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, TargetContext

TEMPLATE = "proxy/nginx.conf.j2"
CONFIG = "/etc/modelyard/proxy/nginx.conf"
LIVE = "/healthz"
PID = "/tmp/nginx.pid"
SEEN = "/tmp/certificate"
"""A checksum of the certificate and its key, as they were last seen."""
EVERY_S = 5
"""How often the proxy's container looks at them."""
LEVELS = {"debug": "info", "info": "notice", "warning": "warn", "error": "error"}
"""What nginx calls our levels; its own `debug` needs a build for it."""

_NGINX = ("nginx", "-e", "stderr", "-c", CONFIG)
_IMAGE = r"[^\s@]+:[^\s@:/]+@sha256:[0-9a-f]{64}"


class Served(Protocol):
    """What a target's parameters say of how the server is asked."""

    @property
    def port(self) -> int: ...
    @property
    def auth(self) -> bool: ...
    @property
    def tls(self) -> bool: ...
    @property
    def proxy_image(self) -> str: ...
    @property
    def workers(self) -> int | Literal["auto"]: ...
    @property
    def threads(self) -> int: ...
    @property
    def max_body_bytes(self) -> int: ...
    @property
    def grace_s(self) -> int: ...
    @property
    def log_level(self) -> str: ...


def proxied(context: TargetContext, params: Served) -> bool:
    """Return whether the image's server needs the proxy for what `params` (`auth`, `tls`) ask for."""
    return not context.image.server.reads_settings and (params.auth or params.tls)


def proxy_port(params: Served) -> int:
    """Return the port that the proxy listens on."""
    return int(params.port or (8443 if params.tls else 8080))


def command(params: Served, tls_folder: str) -> tuple[str, ...]:
    """Return the command of the proxy's container: nginx, beside a shell that has it read a changed certificate again.

    nginx goes on with the pair that it has where the new one is none, and reads users and passwords with each request.
    No word has a `$`, which Compose and Kubernetes would each read in a way of its own.

    Args:
        params: the target's parameters.
        tls_folder: the folder of tls.crt and tls.key in the container.
    """
    if not params.tls:
        return _NGINX
    nginx, now = " ".join(_NGINX), f"cat {tls_folder}/tls.crt {tls_folder}/tls.key 2>&1 | cksum"
    renew = f"{now} > {SEEN}; {nginx} -s reload"
    watch = f"while sleep {EVERY_S} && test -e {PID}; do {now} | cmp -s - {SEEN} || {{ {renew}; }}; done"
    return "sh", "-c", f"{now} > {SEEN}; ( {watch} ) & exec {nginx}"


def problems(context: CheckContext, params: Served) -> Iterator[Problem]:
    """Yield what means something else, or nothing, with the runtime's server; and a proxy's image that is not pinned."""
    if context.reads_settings:
        yield from _without_effect(params, "proxy_image", "the runtime's server has a password and TLS of its own")
        return
    if params.workers != 1:
        yield Problem("workers", f"it has no effect: the runtime {context.runtime!r} is one process", "remove it")
    yield from _without_effect(params, "threads", f"the runtime {context.runtime!r} has it: [tool.modelyard.runtime]")
    if not (params.auth or params.tls):
        yield from _without_effect(params, "port", f"the runtime {context.runtime!r} has it: [tool.modelyard.runtime]")
    elif not re.fullmatch(_IMAGE, params.proxy_image):
        yield Problem(
            "proxy_image",
            f"the server of the runtime {context.runtime!r} has neither password nor TLS, and nginx stands in front of it",
            "allowed: 'NAME:TAG@sha256:...', an nginx image with a shell that runs as any user, for instance of "
            "nginxinc/nginx-unprivileged; or set auth = false and tls = false",
        )


def _without_effect(params: Served, key: str, reason: str) -> Iterator[Problem]:
    if getattr(params, key):
        yield Problem(key, f"it has no effect: {reason}", "remove it")


def configuration(context: TargetContext, params: Served, *, host: str, auth_file: str, tls_folder: str) -> str:
    """Return nginx's configuration for the server of `context.image`.

    Args:
        context: the image, and what renders.
        params: the target's parameters.
        host: where the server listens, for the proxy.
        auth_file: the file of users and passwords, in the proxy's container.
        tls_folder: the folder of tls.crt and tls.key there.
    """
    server = context.image.server
    return context.render(
        TEMPLATE,
        port=proxy_port(params),
        pid_file=PID,
        host=host,
        rest_port=context.image.port,
        grpc_port=server.grpc_port,
        auth_file=auth_file if params.auth else "",
        cert_file=f"{tls_folder}/tls.crt" if params.tls else "",
        key_file=f"{tls_folder}/tls.key" if params.tls else "",
        max_body_bytes=params.max_body_bytes,
        timeout_s=server.timeout_s,
        grace_s=params.grace_s,
        log_level=LEVELS[params.log_level],
    )
