"""The event that answers another: what it is called, and what it carries on.

Source: CloudEvents 1.0.2, extensions/{correlation,distributed-tracing,partitioning,expirytime}.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from ..traces import read_parent
from .event import VERSION, Event
from .names import ERROR, RESULT

if TYPE_CHECKING:
    from ..errors import RequestError
    from ..served import Served
    from ..trace import Trace

_CARRIED = ("subject", "partitionkey", "tracestate")


@dataclass(frozen=True)
class Results:
    """Makes the events that answer others.

    Attributes:
        model: the model that answers.
        source: what they say that they come from, a URI reference.
    """

    model: Served
    source: str

    @classmethod
    def of(cls, model: Served, source: str | None) -> Results:
        """Return those of `model`, from `source` or from what the model's name and version say."""
        return cls(model, source or f"urn:modelyard:{model.name}:{model.version}")

    def is_own(self, event: Event) -> bool:
        """Return whether `event` is an answer of ours: whoever sends it back makes a loop."""
        return event["type"] in (RESULT, ERROR) and event["source"] == self.source

    def result(self, cause: Event, data: bytes, trace: Trace | None = None) -> Event:
        """Return the answer to `cause`, with JSON `data`."""
        return Event(self._attributes(RESULT, cause, trace), data)

    def error(self, cause: Event, wrong: RequestError, trace: Trace | None = None) -> Event:
        """Return the event that says what is wrong with `cause`."""
        data = orjson.dumps({"error": wrong.message.encode("utf-8", "replace").decode(), "code": wrong.status})
        return Event(self._attributes(ERROR, cause, trace), data)

    def id_of(self, cause: Event) -> str:
        """Return the id of the answer to `cause`: the same for the same event and model, so that it is known again."""
        identity = self.model.identity["sha256"] or f"{self.model.name}:{self.model.version}"
        return hashlib.sha256("\0".join((cause["source"], cause["id"], identity)).encode()).hexdigest()[:32]

    def _attributes(self, kind: str, cause: Event, trace: Trace | None) -> dict[str, str]:
        model = self.model
        attributes = {
            "specversion": VERSION,
            "id": self.id_of(cause),
            "source": self.source,
            "type": kind,
            "time": _now(),
            "datacontenttype": "application/json",
            "causationid": cause["id"],
            "correlationid": cause.get("correlationid") or cause["id"],
            "modelname": model.name,
            "modelversion": model.version,
        }
        carried = {name: cause.get(name) for name in _CARRIED}
        optional = {**carried, "traceparent": _traceparent(cause, trace), "modeldigest": model.identity["sha256"]}
        return attributes | {name: value for name, value in optional.items() if value}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceparent(cause: Event, trace: Trace | None) -> str | None:
    """Return our place in the trace of `cause`; in that of the request that brought it, if it names none."""
    theirs = cause.get("traceparent")
    parent = read_parent(theirs.encode()) if theirs else None
    if parent is None or (trace is not None and trace.trace_id == parent[0]):
        return trace.parent().decode() if trace is not None else None
    return f"00-{parent[0]}-{secrets.token_hex(8)}-{parent[2]:02x}"
