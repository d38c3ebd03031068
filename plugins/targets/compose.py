"""Deploy target `compose`: one `compose.yaml` for a single machine with Docker or Podman."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard import hookimpl
from modelyard.contexts import Problem
from modelyard.errors import ConfigError
from modelyard_plugins.support import broker, proxy
from modelyard_plugins.support.compose_params import ComposeParams

if TYPE_CHECKING:
    from modelyard.contexts import CheckContext, TargetContext
    from modelyard.hookspecs import RegisterTarget

_TEMPLATE = "compose/compose.yaml.j2"
_IN_CONTAINER = "/run/secrets"
_MARGIN_S = 5
_SIZE = r"([1-9][0-9]*)([bkmgBKMG])[bB]?"


def compose(context: TargetContext, *, params: ComposeParams) -> None:
    """A compose.yaml for one machine, as strict as the Kubernetes objects.

    Args:
        context: the image, and where to write
        params: the configuration
    """
    context.write("compose.yaml", context.render(_TEMPLATE, **_values(context, params)))
    if proxy.proxied(context, params):
        places = {"host": "server", "auth_file": f"{_IN_CONTAINER}/htpasswd", "tls_folder": _IN_CONTAINER}
        context.write("nginx.conf", proxy.configuration(context, params, **places))
    # Not `name:` in the file: Compose 1, which Debian 12 has, refuses it.
    context.write(".env", f"COMPOSE_PROJECT_NAME={context.name}\n")


def check(context: CheckContext, *, params: ComposeParams) -> Iterator[Problem]:
    """Yield what Compose does not allow, and what has no effect with the runtime's server."""
    if params.memory:
        yield from _memory_problems(params, reads_settings=context.reads_settings)
    if not re.fullmatch(r"[0-9.]+|\[[0-9a-fA-F:]+\]", params.bind):
        yield Problem("bind", "it is not an address", "allowed: '127.0.0.1', '[::1]'")
    if 0 < params.port < 1024 or params.port > 65535:
        why = "no such port can be listened on without rights of root"
        yield Problem("port", why, "allowed: 1024 to 65535, or 0 for the image's")
    if not params.secrets_folder.strip():
        yield Problem("secrets_folder", "it names no folder", "allowed: a folder, relative to compose.yaml or absolute")
    yield from proxy.problems(context, params)
    others = ("events_auth", "events_ca", "events_certificate")
    if params.events_broker:
        from modelyard_plugins.support import compose_broker  # most have none

        yield from compose_broker.problems(params, context.event_schemes)
    yield from broker.problems(context, params.events_url, {key: getattr(params, key) for key in others})


def _memory_problems(params: ComposeParams, *, reads_settings: bool) -> Iterator[Problem]:
    if not re.fullmatch(_SIZE, params.memory):
        yield Problem("memory", "it is not a size as Compose reads it", "allowed: '256m', '1g'")
    elif reads_settings:
        from modelyard.launch.footprint import SMALL_BYTES, Footprint, workers_of

        workers = workers_of(_processes(params), params.cpus)
        needs = Footprint(SMALL_BYTES, params.max_body_bytes, workers)
        if why := needs.problem(_bytes(params.memory)):
            yield Problem("memory", why, needs.remedy)


def _bytes(size: str) -> int:
    found = re.fullmatch(_SIZE, size)
    assert found is not None
    return int(found[1]) << 10 * "bkmg".index(found[2].lower())


def _memory(context: TargetContext, params: ComposeParams, settings: Mapping[str, str]) -> str:
    """Return the memory that the container may use.

    Raises:
        ConfigError: what is set is less than what the server takes, as it was measured.
    """
    from modelyard.launch.footprint import Footprint, usual_bytes, worker_bytes, workers_of

    worker = worker_bytes(context.server_memory_bytes, context.model)
    needs = Footprint(worker, params.max_body_bytes if settings else 0, workers_of(settings, params.cpus))
    memory = params.memory or f"{usual_bytes(needs) // 2**20}m"
    if settings and (why := needs.problem(_bytes(memory))):
        msg = f"target 'compose': memory = {memory!r}: {why}\n  {needs.remedy}"
        raise ConfigError(msg)
    return memory


def _values(context: TargetContext, params: ComposeParams) -> dict[str, Any]:
    image, local = context.image, params.source == "engine"
    own, proxied = image.server.reads_settings, proxy.proxied(context, params)
    login = ["htpasswd"] if proxied else ["username", "password"]
    names = login * params.auth + ["tls.crt", "tls.key"] * params.tls
    events = _events(context, params)
    settings = _settings(context, params, events["events_url"]) if own else {}
    values = {
        **msgspec.structs.asdict(params),
        **events,
        "memory": _memory(context, params, settings),
        "reads_settings": own,
        "proxied": proxied,
        "proxy_command": list(proxy.command(params, _IN_CONTAINER)),
        "proxy_config": proxy.CONFIG,
        "image_name": f"{image.repository}:{image.tag}" if local else image.reference,
        "pull_policy": "never" if local else "if_not_present",
        "user": image.user,
        "port": str(proxy.proxy_port(params) if proxied else params.port or image.port),
        "health": _health(context, tls=params.tls),
        "host_port": str(params.host_port),
        "grpc_port": str(image.server.grpc_port) if own and image.server.grpc_port else "",
        "settings": settings,
        "secrets": [_secret(params.secrets_folder, name) for name in (*names, *_events_files(params).values())],
        "labels": params.labels or {},
        "stop_s": params.drain_s + params.grace_s + _MARGIN_S,
        "cpus": f"{params.cpus:g}",
    }
    return {key: _escaped(value) for key, value in values.items()}


def _events(context: TargetContext, params: ComposeParams) -> dict[str, Any]:
    """Return where the server takes its events from, and what is started for it, if anything is."""
    if not params.events_broker:
        return {"broker": {}, "events_url": params.events_url}
    from modelyard_plugins.support import compose_broker

    return compose_broker.values(params, context.image.server.event_schemes)


def _health(context: TargetContext, *, tls: bool) -> list[str]:
    """Return the command that asks the server whether the model can be asked, with what its image has."""
    server, port = context.image.server, context.image.port
    if not server.reads_settings:
        ask = (
            f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {server.ready} HTTP/1.0\\r\\n\\r\\n' >&3; "
            'read -r -t 3 line <&3; [[ $line == *" 200 "* ]]'
        )
        return ["CMD", "bash", "-c", ask]
    # the port is in the server's own environment; the certificate names the host, not the loopback
    how = "import os, ssl, urllib.request as u" if tls else "import os, urllib.request as u"
    context_of = ", context=ssl._create_unverified_context()" if tls else ""
    url = f"'{'https' if tls else 'http'}://127.0.0.1:' + os.environ['MODELYARD_PORT'] + '{server.ready}'"
    return ["CMD", "python3", "-c", f"{how}; u.urlopen({url}, timeout=2{context_of})"]


def _settings(context: TargetContext, params: ComposeParams, events_url: str) -> dict[str, str]:
    settings = {
        "MODELYARD_MODEL_NAME": context.name,
        "MODELYARD_PORT": str(params.port or context.image.port),
        "MODELYARD_DRAIN_S": str(params.drain_s),
        "MODELYARD_GRACE_S": str(params.grace_s),
        "MODELYARD_LOG_LEVEL": params.log_level,
        **_processes(params),
        "MODELYARD_MAX_BODY_BYTES": str(params.max_body_bytes),
    }
    if params.auth:
        settings["MODELYARD_USERNAME_FILE"] = f"{_IN_CONTAINER}/username"
        settings["MODELYARD_PASSWORD_FILE"] = f"{_IN_CONTAINER}/password"
    if params.tls:
        settings["MODELYARD_TLS_CERT_FILE"] = f"{_IN_CONTAINER}/tls.crt"
        settings["MODELYARD_TLS_KEY_FILE"] = f"{_IN_CONTAINER}/tls.key"
    if events_url:
        settings["MODELYARD_EVENTS_URL"] = events_url
        settings |= {variable: f"{_IN_CONTAINER}/{file}" for variable, file in _events_files(params).items()}
    return settings


def _events_files(params: ComposeParams) -> dict[str, str]:
    """Return the files that the server reads for the broker, by the variable that names each."""
    login = {f"MODELYARD_EVENTS_{name.upper()}_FILE": f"events-{name}" for name in ("username", "password")}
    ca = {"MODELYARD_EVENTS_CA_FILE": "events-ca.crt"}
    certificate = {"MODELYARD_EVENTS_CERT_FILE": "events-tls.crt", "MODELYARD_EVENTS_KEY_FILE": "events-tls.key"}
    return (
        (login if params.events_auth else {})
        | (ca if params.events_ca else {})
        | (certificate if params.events_certificate else {})
    )


def _processes(params: ComposeParams) -> dict[str, str]:
    from modelyard.launch.footprint import processes

    return processes(params.workers, params.threads, params.cpus)


def _secret(folder: str, name: str) -> dict[str, str]:
    return {"source": name, "target": name, "file": f"{folder.rstrip('/')}/{name}"}


def _escaped(value: Any) -> Any:
    """Return `value` with every `$` doubled: Compose puts the environment's variables in for a single one."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    return [_escaped(inner) for inner in value] if isinstance(value, list) else value


@hookimpl
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register the target."""
    register("compose", compose, templates=(_TEMPLATE, proxy.TEMPLATE), tools=("jinja2",), check=check)
