"""The Secrets whose keys are files in the pod, and the variables that tell the server of those files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.kubernetes.exposure import Proxy
    from modelyard.kubernetes.target_params import KubernetesParams

PATHS = {"auth": "/etc/modelyard/auth", "tls": "/etc/modelyard/tls"}
"""Where a Secret's keys are files, in the container that reads them."""


@dataclass(frozen=True)
class MountedSecret:
    """A Secret that the server reads as files: `volume` names it in the pod, `path` is its folder there.

    Attributes:
        volume: the name of its volume.
        name: its own name.
        keys: those of its keys that are files.
    """

    volume: str
    name: str
    keys: tuple[str, ...]

    @property
    def path(self) -> str:
        """The folder in the container."""
        return PATHS.get(self.volume, f"/etc/modelyard/{self.volume}")


def secret_variables(variables: Mapping[str, str]) -> list[MountedSecret]:
    """Return the Secrets that hold values of variables, each once, with the keys that are asked for."""
    keys: dict[str, dict[str, None]] = {}
    for value in variables.values():
        secret, _, key = value.partition("/")
        keys.setdefault(secret, {})[key] = None
    return [
        MountedSecret(f"env-{number}", secret, tuple(names)) for number, (secret, names) in enumerate(keys.items(), 1)
    ]


def files_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name the files with the values of `variables`."""
    paths = {one.name: one.path for one in secret_variables(variables)}
    found = {variable: value.partition("/") for variable, value in variables.items()}
    return {f"{variable}_FILE": f"{paths[secret]}/{key}" for variable, (secret, _, key) in found.items()}


def mounted_secrets(name: str, p: KubernetesParams, proxy: Proxy | None) -> list[MountedSecret]:
    """Return the Secrets that the pods read: those of the password and the certificate, and of the broker."""
    keys = ("htpasswd",) if proxy else ("username", "password")
    auth = MountedSecret("auth", p.auth_secret or f"{name}-auth", keys)
    tls = MountedSecret("tls", p.tls_secret or f"{name}-tls", ("tls.crt", "tls.key"))
    return [auth] * p.auth + [tls] * p.tls + ([] if proxy or p.events_jobs else events_secrets(p))


def events_secrets(p: KubernetesParams) -> list[MountedSecret]:
    """Return the Secrets that whoever speaks with the broker reads."""
    found = (
        MountedSecret("events-auth", p.events_secret, ("username", "password")),
        MountedSecret("events-ca", p.events_ca_secret, ("ca.crt",)),
        MountedSecret("events-tls", p.events_tls_secret, ("tls.crt", "tls.key")),
    )
    return [one for one in found if one.name]


_EVENTS_FILES = {
    "events-auth/username": "MODELYARD_EVENTS_USERNAME_FILE",
    "events-auth/password": "MODELYARD_EVENTS_PASSWORD_FILE",
    "events-ca/ca.crt": "MODELYARD_EVENTS_CA_FILE",
    "events-tls/tls.crt": "MODELYARD_EVENTS_CERT_FILE",
    "events-tls/tls.key": "MODELYARD_EVENTS_KEY_FILE",
}
"""The variables that name the files of Secrets for the broker, by volume and key."""


def broker_settings(p: KubernetesParams) -> dict[str, str]:
    """Return what the server is told of the broker; nothing, if there is none."""
    if not p.events_url:
        return {}
    files = {_EVENTS_FILES[f"{one.volume}/{key}"]: f"{one.path}/{key}" for one in events_secrets(p) for key in one.keys}
    return {"MODELYARD_EVENTS_URL": p.events_url, **files}
