"""The table of kinds of stage of one project: modelyard's own rows, and between them those that plugins registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from modelyard.component import Component
from modelyard.errors import PluginError, did_you_mean, listing
from modelyard.kinds import BUILT_IN, Kind

_RUNNER = "modelyard.stages.registered"
_NAME = r"[a-z][a-z0-9_]{0,51}"


def kinds_of(registered: Iterable[Component]) -> Mapping[str, Kind]:
    """Return the kinds of stage by name, in the order of a build.

    Args:
        registered: the components of the kind `kind`. Those that stand behind the same kind keep this order.

    Raises:
        PluginError: a name cannot be a task's, is taken, or the kind that one stands behind is none.
    """
    waiting = list(registered)
    if not waiting:
        return BUILT_IN
    rows = list(BUILT_IN.values())
    for component in waiting:
        _check_name(component)
    while waiting:
        names = [row.name for row in rows]
        component = next((one for one in waiting if one.after in names), None) or _refuse(waiting, names)
        waiting.remove(component)
        rows.insert(_place(rows, component.after), _row(component))
    return {row.name: row for row in rows}


def _place(rows: list[Kind], after: str) -> int:
    """Return where to put a row that stands behind the kind `after`, and behind all that plugins put there before."""
    place = next(number for number, row in enumerate(rows) if row.name == after) + 1
    while place < len(rows) and rows[place].name not in BUILT_IN:
        place += 1
    return place


def _row(component: Component) -> Kind:
    return Kind(
        name=component.name,
        title=component.summary or f"the stages of {component.source.name}",
        doc="{summary}" if component.summary else "{name}",
        runner=_RUNNER,
        settings=component.settings,
        seeded=component.seeded,
        host_bound=component.host_bound,
        measures=component.measures,
        parts=component.parts,
        coming=component.name,
    )


def _check_name(component: Component) -> None:
    where = f"plugin {component.source.file}: register({component.name!r})"
    if not re.fullmatch(_NAME, component.name):
        msg = f"{where}: the name of a kind of stage has 1 to 52 lower-case letters, digits and `_`, a letter first"
        raise PluginError(msg)
    if component.name in BUILT_IN:
        msg = f"{where}: modelyard has a kind of stage of this name\n  taken: {listing(BUILT_IN)}"
        raise PluginError(msg)


def _refuse(waiting: list[Component], names: list[str]) -> NoReturn:
    one = waiting[0]
    circle = "; kinds cannot stand behind each other in a circle" if one.after in {c.name for c in waiting} else ""
    msg = (
        f"plugin {one.source.file}: register({one.name!r}): trait 'after' is {one.after!r}, "
        f"which is no kind of stage that is in the order{did_you_mean(one.after, names)}\n"
        f"  kinds: {', '.join(names)}{circle}"
    )
    raise PluginError(msg)
