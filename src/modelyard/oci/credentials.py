"""Who we are to a registry: what `docker login`, `podman login` or a credential helper has left.

Source: Docker's config.json reference; containers-auth.json(5); docker-credential-helpers protocol.
"""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import ToolError
from modelyard.files.json import decode, read_bytes
from modelyard.oci.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HUB_KEY = "https://index.docker.io/v1/"
TOKEN_USER = "<token>"


@dataclass(frozen=True)
class Credentials:
    """User name and password, or an identity token in place of both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header for basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class _Answer(msgspec.Struct, rename="pascal"):
    """What a credential helper prints."""

    username: str
    secret: str


def find_credentials(host: str) -> Credentials | None:
    """Return what the user's configuration has for the registry `host`, or None.

    Raises:
        ToolError: a configuration file or credential helper is there and cannot be used.
    """
    for path in _files():
        if path.is_file():
            found = _in_file(path, host)
            if found is not None:
                return found
    return None


def _files() -> Iterator[Path]:
    environment = os.environ
    if environment.get("REGISTRY_AUTH_FILE"):
        yield Path(environment["REGISTRY_AUTH_FILE"])
    home = Path(environment.get("HOME", "/nonexistent"))
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if environment.get("XDG_RUNTIME_DIR"):
        yield Path(environment["XDG_RUNTIME_DIR"], "containers", "auth.json")


def _in_file(path: Path, host: str) -> Credentials | None:
    try:
        config = decode(read_bytes(path), dict[str, Any])
        key = HUB_KEY if host == DOCKER_HUB else host
        helper = (config.get("credHelpers") or {}).get(host) or config.get("credsStore")
        found = _ask_helper(helper, key) if helper else None
        return found or _of_entry(_entry(config.get("auths") or {}, host, key))
    except (OSError, ValueError, AttributeError, TypeError) as exc:
        msg = f"{path}: cannot be read: {exc}\n  correct it, or log in to {host!r} again"
        raise ToolError(msg) from exc


def _entry(auths: Mapping[str, Any], host: str, key: str) -> Mapping[str, Any]:
    for name in (key, host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/"):
        if auths.get(name):
            return dict(auths[name])
    return {}


def _of_entry(entry: Mapping[str, Any]) -> Credentials | None:
    if entry.get("identitytoken"):
        return Credentials(identity_token=str(entry["identitytoken"]))
    if entry.get("auth"):
        username, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        return Credentials(username, password.rstrip("\0"))
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    return None


def _ask_helper(name: str, key: str) -> Credentials | None:
    command = f"docker-credential-{name}"
    try:
        done = subprocess.run([command, "get"], input=key.encode(), capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as exc:
        msg = f"credential helper {command!r}: {exc}\n  install it, or remove it from the registry configuration"
        raise ToolError(msg) from exc
    if done.returncode:
        return None
    try:
        answer = decode(done.stdout, _Answer)
    except ValueError as exc:
        msg = f"credential helper {command!r}: its answer cannot be read: {exc}\n  correct it, or remove it from the registry configuration"
        raise ToolError(msg) from exc
    if answer.username == TOKEN_USER:
        return Credentials(identity_token=answer.secret)
    return Credentials(answer.username, answer.secret)
