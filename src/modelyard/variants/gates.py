"""Gates: the bounds that a variant must meet to be shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.metrics.gating import Gate, gates_of
from modelyard.variants.findings import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.metrics import Quantity
    from modelyard.variants.evaluation import Measured

Undecided = Literal["measured", "pass", "fail"]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates say of one variant, each with its value and its bound.

    Attributes:
        misses: the gates that it misses, those included that are undecided and fail.
        undecided: gates whose bound lies within the interval of what was measured, each with what becomes of it.
    """

    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


class Bound(msgspec.Struct, frozen=True):
    """A gate that is set, and its bound in the gate's unit."""

    gate: Gate
    limit: float


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds that are set.

    Attributes:
        bounds: the bounds, in the order of the metrics.
        undecided: what becomes of a gate whose bound lies within the noise: it passes or fails as the measured value
            does, or always.
    """

    bounds: tuple[Bound, ...] = ()
    undecided: Undecided = "measured"

    @classmethod
    def parse(
        cls,
        values: Mapping[str, Any],
        quantities: Iterable[Quantity],
        where: str = "[tool.modelyard.gates]",
    ) -> Gates:
        """Return the gates that a configuration names; sizes and durations may be texts with a unit.

        Args:
            values: the keys of `[tool.modelyard.gates]`; None and absence are the same.
            quantities: what is measured.
            where: file and table, for messages.

        Raises:
            ConfigError: a gate is unknown, or its bound cannot be read.
        """
        gates = gates_of(quantities)
        allowed = (*gates, "undecided")
        for name in values:
            if name not in allowed:
                msg = f"{where}: unknown gate {name!r}{did_you_mean(name, allowed)}\n  allowed: {listing(allowed)}"
                raise ConfigError(msg)
        bounds = (
            Bound(gate, gate.parse(values[key], f"{where}: key {key!r}"))
            for key, gate in gates.items()
            if values.get(key) is not None
        )
        undecided = values.get("undecided")
        if undecided not in (None, *get_args(Undecided)):
            msg = f"{where}: key 'undecided': {undecided!r} is not allowed\n  allowed: 'measured', 'pass' or 'fail'"
            raise ConfigError(msg)
        return cls(bounds=tuple(bounds), undecided=undecided or "measured")

    @property
    def can_be_undecided(self) -> bool:
        """Whether a bound is on something that is not exact."""
        return any(bound.gate.can_be_undecided for bound in self.bounds)

    def told(self) -> dict[str, float | str]:
        """Return the bounds by name, each in one unit that the name says, and what becomes of what is undecided."""
        return {**{bound.gate.field: bound.limit for bound in self.bounds}, "undecided": self.undecided}

    def judge(self, variant: Measured, baseline: Measured, trained_alike: Measured | None = None) -> Judgement:
        """Return which gates `variant` misses, and which cannot be decided.

        Args:
            variant: what was measured.
            baseline: the baseline, for bounds that are relative to it.
            trained_alike: the baseline, trained as long as the variant: what a drop is measured from; None if that is
                the baseline itself.
        """
        misses, undecided = [], []
        for bound in self.bounds:
            other = (trained_alike or baseline) if bound.gate.how == "drop" else baseline
            found = finding(bound.gate, variant, other)
            if found is None or found.is_met(bound.limit):
                continue
            text = f"{bound.gate.key}: {found.compared(bound.limit)}"
            outcome = "fails"
            if not found.is_missed(bound.limit):
                outcome = self._outcome(is_within=found.is_within(bound.limit))
                text = f"{text}: undecided, {outcome}"
                undecided.append(text)
            misses += [text] if outcome.startswith("fails") else []
        return Judgement(misses=tuple(misses), undecided=tuple(undecided))

    def _outcome(self, *, is_within: bool) -> str:
        """Return what becomes of an undecided gate; `is_within`: the measured value itself is within the bound."""
        if self.undecided == "measured":
            return "passes as measured" if is_within else "fails as measured"
        return "passes" if self.undecided == "pass" else "fails"
