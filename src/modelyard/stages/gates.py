"""Gates: the bounds that a variant must meet to be shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.units import parse_duration_ms, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.stages.evaluation import Measured

_ROUNDING = 1e-9
"""Room for the rounding of a difference of two accuracies: 0.95 - 0.93 is not 0.02."""


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in one unit each; None bounds nothing.

    Attributes:
        min_accuracy: least accuracy on the test split, 0 to 1.
        max_accuracy_drop: most that the accuracy may lie below the baseline variant's, 0 to 1.
        max_size_bytes: most bytes of the model's file, as it is (not compressed).
        max_latency_p99_ms: most milliseconds that 99 of 100 calls with one sample take.
    """

    min_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    max_size_bytes: int | None = None
    max_latency_p99_ms: float | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "[tool.modelyard.gates]") -> Gates:
        """Return the gates that a configuration names; sizes and durations may be texts with a unit.

        Args:
            values: `min_accuracy`, `max_accuracy_drop`, `max_size`, `max_latency_p99`; None and absence are the same.
            where: file and table, for messages.

        Raises:
            ConfigError: a gate is unknown, or its bound cannot be read.
        """
        bounds: dict[str, Any] = {}
        for name, value in values.items():
            if name not in _PARSERS:
                msg = f"{where}: unknown gate {name!r}{did_you_mean(name, _PARSERS)}\n  allowed: {listing(_PARSERS)}"
                raise ConfigError(msg)
            if value is not None:
                field, parse = _PARSERS[name]
                bounds[field] = parse(value, f"{where}: key {name!r}")
        return cls(**bounds)

    def misses(self, variant: Measured, baseline: Measured) -> list[str]:
        """Return each gate that `variant` misses, with its value and the bound; none if it may ship."""
        return [text for missed, text in self._checks(variant, baseline) if missed]

    def _checks(self, variant: Measured, baseline: Measured) -> Iterator[tuple[bool, str]]:
        accuracy, size = variant.evaluation.accuracy, variant.evaluation.size_bytes
        p99_ms = variant.latency.p99_ms
        if (bound := self.min_accuracy) is not None:
            yield accuracy < bound, f"min_accuracy: accuracy {accuracy:.4f} is below {bound:g}"
        if (bound := self.max_accuracy_drop) is not None:
            drop = baseline.evaluation.accuracy - accuracy
            yield drop > bound + _ROUNDING, f"max_accuracy_drop: {drop:.4f} below the baseline is more than {bound:g}"
        if (bound := self.max_size_bytes) is not None:
            yield size > bound, f"max_size: {size:,} bytes are more than {bound:,}"
        if (bound := self.max_latency_p99_ms) is not None:
            yield p99_ms > bound, f"max_latency_p99: {p99_ms:.3f} ms are more than {bound:g} ms"


def _fraction(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a fraction from 0 to 1, for instance 0.02 for two points"
    raise ConfigError(msg)


_PARSERS: dict[str, tuple[str, Any]] = {
    "min_accuracy": ("min_accuracy", _fraction),
    "max_accuracy_drop": ("max_accuracy_drop", _fraction),
    "max_size": ("max_size_bytes", parse_size),
    "max_latency_p99": ("max_latency_p99_ms", parse_duration_ms),
}
