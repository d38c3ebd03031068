"""The gates of plugins: each judges what was measured, and says why a variant must not ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.contexts import GateContext
from modelyard.errors import PluginError

if TYPE_CHECKING:
    from modelyard.component import Use
    from modelyard.variants.evaluation import Measured

OwnGate = Callable[[GateContext], list[str]]
"""Gives the reasons why a variant must not ship; none: it may."""


def own_gates(uses: Mapping[str, Use]) -> dict[str, OwnGate]:
    """Return the gates of plugins by name, each with its parameters filled in."""
    return {name: _gate(name, use) for name, use in uses.items()}


def misses(gates: Mapping[str, OwnGate], variant: str, measured: Measured, baseline: Measured) -> tuple[str, ...]:
    """Return each reason why `variant` must not ship, with the name of the gate that says it.

    Raises:
        PluginError: a gate gives something else than texts.
    """
    if not gates:
        return ()
    context = GateContext(
        variant=variant,
        metrics=measured.metrics,
        baseline=baseline.metrics,
        details=measured.evaluation.details,
        answers=measured.answers,
        baseline_answers=baseline.answers,
    )
    return tuple(f"{name}: {reason}" for name, gate in gates.items() for reason in gate(context))


def _gate(name: str, use: Use) -> OwnGate:
    def judge(context: GateContext) -> list[str]:
        given: Any = use.component.function(context, **use.params)
        reasons = [given] if isinstance(given, str) else list(given or ())
        for reason in reasons:
            if not isinstance(reason, str) or not reason or "\n" in reason:
                msg = (
                    f"the gate {name!r} ({use.component.file}) gave {reason!r:.80}\n"
                    "  it yields each reason why the variant must not ship, a text of one line"
                )
                raise PluginError(msg)
        return reasons

    return judge
