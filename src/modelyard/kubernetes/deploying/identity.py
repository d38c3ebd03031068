"""Which object is which, and whose it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.files.json import decode
from modelyard.kubernetes.objects import kind, mapping, text
from modelyard.kubernetes.parameters import INSTANCE, MANAGED_BY, NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelyard.kubernetes.objects import Object


class Identity(NamedTuple):
    """What tells an object of a cluster from all others."""

    kind: str
    namespace: str
    name: str


def identity(thing: Object, namespace: str) -> Identity:
    """Return which object `thing` is; `namespace` counts where it names none."""
    return Identity(
        f"{text(thing, 'apiVersion').rpartition('/')[0]}/{text(thing, 'kind')}",
        text(thing, "metadata", "namespace") or namespace,
        text(thing, "metadata", "name"),
    )


def is_ours(thing: Object, name: str) -> bool:
    """Tell whether modelyard made a live object, for the service `name`; a namespace may be anybody's."""
    labels = mapping(thing, "metadata", "labels")
    return kind(thing) == "Namespace" or (
        labels.get(MANAGED_BY) == "modelyard" and labels.get(INSTANCE, labels.get(NAME)) == name
    )


def service_name(workloads: list[Object]) -> str:
    """Return the name of the service, which all its objects are labelled with; empty: there are no such `workloads`."""
    return text(mapping(next(iter(workloads), {}), "metadata", "labels"), INSTANCE)


def namespace_of(documents: list[Object]) -> str:
    """Return the namespace that the objects name; empty: they name none."""
    return next((found for one in documents if (found := text(one, "metadata", "namespace"))), "")


def bare(thing: Object) -> dict[str, Any]:
    """Return no more of an object than which one it is."""
    metadata = {key: text(thing, "metadata", key) for key in ("name", "namespace") if text(thing, "metadata", key)}
    return {"apiVersion": text(thing, "apiVersion"), "kind": text(thing, "kind"), "metadata": metadata}


def as_stream(things: Iterable[Object]) -> str:
    """Return objects as the text that `kubectl ... -f -` reads: a stream, each checked by the server as itself.

    JSON follows on JSON without a line of dashes, which kubectl before 1.33 takes for a part of a number.
    """
    return "\n".join(json.dumps(one, default=str) for one in things)


def from_list(answer: str) -> list[Any]:
    """Return the objects that `kubectl ... -o json` answers: several, one or none."""
    if not answer.strip():
        return []
    found = decode(answer.encode(), dict[str, Any])
    return list(found.get("items") or ()) if found.get("kind") == "List" else [found]
