"""Every rule of `event_rules` against a change of good objects that it alone is there to find."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelyard.kubernetes.checking import check

LABELS = {f"app.kubernetes.io/{key}": "digits" for key in ("name", "instance", "version", "managed-by")}
METADATA = {"name": "digits", "namespace": "models", "labels": LABELS}
SOURCE = {"name": "MODELYARD_EVENTS_SOURCE", "value": "urn:answers"}
SERVICE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": METADATA,
    "spec": {"template": {"spec": {"containers": [{"image": "a", "env": [SOURCE]}]}}},
}
SUBSCRIBER = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "digits"}, "uri": "/events"}
TRIGGER = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Trigger",
    "metadata": METADATA,
    "spec": {
        "broker": "default",
        "filters": [{"exact": {"type": "picture.seen"}}],
        "subscriber": SUBSCRIBER,
        "delivery": {"deadLetterSink": {"uri": "http://dead.example"}},
    },
}


def found(**spec: Any) -> list[str]:
    """Return the rules that a Trigger breaks whose spec is changed so; None takes a field away."""
    trigger: dict[str, Any] = copy.deepcopy(TRIGGER)
    trigger["spec"] = {key: value for key, value in {**trigger["spec"], **spec}.items() if value is not None}
    return [finding.rule for finding in check([SERVICE, trigger])]


def test_good_objects_break_no_rule() -> None:
    assert found() == []


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("trigger-loops", {"filters": None}),
    ("trigger-loops", {"filters": [{"prefix": {"type": "dev.modelyard."}}]}),
    ("trigger-loops", {"filters": [{"exact": {"type": "dev.modelyard.inference.error"}}]}),
    ("trigger-loops", {"filters": [{"exact": {"subject": "a"}}]}),
    ("trigger-loops", {"filters": [{"cesql": "type = 'a'"}]}),
    ("trigger-loops", {"filters": [{"exact": {"source": "urn:answers"}}]}),
    ("trigger-subscriber", {"subscriber": {**SUBSCRIBER, "ref": {**SUBSCRIBER["ref"], "name": "other"}}}),  # type: ignore[dict-item]
    ("trigger-subscriber", {"subscriber": {}}),
    ("trigger-dead-letter", {"delivery": None}),
]


@pytest.mark.parametrize(("rule", "spec"), BROKEN)
def test_a_rule_finds_what_it_is_there_for(rule: str, spec: dict[str, Any]) -> None:
    assert found(**spec) == [rule]


@pytest.mark.parametrize(
    "spec",
    [
        {"filters": None, "subscriber": {**SUBSCRIBER, "uri": "/events?reply=none"}},
        {"filters": [{"not": {"prefix": {"type": "dev.modelyard."}}}]},
        {"filters": [{"exact": {"source": "/cameras"}}]},
        {"filters": None, "filter": {"attributes": {"type": "picture.seen"}}},
        {"subscriber": {"ref": {**SUBSCRIBER["ref"], "name": "other", "namespace": "others"}}},  # type: ignore[dict-item]
        {"subscriber": {"uri": "http://elsewhere.example"}},
    ],
)
def test_a_rule_leaves_alone_what_is_allowed(spec: dict[str, Any]) -> None:
    assert found(**spec) == []
