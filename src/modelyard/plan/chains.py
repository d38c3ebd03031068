"""The variants' chains of model optimizers as a tree: a step that several variants share is there once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count

import msgspec

from modelyard.component import Use

Steps = tuple[Use, ...]
_LONGEST = 80


class Link(msgspec.Struct, frozen=True):
    """One step of one variant or more.

    Attributes:
        name: what tells it from the others.
        steps: the chain up to it; the last one is this step.
        parent: the name of the step before, or None for a first step.
    """

    name: str
    steps: Steps
    parent: str | None


def step_key(step: Use) -> str:
    """Return a text that is the same for equal steps alone."""
    return f"{step.component.name} {sorted(step.params.items())!r}"


def chain_key(steps: Steps) -> tuple[str, ...]:
    """Return what is the same for equal chains alone."""
    return tuple(map(step_key, steps))


def links(variants: Mapping[str, Steps]) -> tuple[list[Link], dict[str, str | None]]:
    """Return every step of the variants once, each behind its parent, and the name of each variant's last step.

    A step with which a variant ends has the name of the (first) variant, the others have short names of their own.
    """
    tree = _Tree()
    ends = {variant: tree.add(steps) for variant, steps in variants.items()}
    names: dict[int, str] = {}
    for variant, end in ends.items():
        if end is not None:
            names.setdefault(end, variant)
    unnamed = [number for number in range(len(tree.chains)) if number not in names]
    names |= zip(unnamed, short_names([tree.chains[n] for n in unnamed], variants), strict=True)

    def name(number: int | None) -> str | None:
        return None if number is None else names[number]

    found = [Link(names[n], steps, name(tree.parents[n])) for n, steps in enumerate(tree.chains)]
    return found, {variant: name(end) for variant, end in ends.items()}


class _Tree:
    """Numbers the steps; equal steps behind equal chains have one number."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int | None, str], int] = {}
        self.chains: list[Steps] = []
        self.parents: list[int | None] = []

    def add(self, steps: Steps) -> int | None:
        """Add the steps of a chain that are not there yet, and return the number of the last one."""
        parent: int | None = None
        for index, step in enumerate(steps):
            key = (parent, step_key(step))
            if key not in self.numbers:
                self.numbers[key] = len(self.chains)
                self.chains.append(steps[: index + 1])
                self.parents.append(parent)
            parent = self.numbers[key]
        return parent


def short_names(chains: Sequence[Steps], taken: Collection[str]) -> list[str]:
    """Return a name for each of `chains`, which all differ: the steps' names, and the parameters that set it apart.

    The names do not depend on the order. `prune` if there is one such chain; `prune-sparsity-0.5` and
    `prune-sparsity-0.7` if there are two.

    Args:
        chains: the chains.
        taken: names that none of them may have.
    """
    alike: dict[str, list[Steps]] = {}
    for steps in chains:
        alike.setdefault(_joined(steps), []).append(steps)
    marks = {name: _varying(group) for name, group in alike.items()}
    used: set[str] = set()
    numbers: dict[str, Iterator[int]] = {}
    found = []
    for steps in chains:
        wanted = _clean("-".join(_marked(steps, marks[_joined(steps)])))
        following = numbers.setdefault(wanted, count(2))
        names = chain((wanted,), (f"{wanted}-{number}" for number in following))
        found.append(next(name for name in names if name not in used and name not in taken))
        used.add(found[-1])
    return found


def _joined(steps: Steps) -> str:
    return "-".join(step.component.label for step in steps)


def _varying(group: Sequence[Steps]) -> list[set[str]]:
    """Return, for each step of chains with the same optimizers, the parameters that are not the same in all of them."""
    first = group[0]
    return [
        {key for key in step.params if any(other[n].params[key] != step.params[key] for other in group)}
        for n, step in enumerate(first)
    ]


def _marked(steps: Steps, varying: Sequence[set[str]]) -> Iterable[str]:
    for step, keys in zip(steps, varying, strict=True):
        yield step.component.label
        yield from (f"{key}-{value}" for key, value in step.params.items() if key in keys)


def _clean(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:_LONGEST].strip("-.")
