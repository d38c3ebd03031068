"""The consumer of a server: made of its settings."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from .consumer import Consumer
from .held import Patience
from .result import Results
from .source import Place, Tls, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import Engine
    from ..limits import Limits
    from ..metrics import Metrics
    from ..mounted import Secrets
    from ..served import Served
    from ..settings import Settings

LEAST_S = 1.0
"""The shortest lease: it is renewed three times in it."""


def consumer_of(
    settings: Settings,
    secrets: Secrets,
    model: Served,
    engine: Engine,
    limits: Limits,
    metrics: Metrics,
    worker: int,
    *,
    once: bool = False,
) -> Consumer[Any]:
    """Return what consumes the events that `settings` name, for the `worker`th process of the server.

    With `once` it ends when there is nothing more.

    Raises:
        StartError: the client of the broker is not there, or cannot be for that place.
    """
    place = place_of(settings, secrets.events_login, model.name, worker)
    assert settings.events_client is not None
    source = open_source(settings.events_client, place)
    patience = Patience(place.most, settings.events_attempts, settings.events_retry_s, place.lease_s, place.order, once)
    results = Results.of(model, settings.events_source)
    return Consumer(source, engine, results, limits, metrics, patience)


def place_of(
    settings: Settings, login: Callable[[], tuple[str | None, str | None]], name: str, worker: int = 0
) -> Place:
    """Return where the events come from and go to that `settings` name, for the model `name`.

    `login` gives user name and password as they are then; `worker` is the number of the process.
    """
    assert settings.events_url is not None
    assert settings.events_input is not None
    assert settings.events_output is not None
    group = settings.events_group or name.replace(".", "-")
    return Place(
        url=settings.events_url,
        input=settings.events_input,
        output=settings.events_output,
        dead_letter=settings.events_dead_letter or f"{settings.events_input}.dead",
        group=group,
        member=f"{socket.gethostname()}-{os.getpid()}",
        client_id="-".join([settings.events_consumer or group, *([str(worker)] if worker else [])]),
        most=settings.events_max_in_flight,
        order=settings.events_order,
        lease_s=max(LEAST_S, settings.events_ack_wait_s),
        login=login,
        tls=Tls(settings.events_ca_file, settings.events_cert_file, settings.events_key_file),
    )
