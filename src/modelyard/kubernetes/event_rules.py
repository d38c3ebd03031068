"""Rules on Triggers of Knative Eventing: what brings events to a server, and what becomes of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.kubernetes.event_filters import lets_through
from modelyard.kubernetes.findings import on_kind
from modelyard.kubernetes.objects import Bundle, Object, get, items, kind, mapping, text
from modelyard.serving.events.names import ERROR, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIGGER, SERVICE = "eventing.knative.dev/Trigger", "serving.knative.dev/Service"
_SOURCE = "MODELYARD_EVENTS_SOURCE"
_ANSWER = {"specversion": "1.0", "datacontenttype": "application/json"}
"""What every event has that the server answers with."""


@on_kind(
    TRIGGER,
    name="trigger-subscriber",
    severity="error",
    remedy="name a Service of the same objects in spec.subscriber.ref",
)
def trigger_subscriber(bundle: Bundle, trigger: Object) -> Iterator[str]:
    """43: an event reaches a server."""
    which, name = _subscriber(trigger)
    if not which and not text(trigger, "spec", "subscriber", "uri"):
        yield "brings events to nobody"
    if which in ("Service", SERVICE) and not _is_elsewhere(trigger) and bundle.find(which, name) is None:
        yield f"brings events to Service {name!r}, which is not there"


@on_kind(TRIGGER, name="trigger-loops", severity="error",
         remedy="filter on the `type` of the events that are to be answered, or take no answers: /events?reply=none")  # fmt: skip
def trigger_loops(bundle: Bundle, trigger: Object) -> Iterator[str]:
    """43: what a server answers is not brought to it again, and again."""
    query = text(trigger, "spec", "subscriber", "uri").partition("?")[2]
    if "reply=none" in query.split("&"):
        return
    for answer in (RESULT, ERROR):
        if lets_through(trigger, {**_ANSWER, "type": answer, **_source(bundle, trigger)}) is not False:
            yield f"may bring the server its own answers, of the type {answer!r}: they go to the broker that it reads"
            return


@on_kind(TRIGGER, name="trigger-dead-letter", severity="warning",
         remedy="name spec.delivery.deadLetterSink, or skip this rule where the broker has one")  # fmt: skip
def trigger_dead_letter(_: Bundle, trigger: Object) -> Iterator[str]:
    """43: an event that cannot be answered is not lost."""
    if not mapping(trigger, "spec", "delivery", "deadLetterSink"):
        yield "says not where events go that cannot be answered"


def _subscriber(trigger: Object) -> tuple[str, str]:
    """Return the kind and the name of the object that a Trigger brings events to; two empty texts: it names none."""
    ref = mapping(trigger, "spec", "subscriber", "ref")
    return kind(ref), text(ref, "name")


def _is_elsewhere(trigger: Object) -> bool:
    """Tell whether a Trigger names an object of another namespace, which is not among these."""
    where = text(trigger, "spec", "subscriber", "ref", "namespace")
    return where not in ("", text(trigger, "metadata", "namespace"))


def _source(bundle: Bundle, trigger: Object) -> dict[str, str]:
    """Return the source of the server's answers, where the objects say it."""
    service = bundle.find(*_subscriber(trigger)) or {}
    for container in items(service, "spec", "template", "spec", "containers"):
        for one in items(container, "env"):
            if text(one, "name") == _SOURCE and get(one, "value"):
                return {"source": text(one, "value")}
    return {}
