"""How model formats lead to one another: the chains of model optimizers between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelyard.component import Component
from modelyard.errors import listing
from modelyard.plugins.load import Plugins

Chain = tuple[str, ...]
"""Names of model optimizers, in order."""


def shortest_chains(optimizers: Iterable[Component], start: str, goals: Sequence[str]) -> list[Chain]:
    """Return every chain of the fewest model optimizers that leads from the format `start` to one of `goals`, sorted.

    Returns:
        Chains of one length; a single empty one if `start` is a goal, none if nothing leads there.
    """
    known = list(optimizers)
    seen: set[str] = set()
    reached: dict[str, list[Chain]] = {start: [()]}
    while reached:
        arrived = sorted(chain for goal in dict.fromkeys(goals) for chain in reached.get(goal, ()))
        if arrived:
            return arrived
        seen |= reached.keys()
        further: dict[str, list[Chain]] = {}
        for given, chains in reached.items():
            for optimizer in known:
                if given in optimizer.accepts and optimizer.produces not in seen:
                    further.setdefault(optimizer.produces, []).extend((*chain, optimizer.name) for chain in chains)
        reached = further
    return []


def advice(plugins: Plugins, given: str, accepted: Sequence[str], *, is_runtime: bool) -> str:
    """Return what to do where a model of the format `given` meets a component that takes `accepted` only.

    Args:
        plugins: the project's plugins.
        given: the format at hand.
        accepted: the formats that are taken.
        is_runtime: whether it is the runtime that takes them, so that another one may help.
    """
    optimizers = list(plugins.of_kind("optimizer").values())
    chains = shortest_chains(optimizers, given, accepted)
    if not chains:
        takers = listing(component.name for component in optimizers if given in component.accepts)
        text = f"no model optimizers lead from {given} to {listing(accepted)}; those that take {given}: {takers}"
    elif len(chains[0]) == 1:
        text = f"model optimizers that fit between them: {', '.join(chain[0] for chain in chains)}"
    else:
        text = f"chains that fit between them: {', or '.join(' then '.join(chain) for chain in chains)}"
    runtimes = [name for name, one in plugins.of_kind("runtime").items() if given in one.accepts]
    if not (is_runtime and runtimes):
        return text
    return f"{text}; runtimes that take {given}, for [tool.modelyard.runtime] use: {listing(runtimes)}"
