"""`[tool.modelyard.events]`: what its values mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from modelyard.component import PLACES
from modelyard.errors import ConfigError
from modelyard.toml.places import KeyPlace

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.config.tables import Events
    from modelyard.toml.places import Where


def named_places(events: Events, name: str) -> Events:
    """Return the values of the table, with places that are left out called after the project, whose name is `name`."""
    given = events.input or f"{name}.in"
    usual = {"input": given, "output": f"{name}.out", "dead_letter": f"{given}.dead", "group": name}
    return replace(events, **{key: getattr(events, key) or usual[key] for key in PLACES})


def check_events(source: Component, events: Events, runtime: Component, where: Where) -> None:
    """Refuse events that no server would take, or that would go round.

    Raises:
        ConfigError: they are.
    """
    if runtime.server is None:
        msg = (
            f"{where}: the server of the runtime {runtime.name!r} comes with its image, and takes no events of a broker\n"
            "  remove the table, or choose another runtime"
        )
        raise ConfigError(msg)
    for key in ("output", "dead_letter"):
        if (place := getattr(events, key)) == events.input:
            msg = (
                f"{KeyPlace(where, key)}: {place!r} is not allowed: `input` is the same, so events would go round\n"
                "  allowed: another name"
            )
            raise ConfigError(msg)
    if not events.url:
        return
    from modelyard.launch.broker import url_problem  # most have none
    from modelyard.serving.urls import shown_url

    if problem := url_problem(events.url, source.schemes):
        msg = f"{KeyPlace(where, 'url')}: {shown_url(events.url)!r} is not allowed: {problem[0]}\n  {problem[1]}"
        raise ConfigError(msg)
