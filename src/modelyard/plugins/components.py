"""The components of a project by kind and name; one that waits is made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping

from modelyard.component import KINDS, Component

Place = tuple[str, str]
"""A kind, one of `component.KINDS`, and a name."""


class Components(MutableMapping[Place, Component]):
    """Components by kind and name, in the order of the kinds; to ask whether there is one, or for all names, makes none."""

    def __init__(self) -> None:
        self._made: dict[Place, Component | None] = {}
        self._waiting: dict[Place, Callable[[], Component]] = {}

    def wait(self, place: Place, make: Callable[[], Component]) -> None:
        """Have `make` return what is at `place`, once, when it is asked for."""
        self._made[place] = None
        self._waiting[place] = make

    def __getitem__(self, place: Place) -> Component:
        found = self._made[place]
        if found is None:
            found = self._made[place] = self._waiting.pop(place)()
        return found

    def __setitem__(self, place: Place, component: Component) -> None:
        self._made[place] = component
        self._waiting.pop(place, None)

    def __delitem__(self, place: Place) -> None:
        del self._made[place]
        self._waiting.pop(place, None)

    def __contains__(self, place: object) -> bool:
        return place in self._made

    def __iter__(self) -> Iterator[Place]:
        return (place for kind in KINDS for place in self._made if place[0] == kind)

    def __len__(self) -> int:
        return len(self._made)


class OfKind(Mapping[str, Component]):
    """The components of one kind by name, each made when it is asked for."""

    def __init__(self, components: Mapping[Place, Component], kind: str) -> None:
        self._components, self._kind = components, kind

    def __getitem__(self, name: str) -> Component:
        return self._components[self._kind, name]

    def __contains__(self, name: object) -> bool:
        return (self._kind, name) in self._components

    def __iter__(self) -> Iterator[str]:
        return (name for kind, name in self._components if kind == self._kind)

    def __len__(self) -> int:
        return sum(1 for _ in self)
