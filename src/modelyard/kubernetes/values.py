"""From the `kubernetes` target's parameters, which `parameters` has checked, to the values that its templates use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from modelyard.errors import ConfigError
from modelyard.footprint import Footprint, usual_bytes, worker_bytes, workers_of
from modelyard.kubernetes import syntax
from modelyard.kubernetes.config_names import config_name
from modelyard.kubernetes.exposure import ports
from modelyard.kubernetes.parameters import INSTANCE, NAME, OWN_LABELS, SERVER_MEMORY
from modelyard.serving.shares import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.artifacts import ImageFacts
    from modelyard.contexts import TargetContext
    from modelyard.kubernetes.exposure import Proxy

_MARGIN_S = 5
PATHS = {"auth": "/etc/modelyard/auth", "tls": "/etc/modelyard/tls"}
"""Where a Secret's keys are files, in the container that reads them."""


@dataclass(frozen=True)
class MountedSecret:
    """A Secret that the server reads as files: `volume` names it in the pod, `path` is its folder there."""

    volume: str
    name: str
    keys: tuple[str, ...]

    @property
    def path(self) -> str:
        """The folder in the container."""
        return PATHS[self.volume]


def template_values(context: TargetContext, params: Mapping[str, Any], proxy: Proxy | None = None) -> dict[str, Any]:
    """Return what the built-in Kubernetes templates need: the parameters, and what follows from them.

    Args:
        context: the project's name, which every object is called by, its version, the image, and the model's facts.
        params: the parameters of the `kubernetes` target.
        proxy: the proxy in front of the server; None: the server is asked directly.

    Raises:
        ConfigError: the image's user is not one that Kubernetes can check.
    """
    p, name, version, image = SimpleNamespace(**params), context.name, context.version, context.image
    uid, gid = _user(image)
    own = image.server.reads_settings
    settings = _settings(name, image, p) if own else proxy.files if proxy else {}
    worker, workers = worker_bytes(context.server_memory_bytes, context.model), workers_of(settings, _cpus(p))
    return {
        **params,
        "name": name,
        "image": image,
        "namespace": p.namespace,
        "selector": {NAME: name, INSTANCE: name},
        "labels": _labels(name, version, p),
        "namespace_labels": _labels(name, version, p) | _pod_security(p.kubernetes_version),
        "annotations": p.annotations or {},
        "deployment_annotations": {**(p.annotations or {}), **_model_annotations(context.model)}
        | (_needs(worker) if own else {}),
        "ingress_annotations": _ingress_annotations(p),
        "ingress_tls_secret": p.ingress_tls_secret or f"{name}-ingress-tls",
        "config_name": config_name(name, settings),
        "settings": settings,
        "secrets": _secrets(name, p, proxy) if own or proxy else [],
        "proxy": proxy,
        "server": image.server,
        **ports(image, p, proxy),
        "uid": uid,
        "gid": gid,
        "autoscaled": p.max_replicas > p.replicas,
        "stop_s": p.drain_s + p.grace_s + _MARGIN_S,
        "sleeps": _sleeps(p, own=own, proxied=proxy is not None),
        "has_sleep": (syntax.minor(p.kubernetes_version) or 0) >= 30,
        "startup_tries": math.ceil(p.startup_s / 2),
        "progress_deadline_s": max(120, p.startup_s * 2),
        **_resources(p, _memory(p, Footprint(worker, p.max_body_bytes * own, workers))),
    }


def _user(image: ImageFacts) -> tuple[int, int]:
    uid, _, gid = image.user.partition(":")
    if not (uid.isdecimal() and gid.isdecimal() and int(uid) and int(gid)):
        msg = (
            f"target 'kubernetes': the image runs as {image.user!r}; a cluster needs numbers above 0: 'UID:GID'\n"
            f"  use the image builder 'oci', or let {image.builder!r} set a numeric user"
        )
        raise ConfigError(msg)
    return int(uid), int(gid)


def _sleeps(p: Any, *, own: bool, proxied: bool) -> dict[str, int]:
    """Return how long each container is kept from SIGTERM, in seconds; a server that drains by itself, not at all.

    Another goes on until the proxy has finished what it was asked.
    """
    return {
        "server": 0 if own else p.drain_s + p.grace_s * proxied,
        "proxy": 0 if own else p.drain_s,
    }


def _labels(name: str, version: str, p: Any) -> dict[str, str]:
    own = (name, name, syntax.as_label_value(version), "modelyard")
    return {**(p.labels or {}), **dict(zip(OWN_LABELS, own, strict=True))}


def _pod_security(version: str) -> dict[str, str]:
    modes = ("enforce", "audit", "warn")
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
    minor = f"v1.{syntax.minor(version)}"
    return levels | {f"pod-security.kubernetes.io/{mode}-version": minor for mode in modes}


def _model_annotations(model: Mapping[str, Any]) -> dict[str, str]:
    keys = ("variant", "format", "accuracy", "sha256")
    return {f"modelyard.dev/model-{key}": str(model[key]) for key in keys if key in model}


def _ingress_annotations(p: Any) -> dict[str, str]:
    # This controller speaks plain HTTP to a backend unless told otherwise; others read the Service's appProtocol.
    nginx = {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"} if p.tls and p.ingress_class == "nginx" else {}
    return {**(p.annotations or {}), **nginx, **(p.ingress_annotations or {})}


def _secrets(name: str, p: Any, proxy: Proxy | None) -> list[MountedSecret]:
    keys = ("htpasswd",) if proxy else ("username", "password")
    auth = MountedSecret("auth", p.auth_secret or f"{name}-auth", keys)
    tls = MountedSecret("tls", p.tls_secret or f"{name}-tls", ("tls.crt", "tls.key"))
    return [auth] * p.auth + [tls] * p.tls


def _settings(name: str, image: ImageFacts, p: Any) -> dict[str, str]:
    """Return the server's environment: text, all of it, as a ConfigMap wants."""
    settings = {
        "MODELYARD_MODEL_NAME": name,
        "MODELYARD_PORT": str(p.port or image.port),
        "MODELYARD_DRAIN_S": str(p.drain_s),
        "MODELYARD_GRACE_S": str(p.grace_s),
        "MODELYARD_LOG_LEVEL": p.log_level,
        "MODELYARD_THREADS": str(p.threads or _threads(p)),
        "MODELYARD_MAX_BODY_BYTES": str(p.max_body_bytes),
    }
    if p.auth:
        settings["MODELYARD_USERNAME_FILE"] = f"{PATHS['auth']}/username"
        settings["MODELYARD_PASSWORD_FILE"] = f"{PATHS['auth']}/password"
    if p.tls:
        settings["MODELYARD_TLS_CERT_FILE"] = f"{PATHS['tls']}/tls.crt"
        settings["MODELYARD_TLS_KEY_FILE"] = f"{PATHS['tls']}/tls.key"
    return settings


def _threads(p: Any) -> int:
    return max(1, math.ceil(_cpus(p)))


def _cpus(p: Any) -> float:
    return float(syntax.quantity(p.cpu_limit or p.cpu) or 1)


def _needs(worker_bytes: int) -> dict[str, str]:
    return {SERVER_MEMORY: f"{worker_bytes // MIB}Mi"}


def _memory(p: Any, footprint: Footprint) -> str:
    return p.memory or p.memory_limit or f"{usual_bytes(footprint) // MIB}Mi"


def _resources(p: Any, memory: str) -> dict[str, dict[str, str]]:
    storage = {"ephemeral-storage": p.ephemeral_storage}
    limits = ({"cpu": p.cpu_limit} if p.cpu_limit else {}) | {"memory": p.memory_limit or memory}
    proxy = {"cpu": p.proxy_cpu, "memory": p.proxy_memory, **storage}
    return {
        "requests": {"cpu": p.cpu, "memory": memory, **storage},
        "limits": {**limits, **storage},
        "proxy_requests": proxy,
        "proxy_limits": proxy if p.cpu_limit else {"memory": p.proxy_memory, **storage},
    }
