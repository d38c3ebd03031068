"""A proxy for servers that have neither a password nor TLS: nginx, from an image that the user names by digest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.contexts import TargetContext

TEMPLATE = "proxy/nginx.conf.j2"
CONFIG = "/etc/modelyard/proxy/nginx.conf"
LIVE = "/healthz"
COMMAND = ("nginx", "-e", "stderr", "-c", CONFIG)
LEVELS = {"debug": "info", "info": "notice", "warning": "warn", "error": "error"}
"""What nginx calls our levels; its own `debug` needs a build for it."""

_IMAGE = re.compile(r"[^\s@]+:[^\s@:/]+@sha256:[0-9a-f]{64}")


def proxied(context: TargetContext, params: Mapping[str, Any]) -> bool:
    """Return whether the image's server needs the proxy for what `params` (`auth`, `tls`) ask for."""
    return not context.image.server.reads_settings and (params["auth"] or params["tls"])


def proxy_port(params: Mapping[str, Any]) -> int:
    """Return the port that the proxy listens on."""
    return int(params["port"] or (8443 if params["tls"] else 8080))


def check(target: str, context: TargetContext, params: Mapping[str, Any]) -> None:
    """Check the parameters that mean something else, or nothing, with a server that does not read our settings.

    Raises:
        ConfigError: the proxy's image is not named by digest; or a parameter is set that has no effect.
    """
    image = params["proxy_image"]
    if context.image.server.reads_settings:
        _refuse(target, params, {"proxy_image"}, "the image's server has a password and TLS of its own")
        return
    _refuse(target, params, {"threads"}, "the image's server takes it from [tool.modelyard.runtime]")
    if not proxied(context, params):
        _refuse(target, params, {"port"}, "the image's server takes it from [tool.modelyard.runtime]")
    elif not _IMAGE.fullmatch(image):
        msg = (
            f"target {target!r}: proxy_image: {image!r} is not an image with tag and digest; allowed: 'NAME:TAG@sha256:...'\n"
            "  the image's server has neither password nor TLS: name an nginx image that runs as any user, for instance "
            "nginxinc/nginx-unprivileged; or set auth = false and tls = false"
        )
        raise ConfigError(msg)


def _refuse(target: str, params: Mapping[str, Any], keys: set[str], reason: str) -> None:
    for key in sorted(keys):
        if params[key]:
            msg = f"target {target!r}: {key}: {params[key]!r} has no effect: {reason}\n  remove it from [tool.modelyard.targets.{target}]"
            raise ConfigError(msg)


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
