"""Parameters of targets for the broker that the server takes events from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.contexts import CheckContext


def problems(context: CheckContext, url: str, others: Mapping[str, object]) -> Iterator[Problem]:
    """Yield what is wrong with `events_url`, and with what says more of the broker.

    Args:
        context: the project's.
        url: the value of `events_url`.
        others: the target's other parameters for the broker.
    """
    if url and not context.event_schemes:
        yield Problem("events_url", "the project's server takes no events", "add [tool.modelyard.events], or remove it")
    elif url:
        from modelyard.launch.broker import url_problem  # most have none

        if wrong := url_problem(url, context.event_schemes):
            yield Problem("events_url", *wrong)
    for key, value in others.items():
        if value and not url:
            yield Problem(key, "there is no broker", "set events_url, too, or remove it")
