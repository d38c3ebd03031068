"""A proxy for servers that have neither a password nor TLS: nginx, from an image that the user names by digest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.contexts import CheckContext, TargetContext

TEMPLATE = "proxy/nginx.conf.j2"
CONFIG = "/etc/modelyard/proxy/nginx.conf"
LIVE = "/healthz"
COMMAND = ("nginx", "-e", "stderr", "-c", CONFIG)
LEVELS = {"debug": "info", "info": "notice", "warning": "warn", "error": "error"}
"""What nginx calls our levels; its own `debug` needs a build for it."""

_IMAGE = r"[^\s@]+:[^\s@:/]+@sha256:[0-9a-f]{64}"


def proxied(context: TargetContext, params: Mapping[str, Any]) -> bool:
    """Return whether the image's server needs the proxy for what `params` (`auth`, `tls`) ask for."""
    return not context.image.server.reads_settings and (params["auth"] or params["tls"])


def proxy_port(params: Mapping[str, Any]) -> int:
    """Return the port that the proxy listens on."""
    return int(params["port"] or (8443 if params["tls"] else 8080))


def problems(context: CheckContext, params: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what means something else, or nothing, with the runtime's server; and a proxy's image that is not pinned."""
    if context.reads_settings:
        yield from _without_effect(params, "proxy_image", "the runtime's server has a password and TLS of its own")
        return
    yield from _without_effect(params, "threads", f"the runtime {context.runtime!r} has it: [tool.modelyard.runtime]")
    if not (params["auth"] or params["tls"]):
        yield from _without_effect(params, "port", f"the runtime {context.runtime!r} has it: [tool.modelyard.runtime]")
    elif not re.fullmatch(_IMAGE, params["proxy_image"]):
        yield Problem(
            "proxy_image",
            f"the server of the runtime {context.runtime!r} has neither password nor TLS, and nginx stands in front of it",
            "allowed: 'NAME:TAG@sha256:...', an nginx image that runs as any user, for instance of "
            "nginxinc/nginx-unprivileged; or set auth = false and tls = false",
        )


def _without_effect(params: Mapping[str, Any], key: str, reason: str) -> Iterator[Problem]:
    if params[key]:
        yield Problem(key, f"it has no effect: {reason}", "remove it")


def configuration(
    context: TargetContext, params: Mapping[str, Any], *, host: str, auth_file: str, tls_folder: str
) -> str:
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
        host=host,
        rest_port=context.image.port,
        grpc_port=server.grpc_port,
        auth_file=auth_file if params["auth"] else "",
        cert_file=f"{tls_folder}/tls.crt" if params["tls"] else "",
        key_file=f"{tls_folder}/tls.key" if params["tls"] else "",
        max_body_bytes=params["max_body_bytes"],
        timeout_s=server.timeout_s,
        grace_s=params["grace_s"],
        log_level=LEVELS[params["log_level"]],
    )
