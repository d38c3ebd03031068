"""From a target's parameters, which `parameters` has checked, to the values that its templates use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import ConfigError
from modelyard.kubernetes import syntax
from modelyard.kubernetes.config_names import config_name
from modelyard.kubernetes.exposure import ports
from modelyard.kubernetes.findings import SKIP
from modelyard.kubernetes.parameters import INSTANCE, NAME, OWN_LABELS, SERVER_MEMORY
from modelyard.kubernetes.routing import backends, matches
from modelyard.kubernetes.secret_files import (
    PATHS,
    broker_settings,
    events_secrets,
    files_of,
    mounted_secrets,
    secret_variables,
)
from modelyard.launch.broker import address_of, port_of
from modelyard.launch.footprint import Footprint, processes, usual_bytes, worker_bytes, workers_of
from modelyard.serving.shares import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.artifacts import ImageFacts
    from modelyard.contexts import TargetContext
    from modelyard.kubernetes.exposure import Proxy
    from modelyard.kubernetes.target_params import KubernetesParams

_MARGIN_S = 5
_BY_TAG = "the image is loaded into the cluster, which knows it by its tag (image_reference)"
_STAYS = "job-ends: it tries until the broker is there, and stays, so that a deploy that changes nothing makes nothing"
_SETUP_LENGTH = 38
"""Characters of a name before what makes it that of a Job, which may have 63."""
ARCHITECTURE = "kubernetes.io/arch"
_MODEL = "modelyard.dev/model"
IMAGE_DIGEST = "modelyard.dev/image-digest"


def template_values(context: TargetContext, params: KubernetesParams, proxy: Proxy | None = None) -> dict[str, Any]:
    """Return what the built-in Kubernetes templates need: the parameters, and what follows from them.

    Args:
        context: the project's name, which every object is called by, its version, the image, and the model's facts.
        params: the target's parameters.
        proxy: the proxy in front of the server; None: the server is asked directly.

    Raises:
        ConfigError: the image's user is not one that Kubernetes can check.
    """
    p, version, image = params, context.version, context.image
    name = p.name or context.name
    uid, gid = _user(image)
    own = image.server.reads_settings
    model = p.model_name or context.name
    settings = _settings(model, image, p) if own else proxy.files if proxy else {}
    env = {**(p.env or {}), **files_of(p.env_from_secrets or {})}
    worker, workers = (
        worker_bytes(context.server_memory_bytes, context.model),
        workers_of({**settings, **env}, _cpus(p)),
    )
    body_bytes = p.max_body_bytes if own else 0
    values = {
        **msgspec.structs.asdict(params),
        "name": name,
        "image": image,
        "image_name": image.reference if p.image_reference == "digest" else f"{image.repository}:{image.tag}",
        "env": env,
        **_scaling(name, image, p),
        "scaler_annotations": {**(p.annotations or {}), "scaledobject.keda.sh/transfer-hpa-ownership": "true"},
        "secret_variables": secret_variables(p.env_from_secrets or {}),
        "node_selector": {ARCHITECTURE: image.platform.split("/")[1], **(p.node_selector or {})},
        "tolerations": [*p.tolerations, *_gpu_tolerations(p)],
        "allowed_namespaces": [*p.allow_namespaces, *p.allow_scrapers] if p.allow_namespaces else [],
        "tls_server_name": p.tls_server_name or ".".join(filter(None, (name, p.namespace, "svc" * bool(p.namespace)))),
        "monitor_labels": _labels(context.name, name, version, p) | (p.service_monitor_labels or {}),
        "namespace": p.namespace,
        "selector": {NAME: context.name, INSTANCE: name},
        "labels": _labels(context.name, name, version, p),
        "namespace_labels": _labels(context.name, context.name, version, p) | _pod_security(p.kubernetes_version),
        "annotations": p.annotations or {},
        "deployment_annotations": _deployment_annotations(p, _told(context), worker if own else 0, image.digest),
        "gateway_namespace": p.gateway.rpartition("/")[0],
        "gateway_name": p.gateway.rpartition("/")[2],
        "gateway_hosts": list(p.gateway_hosts),
        "gateway_matches": matches(p, names_of(context) or [model], image.server.protocols),
        "keeps_states": any("states" in one or "looped" in one for one in (context.model, *context.models.values())),
        "gateway_weights": p.gateway_weights or {},
        "ingress_annotations": _ingress_annotations(p),
        "ingress_tls_secret": p.ingress_tls_secret or f"{name}-ingress-tls",
        "config_name": config_name(name, settings),
        "settings": settings,
        "broker_port": 0 if p.events_jobs else _broker_port(image, p),
        "secrets": mounted_secrets(name, p, proxy) if own or proxy else [],
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
        **_resources(p, _memory(p, Footprint(worker, body_bytes, workers))),
    }
    values["gateway_backends"] = backends(p, name, values["open_ports"][0]["port"])
    return values | (_jobs(values, context.name, image, p) if p.events_jobs else {})


def _user(image: ImageFacts) -> tuple[int, int]:
    uid, _, gid = image.user.partition(":")
    if not (uid.isdecimal() and gid.isdecimal() and int(uid) and int(gid)):
        msg = (
            f"the image runs as {image.user!r}; a cluster needs numbers above 0: 'UID:GID'\n"
            f"  let the image builder {image.builder!r} set a numeric user, or use another"
        )
        raise ConfigError(msg)
    return int(uid), int(gid)


def _sleeps(p: KubernetesParams, *, own: bool, proxied: bool) -> dict[str, int]:
    """Return how long each container is kept from SIGTERM, in seconds; a server that drains by itself, not at all.

    Another goes on until the proxy has finished what it was asked.
    """
    return {
        "server": 0 if own else p.drain_s + p.grace_s * proxied,
        "proxy": 0 if own else p.drain_s,
    }


def _labels(name: str, instance: str, version: str, p: KubernetesParams) -> dict[str, str]:
    own = (name, instance, syntax.as_label_value(version), "modelyard")
    return {**(p.labels or {}), **dict(zip(OWN_LABELS, own, strict=True))}


def _pod_security(version: str) -> dict[str, str]:
    modes = ("enforce", "audit", "warn")
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
    minor = f"v1.{syntax.minor(version)}"
    return levels | {f"pod-security.kubernetes.io/{mode}-version": minor for mode in modes}


def _deployment_annotations(
    p: KubernetesParams, told: Mapping[str, str], worker_bytes: int, digest: str
) -> dict[str, str]:
    found = {**(p.annotations or {}), **told}
    if worker_bytes:
        found[SERVER_MEMORY] = f"{worker_bytes // MIB}Mi"
    if p.image_reference == "tag":
        found[IMAGE_DIGEST] = digest  # another image of the same tag is another pod
        found[SKIP] = "; ".join(filter(None, (found.get(SKIP), f"image-digest: {_BY_TAG}")))
    return found


def _scaling(name: str, image: ImageFacts, p: KubernetesParams) -> dict[str, Any]:
    """Return what KEDA is told: the triggers that are asked for, and the cpu, as without KEDA."""
    if not (p.scale_on or p.events_per_replica):
        return {"triggers": [], "job_triggers": [], "trigger_secrets": {}}
    from modelyard.kubernetes import event_triggers  # most have none

    secrets = event_triggers.secrets(p) | (p.scale_secrets or {})
    given = {"authenticationRef": {"name": name}} if secrets else {}
    waiting = [{**given, **one} for one in (_waiting(image, p) if p.events_per_replica else [])]
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(p.target_cpu_percent)}}
    of_pods = [*([] if p.events_jobs else waiting), *({**given, **one} for one in p.scale_on)]
    return {
        "triggers": [*of_pods, cpu] if of_pods else [],
        "job_triggers": waiting,
        "trigger_secrets": {one: value.partition("/") for one, value in secrets.items()},
    }


def _jobs(values: Mapping[str, Any], project: str, image: ImageFacts, p: KubernetesParams) -> dict[str, Any]:
    """Return what the Jobs that answer events are told; no Service selects them, and they listen to nobody.

    `values` are those of the pods.
    """
    name, env, annotations = values["name"], values["env"], values["deployment_annotations"]
    own = ("MODELYARD_USERNAME_FILE", "MODELYARD_PASSWORD_FILE", "MODELYARD_TLS_CERT_FILE", "MODELYARD_TLS_KEY_FILE")
    settings = {key: value for key, value in _settings(name, image, p).items() if key not in own}
    return {
        "job_name": f"{name}-events",
        "job_selector": {NAME: project, INSTANCE: f"{name}-events"},
        "job_env": {**settings, **broker_settings(p), "MODELYARD_HOST": "127.0.0.1", **env},
        "job_secrets": [*secret_variables(p.env_from_secrets or {}), *events_secrets(p)],
        "job_stop_s": p.grace_s + _MARGIN_S,
        "setup_name": config_name(f"{name[:_SETUP_LENGTH]}-events-setup", {}),
        "setup_annotations": {**annotations, SKIP: "; ".join(filter(None, (annotations.get(SKIP), _STAYS)))},
        "job_broker_port": _broker_port(image, p),
    }


def _broker_port(image: ImageFacts, p: KubernetesParams) -> int:
    return port_of(p.events_url, image.server.event_schemes) if p.events_url else 0


def _waiting(image: ImageFacts, p: KubernetesParams) -> list[dict[str, Any]]:
    from modelyard.kubernetes.event_triggers import triggers

    return triggers(p, address_of(p.events_url, image.server.event_schemes), image.server.event_places)


def _gpu_tolerations(p: KubernetesParams) -> list[dict[str, str]]:
    return [{"key": p.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}] if p.gpus else []


def names_of(context: TargetContext) -> list[str]:
    """Return what the models of an image of several are called in the URLs, each once; nothing where there is one."""
    return list(dict.fromkeys(path.partition("/")[0] for path in context.models))


def _told(context: TargetContext) -> dict[str, str]:
    """Return the annotations that say what is served: of several models one for all, for a name has 63 characters."""
    if not context.models:
        return _model_annotations(context.model)
    each = (f"{path} {one['variant']} {one['sha256']}" for path, one in context.models.items())
    return {f"{_MODEL}s": ", ".join(each)}


def _model_annotations(model: Mapping[str, Any]) -> dict[str, str]:
    told = {key: model[key] for key in ("variant", "format", "sha256") if key in model} | model.get("metrics", {})
    return {f"{_MODEL}-{key.replace('_', '-')}": str(value) for key, value in told.items()}


def _ingress_annotations(p: KubernetesParams) -> dict[str, str]:
    # This controller speaks plain HTTP to a backend unless told otherwise; others read the Service's appProtocol.
    nginx = {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"} if p.tls and p.ingress_class == "nginx" else {}
    return {**(p.annotations or {}), **nginx, **(p.ingress_annotations or {})}


def _settings(name: str, image: ImageFacts, p: KubernetesParams) -> dict[str, str]:
    """Return the server's environment: text, all of it, as a ConfigMap wants."""
    settings = {
        "MODELYARD_MODEL_NAME": name,
        "MODELYARD_PORT": str(p.port or image.port),
        "MODELYARD_DRAIN_S": str(p.drain_s),
        "MODELYARD_GRACE_S": str(p.grace_s),
        "MODELYARD_LOG_LEVEL": p.log_level,
        **processes(p.workers, p.threads, _cpus(p)),
        "MODELYARD_MAX_BODY_BYTES": str(p.max_body_bytes),
    }
    if p.auth:
        settings["MODELYARD_USERNAME_FILE"] = f"{PATHS['auth']}/username"
        settings["MODELYARD_PASSWORD_FILE"] = f"{PATHS['auth']}/password"
    if p.tls:
        settings["MODELYARD_TLS_CERT_FILE"] = f"{PATHS['tls']}/tls.crt"
        settings["MODELYARD_TLS_KEY_FILE"] = f"{PATHS['tls']}/tls.key"
    return settings | ({} if p.events_jobs else broker_settings(p))


def _cpus(p: KubernetesParams) -> float:
    return float(syntax.quantity(p.cpu_limit or p.cpu) or 1)


def _memory(p: KubernetesParams, footprint: Footprint) -> str:
    return p.memory or p.memory_limit or f"{usual_bytes(footprint) // MIB}Mi"


def _resources(p: KubernetesParams, memory: str) -> dict[str, dict[str, str]]:
    storage = {"ephemeral-storage": p.ephemeral_storage}
    limits = ({"cpu": p.cpu_limit} if p.cpu_limit else {}) | {"memory": p.memory_limit or memory}
    gpus = {p.gpu_resource: str(p.gpus)} if p.gpus else {}
    proxy = {"cpu": p.proxy_cpu, "memory": p.proxy_memory, **storage}
    return {
        "requests": {"cpu": p.cpu, "memory": memory, **storage},
        "limits": {**limits, **storage, **gpus},
        "proxy_requests": proxy,
        "proxy_limits": proxy if p.cpu_limit else {"memory": p.proxy_memory, **storage},
    }
