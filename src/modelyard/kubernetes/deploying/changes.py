"""What a deploy would change, object by object, in words and as a diff."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modelyard.kubernetes.objects import label, mapping

if TYPE_CHECKING:
    from modelyard.kubernetes.objects import Object

_OF_THE_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
_SHOWN = 4


@dataclass(frozen=True)
class Change:
    """What happens to one object.

    Attributes:
        how: it is created, changed, removed, or kept as it is.
        thing: the object as it is rendered; one that is removed, as it is.
        live: as it is in the cluster; None: it is not there.
        then: as the API says that it will be.
        why: more about it, in words.
    """

    how: Literal["create", "change", "remove", "keep"]
    thing: Object
    live: Any = None
    then: Any = None
    why: str = ""

    def __str__(self) -> str:
        return f"  {self.how:<9} {label(self.thing)}{self.why and ': '}{self.why}"

    def diff(self) -> str:
        """Return the change as a unified diff of YAML; a Secret's values are never among the objects."""
        before = [] if self.live is None else _yaml(self.live)
        after = [] if self.then is None else _yaml(self.then)
        name = label(self.thing)
        return "".join(difflib.unified_diff(before, after, f"live {name}", f"rendered {name}", n=2))


def judge(thing: Object, live: Any, then: Any, notes: list[str]) -> Change:
    """Return what happens to an object that is rendered.

    Args:
        thing: as it is rendered.
        live: as it is in the cluster, or None.
        then: as the API says that it will be.
        notes: what else happens to it than that its fields get other values.
    """
    if live is None:
        return Change("create", thing, None, then)
    fields = list(_differing(plain(live), plain(then), ""))
    shown = ", ".join(fields[:_SHOWN]) + (f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else "")
    why = "; ".join(filter(None, [shown, *notes]))
    return Change("change" if why else "keep", thing, live, then, why)


def plain(thing: Object) -> dict[str, Any]:
    """Return an object without what the server alone says of it."""
    rest = {key: copy.deepcopy(value) for key, value in thing.items() if key != "status"}
    rest["metadata"] = {k: v for k, v in mapping(rest, "metadata").items() if k not in _OF_THE_SERVER}
    return rest


def _differing(one: Any, other: Any, where: str) -> Iterator[str]:
    """Yield the paths of the fields that differ; of a list whose length differs, the list's."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _differing(one.get(key), other.get(key), f"{where}.{key}" if where else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differing(left, right, f"{where}[{number}]")
    elif one != other:
        yield where


def _yaml(thing: Object) -> list[str]:
    import yaml

    text: str = yaml.safe_dump(plain(thing), sort_keys=True, width=1000)
    return text.splitlines(keepends=True)
