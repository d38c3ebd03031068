"""The broker that the target `compose` starts beside the server, to try events out: without a password, kept in memory.

Source: the images of their makers on Docker Hub, `nats`, `redis` and `valkey/valkey`, `eclipse-mosquitto`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.errors import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard_plugins.support.compose_params import ComposeParams

_FOLDER = "/tmp/broker"
_COMMANDS = {
    "nats": ["--jetstream", "--store_dir", _FOLDER],
    "redis": ["--save", "", "--protected-mode", "no"],
    "mqtt": ["mosquitto", "-c", "/mosquitto-no-auth.conf"],
}
"""What the image of a broker is to be told, by the scheme of its URLs; a file of the image's own has Mosquitto listen."""


def problems(params: ComposeParams, schemes: Mapping[str, int]) -> Iterator[Problem]:
    """Yield what is wrong with `events_broker`."""
    if not schemes:
        yield Problem(
            "events_broker", "the project's server takes no events", "add [tool.modelyard.events], or remove it"
        )
    elif _scheme(schemes) is None:
        why = f"no broker is known that would be started for {listing(schemes)}"
        yield Problem("events_broker", why, "start one yourself, and name it: events_url")
    for key in ("events_url", "events_auth", "events_ca", "events_certificate"):
        if getattr(params, key):
            yield Problem(key, "events_broker starts a broker, without password and TLS", "remove one of the two")


def values(params: ComposeParams, schemes: Mapping[str, int]) -> dict[str, Any]:
    """Return what the template is told of the broker, in which `problems` found nothing wrong."""
    scheme = _scheme(schemes)
    assert scheme is not None
    port = schemes[scheme]
    broker = {"image": params.events_broker, "command": _COMMANDS[scheme], "ports": [f"127.0.0.1:{port}:{port}"]}
    return {"broker": broker, "events_url": f"{scheme}://broker:{port}"}


def _scheme(schemes: Mapping[str, int]) -> str | None:
    return next((one for one in schemes if one in _COMMANDS), None)
