from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.tasks import evaluation

from modelyard.metrics import Quantity
from modelyard.variants.evaluation import Latency, Measured
from modelyard.variants.row import Row
from modelyard.variants.selection import Selection
from modelyard.variants.verdicts import missed_most, summary, table_lines


def row(name: str, accuracy: float = 0.9, size: int = 20_000, **more: Any) -> Row:
    measured = Measured(
        evaluation(accuracy=accuracy, size=size, gzip=size),
        Latency(p50_ms=0.0123, p99_ms=0.1, mean_ms=0.02, samples=9, warmup=1),
    )
    return Row(variant=name, metrics=tuple(measured.metrics.values()), **more)


def selection(chosen: str, *rows: Row, rule: str = "smallest") -> Selection:
    return Selection(chosen=chosen, rule=rule, baseline=rows[0].variant, gates={}, front=(), table=rows)


MISSES = ("max_size: 179 bytes are more than 1", "min_accuracy: accuracy 0.3 is below 0.5")


def test_the_one_that_ships_stands_first_and_each_other_says_why_not() -> None:
    made = selection(
        "int8",
        row("float32", size=80_000),
        row("int8"),
        row("pruned", 0.3, 900, misses=MISSES),
        row("float32-fine-tune", size=80_000, control=True),
        row("twin"),
    )
    assert table_lines(made) == [
        "variant            accuracy     gzip       p50",
        "int8                 0.9000  20.0 kB  0.012 ms  ships",
        "float32              0.9000  80.0 kB  0.012 ms  larger",
        "twin                 0.9000  20.0 kB  0.012 ms  no better, and later by name",
        "float32-fine-tune    0.9000  80.0 kB  0.012 ms  for comparison",
        "pruned               0.3000    900 B  0.012 ms  misses 2 gates",
    ]
    assert summary(made) == "int8 ships: the smallest after gzip of 3 that meet every gate"
    assert missed_most(made) in ("max_size", "min_accuracy")


@pytest.mark.parametrize(
    ("rule", "other", "why"),
    [
        ("most-accurate", row("b", 0.8), "less accurate"),
        ("most-accurate", row("b", 0.9, 30_000), "larger"),
        ("fastest", row("b", size=10_000), "slower"),
        ("smallest-file", row("b", size=30_000), "larger"),
        ("a", row("b"), "not what the rule names"),
    ],
)
def test_each_rule_has_its_reason(rule: str, other: Row, why: str) -> None:
    assert table_lines(selection("a", row("a"), other, rule=rule))[-1].endswith(f"  {why}")


def test_the_first_metric_and_what_the_rule_goes_by_have_columns_whatever_they_say_of_themselves() -> None:
    def with_own(name: str, order: float, hits: float) -> Row:
        plain = row(name)
        own = [Quantity(name=title, better="higher").of(value) for title, value in (("order", order), ("hits", hits))]
        return msgspec.structs.replace(plain, metrics=(own[0], *plain.metrics[1:], own[1]))

    rows = with_own("a", 0.5, 0.25), with_own("b", 0.75, 0.125)
    assert table_lines(selection("a", *rows))[0].split() == ["variant", "order", "gzip", "p50"]
    lines = table_lines(selection("a", *rows, rule="best-hits"))
    assert lines[0].split() == ["variant", "order", "gzip", "p50", "hits"]
    assert lines[2].endswith("0.125  worse in hits")


def test_nothing_ships() -> None:
    made = selection("", row("a", misses=MISSES), row("b", misses=MISSES[:1]))
    assert summary(made) == "nothing ships: of 2 variants none meets every gate"
    assert missed_most(made) == "max_size"
    named = selection("", row("a", misses=MISSES), row("b"), rule="a")
    assert summary(named) == "nothing ships: a, which the rule names, does not meet every gate"
    assert summary(selection("a", row("a"), rule="a")) == "a ships: the rule names it"
    assert summary(selection("a", row("a"))) == "a ships: the only one that meets every gate"


def test_many_variants_and_long_names_fit_a_terminal() -> None:
    rows = [row(f"{'n' * 40}{number}", misses=("max_accuracy_drop: x",)) for number in range(99)]
    lines = table_lines(selection("", *rows))
    assert len(lines) == 21
    assert max(map(len, lines)) <= 77
