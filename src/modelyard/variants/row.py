"""One variant in the table of all: its figures, and what the gates say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from modelyard.variants.evaluation import Measured
    from modelyard.variants.gates import Judgement


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One variant in the table.

    Attributes:
        variant: its name.
        accuracy: fraction of the test split that it labels rightly.
        size_bytes: size of the model's file.
        gzip_bytes: its size after gzip.
        layer_bytes: size of its layer in an image.
        p50_ms: half of the calls with one sample took no longer.
        p99_ms: 99 of 100 calls with one sample took no longer.
        p99_low_ms: lower end of its interval, or None.
        p99_high_ms: upper end of its interval, or None.
        ratio: its median latency as a part of the baseline's; below 1 is faster.
        ratio_low: lower end of its interval, or None.
        ratio_high: upper end of its interval, or None.
        compared_with: the variant that bounds on a drop in accuracy compare it with.
        trained_unlike: why that is not a baseline that was trained as long, where one was wanted; else empty.
        control: whether it is there for that comparison only: a baseline that was trained as long as other variants
            were. It ships only if the rule is its name.
        misses: each gate that it misses, with value and bound; it does not ship if there is one.
        undecided: each gate on latency whose bound lies within the noise, and whether it passes; one that fails is
            missed, too.
        warnings: what the model optimizers of its chain warned of.
        dominated_by: the variants that are at least as good in everything and better in something; none: it is on
            the Pareto front.
    """

    variant: str
    accuracy: float
    size_bytes: int
    gzip_bytes: int
    layer_bytes: int
    p50_ms: float
    p99_ms: float
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    ratio: float = 1.0
    ratio_low: float | None = 1.0
    ratio_high: float | None = 1.0
    compared_with: str = ""
    trained_unlike: str = ""
    control: bool = False
    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dominated_by: tuple[str, ...] = ()


def row_of(
    variant: str,
    measured: Measured,
    judgement: Judgement,
    *,
    compared_with: str = "",
    trained_unlike: str = "",
    control: bool = False,
) -> Row:
    """Return the row of a variant, without what dominates it."""
    evaluation, latency, ratio = measured.evaluation, measured.latency, measured.latency.ratio
    return Row(
        variant=variant,
        accuracy=evaluation.accuracy,
        size_bytes=evaluation.size_bytes,
        gzip_bytes=evaluation.gzip_bytes,
        layer_bytes=evaluation.layer_bytes,
        p50_ms=latency.p50_ms,
        p99_ms=latency.p99_ms,
        p99_low_ms=latency.p99_low_ms,
        p99_high_ms=latency.p99_high_ms,
        ratio=ratio.p50 if ratio else 1.0,
        ratio_low=ratio.low if ratio else 1.0,
        ratio_high=ratio.high if ratio else 1.0,
        compared_with=compared_with,
        trained_unlike=trained_unlike,
        control=control,
        misses=judgement.misses,
        undecided=judgement.undecided,
        warnings=evaluation.warnings,
    )
