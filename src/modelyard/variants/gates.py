"""Gates: the bounds that a variant must meet to be shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.units import parse_duration_ms, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from modelyard.variants.evaluation import Measured

_ROUNDING = 1e-9
"""Room for the rounding of a difference of two accuracies: 0.95 - 0.93 is not 0.02."""

Undecided = Literal["measured", "pass", "fail"]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates say of one variant, each with its value and its bound.

    Attributes:
        misses: the gates that it misses, those included that are undecided and fail.
        undecided: gates on latency whose bound lies within the interval of what was measured, each with what becomes
            of it.
    """

    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in one unit each; None bounds nothing.

    Attributes:
        min_accuracy: least accuracy on the test split, 0 to 1.
        min_class_accuracy: least accuracy on the test samples of each class, 0 to 1.
        max_accuracy_drop: most that the accuracy may lie below the baseline's, 0 to 1.
        max_class_accuracy_drop: most that the accuracy on one class may lie below the baseline's, 0 to 1.
        max_size_bytes: most bytes of the model's file, as it is (not compressed).
        max_size_ratio: most that the file's size may be, as a part of the baseline's.
        max_gzip_size_bytes: most bytes of the model's file after gzip.
        max_gzip_ratio: most that the size after gzip may be, as a part of the baseline's.
        max_latency_p50_ms: most milliseconds that half of the calls with one sample take.
        max_latency_p99_ms: most milliseconds that 99 of 100 calls with one sample take.
        max_latency_ratio: most that the median latency may be, as a part of the baseline's.
        undecided: what becomes of a gate on latency whose bound lies within the noise: it passes or fails as the
            measured value does, or always.
    """

    min_accuracy: float | None = None
    min_class_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    max_class_accuracy_drop: float | None = None
    max_size_bytes: int | None = None
    max_size_ratio: float | None = None
    max_gzip_size_bytes: int | None = None
    max_gzip_ratio: float | None = None
    max_latency_p50_ms: float | None = None
    max_latency_p99_ms: float | None = None
    max_latency_ratio: float | None = None
    undecided: Undecided = "measured"

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "[tool.modelyard.gates]") -> Gates:
        """Return the gates that a configuration names; sizes and durations may be texts with a unit.

        Args:
            values: the keys of `[tool.modelyard.gates]`; None and absence are the same.
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

    def judge(self, variant: Measured, baseline: Measured, trained_alike: Measured | None = None) -> Judgement:
        """Return which gates `variant` misses, and which cannot be decided.

        Args:
            variant: what was measured.
            baseline: the baseline, for bounds that are relative to it.
            trained_alike: the baseline, trained as long as the variant: what accuracies are compared with; None if
                that is the baseline itself.
        """
        misses = [*self._accuracy(variant, trained_alike or baseline), *self._size(variant, baseline)]
        undecided = []
        for is_sure, is_within, text in self._latency(variant):
            outcome = "fails" if is_sure else self._outcome(is_within=is_within)
            told = text if is_sure else f"{text}: undecided, {outcome}"
            misses += [told] if outcome.startswith("fails") else []
            undecided += [] if is_sure else [told]
        return Judgement(misses=tuple(misses), undecided=tuple(undecided))

    def _outcome(self, *, is_within: bool) -> str:
        """Return what becomes of an undecided gate; `is_within`: the measured value itself is within the bound."""
        if self.undecided == "measured":
            return "passes as measured" if is_within else "fails as measured"
        return "passes" if self.undecided == "pass" else "fails"

    def _accuracy(self, variant: Measured, baseline: Measured) -> Iterator[str]:
        accuracy = variant.evaluation.accuracy
        if (bound := self.min_accuracy) is not None and accuracy < bound:
            yield f"min_accuracy: accuracy {accuracy:.4f} is below {bound:g}"
        drop = baseline.evaluation.accuracy - accuracy
        if (bound := self.max_accuracy_drop) is not None and drop > bound + _ROUNDING:
            yield f"max_accuracy_drop: {drop:.4f} below the baseline is more than {bound:g}"
        own, other = variant.evaluation.per_class, baseline.evaluation.per_class
        names = variant.evaluation.class_names
        least, name = min((a, name) for name, a in zip(names, own, strict=True) if a is not None)
        if (bound := self.min_class_accuracy) is not None and least < bound:
            yield f"min_class_accuracy: accuracy {least:.4f} on {name!r} is below {bound:g}"
        both = zip(names, own, other, strict=True)
        drop, name = max((b - a, name) for name, a, b in both if a is not None and b is not None)
        if (bound := self.max_class_accuracy_drop) is not None and drop > bound + _ROUNDING:
            yield f"max_class_accuracy_drop: on {name!r} {drop:.4f} below the baseline is more than {bound:g}"

    def _size(self, variant: Measured, baseline: Measured) -> Iterator[str]:
        own, other = variant.evaluation, baseline.evaluation
        for name, size, of_baseline, most, part in (
            ("size", own.size_bytes, other.size_bytes, self.max_size_bytes, self.max_size_ratio),
            ("gzip", own.gzip_bytes, other.gzip_bytes, self.max_gzip_size_bytes, self.max_gzip_ratio),
        ):
            after = " after gzip" if name == "gzip" else ""
            if most is not None and size > most:
                yield f"max_{name if name == 'size' else 'gzip_size'}: {size:,} bytes{after} are more than {most:,}"
            if part is not None and size > part * of_baseline:
                found = f"{size:,} bytes{after} are {size / of_baseline:.3f} of the baseline's"
                yield f"max_{name}_ratio: {found}, more than {part:g}"

    def _latency(self, variant: Measured) -> Iterator[tuple[bool, bool, str]]:
        one = variant.latency
        p50, p99 = (one.p50_low_ms, one.p50_ms, one.p50_high_ms), (one.p99_low_ms, one.p99_ms, one.p99_high_ms)
        ratio = (one.ratio.low, one.ratio.p50, one.ratio.high) if one.ratio else (1.0, 1.0, 1.0)
        yield from _within("max_latency_p50", p50, self.max_latency_p50_ms, " ms")
        yield from _within("max_latency_p99", p99, self.max_latency_p99_ms, " ms")
        yield from _within("max_latency_ratio", ratio, self.max_latency_ratio, " of the baseline's")


def _within(
    gate: str, found: tuple[float | None, float, float | None], bound: float | None, unit: str
) -> Iterator[tuple[bool, bool, str]]:
    """Yield nothing if the gate is met, noise included; else if it is surely missed, if the value itself meets it, and why."""
    low, value, high = found
    if bound is None or (high is not None and high <= bound):
        return
    ends = f"{_number(0.0 if low is None else low)} to {'any' if high is None else _number(high)}"
    is_missed = low is not None and low > bound
    compared = "is more than" if is_missed else "may be more or less than"
    yield is_missed, value <= bound, f"{gate}: {_number(value)}{unit} ({ends}) {compared} {bound:g}"


def _number(value: float) -> str:
    return f"{value:.3f}" if value >= 0.01 else f"{value:.2g}"


def _fraction(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a fraction from 0 to 1, for instance 0.02 for two points"
    raise ConfigError(msg)


def _ratio(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a number above 0, for instance 0.5 for half of the baseline's"
    raise ConfigError(msg)


def _undecided(value: Any, where: str) -> str:
    if value in get_args(Undecided):
        return str(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: 'measured', 'pass' or 'fail'"
    raise ConfigError(msg)


_PARSERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "min_accuracy": ("min_accuracy", _fraction),
    "min_class_accuracy": ("min_class_accuracy", _fraction),
    "max_accuracy_drop": ("max_accuracy_drop", _fraction),
    "max_class_accuracy_drop": ("max_class_accuracy_drop", _fraction),
    "max_size": ("max_size_bytes", parse_size),
    "max_size_ratio": ("max_size_ratio", _ratio),
    "max_gzip_size": ("max_gzip_size_bytes", parse_size),
    "max_gzip_ratio": ("max_gzip_ratio", _ratio),
    "max_latency_p50": ("max_latency_p50_ms", parse_duration_ms),
    "max_latency_p99": ("max_latency_p99_ms", parse_duration_ms),
    "max_latency_ratio": ("max_latency_ratio", _ratio),
    "undecided": ("undecided", _undecided),
}
