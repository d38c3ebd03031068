"""Which events the filters of a Trigger let through, as far as an event's attributes are known.

Source: Knative Eventing, Trigger `spec.filters`: exact, prefix, suffix, all, any, not, cesql.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.objects import Object, items, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_COMPARED: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
DIALECTS = (*_COMPARED, "all", "any", "not", "cesql")
"""What a filter may be."""


def lets_through(trigger: Object, event: Mapping[str, str]) -> bool | None:
    """Tell whether a Trigger takes an event; None: that depends on what is not known of it.

    Args:
        trigger: the Trigger.
        event: the attributes of the event that are known.
    """
    filters = items(trigger, "spec", "filters")
    if filters:
        return _all(_matches(one, event) for one in filters)
    attributes = mapping(trigger, "spec", "filter", "attributes")
    return _compare("exact", {key: value for key, value in attributes.items() if value != ""}, event)


def _matches(one: Any, event: Mapping[str, str]) -> bool | None:
    """Tell whether a filter matches; one with several dialects, which Knative refuses, does if each does."""
    found = [_dialect(name, inner, event) for name, inner in mapping({"filter": one}, "filter").items()]
    return _all(found)


def _dialect(name: str, inner: Any, event: Mapping[str, str]) -> bool | None:
    if name in _COMPARED:
        return _compare(name, mapping({"filter": inner}, "filter"), event)
    listed = items({"filters": inner}, "filters")
    if name == "all":
        return _all(_matches(one, event) for one in listed)
    if name == "any":
        return _not(_all(_not(_matches(one, event)) for one in listed))
    return _not(_matches(inner, event)) if name == "not" else None


def _compare(how: str, wanted: Mapping[str, Any], event: Mapping[str, str]) -> bool | None:
    compare = _COMPARED[how]
    return _all(compare(event[key], str(value)) if key in event else None for key, value in wanted.items())


def _all(found: Iterable[bool | None]) -> bool | None:
    """Return whether all are true: one that is not decides, before those that are not known."""
    seen = list(found)
    return False if False in seen else None if None in seen else True


def _not(found: bool | None) -> bool | None:
    return None if found is None else not found
