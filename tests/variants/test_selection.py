from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks import QUANTITIES, measured, parse_gates

from modelyard.errors import ConfigError, GateError
from modelyard.metrics.rules import rules_of
from modelyard.variants.evaluation import Measured, Ratio
from modelyard.variants.gates import Gates, Judgement
from modelyard.variants.over_seeds import over_seeds
from modelyard.variants.row import Row, row_of
from modelyard.variants.selection import Selection, check_known, choose, front_of, with_front

rows = st.lists(
    st.tuples(
        st.integers(0, 4).map(lambda n: n / 4),
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(1, 4).map(float),
        st.integers(1, 4).map(float),
    ),
    min_size=1,
    max_size=6,
)
bounds = st.fixed_dictionaries(
    {},
    optional={
        "min_accuracy": st.integers(0, 4).map(lambda n: n / 4),
        "max_accuracy_drop": st.integers(0, 4).map(lambda n: n / 4),
        "max_size": st.integers(1, 4),
        "max_latency_p99": st.integers(1, 4),
    },
)


def table(figures: list[tuple[float, int, int, float, float]], gates: Gates) -> tuple[Row, ...]:
    """Return the table that `select` makes of these figures; the first variant is the baseline."""
    variants = {f"v{i}": measured(*one) for i, one in enumerate(figures)}
    return tuple(row_of(name, one, gates.judge(one, variants["v0"])) for name, one in variants.items())


def pick(made: tuple[Row, ...], rule: str) -> Row | None:
    try:
        name = choose(made, rule)
    except GateError:
        return None
    return next(row for row in made if row.variant == name)


RULES = rules_of(QUANTITIES)


def worth(row: Row, rule: str) -> float:
    """The figure that a rule looks at first; less is better."""
    return row.metric(RULES[rule]).cost


@given(rows, bounds, st.sampled_from(sorted(RULES)))
def test_what_is_chosen_meets_every_gate_and_none_that_does_is_better(figures: Any, gates: Any, rule: Any) -> None:
    made = table(figures, parse_gates(gates))
    chosen = pick(made, rule)
    fitting = [row for row in made if not row.misses]
    assert (chosen is None) == (not fitting)
    if chosen is not None:
        accuracy, size, _, _, p99 = figures[int(chosen.variant[1:])]
        assert accuracy >= gates.get("min_accuracy", 0)
        assert figures[0][0] - accuracy <= gates.get("max_accuracy_drop", 1)
        assert size <= gates.get("max_size", 9)
        assert p99 <= gates.get("max_latency_p99", 9)
        assert all(worth(chosen, rule) <= worth(row, rule) for row in fitting)


@given(rows, bounds, bounds, st.sampled_from(sorted(RULES)))
def test_another_gate_never_lets_a_better_one_through(figures: Any, gates: Any, more: Any, rule: Any) -> None:
    few = pick(table(figures, parse_gates(gates)), rule)
    many = pick(table(figures, parse_gates({**more, **gates})), rule)
    if many is not None:
        assert few is not None
        assert worth(few, rule) <= worth(many, rule)


@given(rows, st.sampled_from(sorted(RULES)), st.randoms(use_true_random=False))
def test_the_order_of_the_variants_does_not_matter(figures: Any, rule: Any, random: Any) -> None:
    made = list(table(figures, Gates()))
    chosen = choose(tuple(made), rule)
    random.shuffle(made)
    assert choose(tuple(made), rule) == chosen


def test_of_variants_that_are_not_measurably_slower_than_the_fastest_the_smallest_is_the_fastest() -> None:
    def timed(name: str, gzip: int, low: float, value: float, high: float) -> Row:
        one = measured(0.9, 9, gzip, 1.0, 2.0)
        ratio = Ratio(p50=value, low=low, high=high, rounds=40, baseline_p50_ms=0.04)
        again = {"ratio": ratio, "metrics": ()}
        return row_of(name, Measured(one.evaluation, msgspec.structs.replace(one.latency, **again)), Judgement())

    rows = [
        timed("hair-faster", 9, 0.7, 0.80, 0.9),
        timed("smaller", 5, 0.75, 0.81, 0.9),
        timed("slower", 1, 0.91, 0.95, 0.97),
    ]
    assert choose(rows, "fastest") == choose(rows, "best-latency-ratio") == "smaller"


@pytest.mark.parametrize("rule", ["smallest", "smallest-file", "fastest"])
def test_of_variants_of_one_size_the_more_accurate_is_picked(rule: str) -> None:
    made = {"a": measured(0.93, 100, 50, 0.04, 0.08), "b": measured(0.94, 100, 50, 0.04, 0.08)}
    rows = tuple(row_of(name, one, Judgement()) for name, one in made.items())
    assert choose(rows, rule) == "b"


def row(name: str, size: int, **more: Any) -> Row:
    return msgspec.structs.replace(row_of(name, measured(0.9, size, size, 0.04, 0.08), Judgement()), **more)


def test_what_is_there_for_comparison_ships_only_if_the_rule_names_it() -> None:
    rows = [row("float32", 9), row("tuned", 1, control=True)]
    assert choose(rows, "smallest") == "float32"
    assert choose(rows, "tuned") == "tuned"
    with pytest.raises(GateError, match="no variant meets every gate"):
        choose(rows[1:], "smallest")


def test_a_row_that_is_there_for_comparison_neither_dominates_nor_is_on_the_front() -> None:
    rows = with_front([row("a", 50), row("tuned", 40, control=True), row("b", 60)])
    assert [one.dominated_by for one in rows] == [(), (), ("a",)]
    assert front_of(rows) == ("a",)


def test_what_is_equal_in_all_is_settled_by_its_name() -> None:
    assert choose([row("b", 9), row("a", 9), row("c", 9)], "smallest") == "a"


def test_none_that_meets_every_gate_is_refused_with_what_each_misses() -> None:
    rows = [row("a", 9, misses=("max_size: 9", "min_accuracy: 0")), row("b", 8, misses=("max_size: 8",))]
    with pytest.raises(GateError) as caught:
        choose(rows, "smallest")
    assert str(caught.value).splitlines() == [
        "no variant meets every gate",
        "  a: max_size: 9; min_accuracy: 0",
        "  b: max_size: 8",
        "  change [tool.modelyard.gates], or train or optimize differently",
    ]
    with pytest.raises(GateError) as caught:
        choose(rows, "b")
    assert str(caught.value).splitlines()[:2] == [
        "the variant 'b', which the rule names, does not meet every gate",
        "  b: max_size: 8",
    ]


def test_a_rule_that_is_neither_a_rule_nor_a_variant_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"key 'rule': unknown 'int9', did you mean 'int8'\?\n  allowed: smallest, "):
        choose([row("int8", 9)], "int9")


def test_an_unknown_value_is_refused_with_what_is_allowed() -> None:
    check_known("baseline", "a", ("a", "b"))
    with pytest.raises(ConfigError, match=r"select\]: key 'baseline': unknown 'x'\n  allowed: a, b$"):
        check_known("baseline", "x", ("a", "b"))


def test_selection_json_has_no_key_for_what_there_is_none_of() -> None:
    made = Selection(chosen="a", rule="smallest", baseline="a", gates={}, front=("a",), table=(row("a", 9),))
    text = msgspec.json.encode(made)
    assert not {"over_seeds", "cross_validation"} & msgspec.json.decode(text).keys()
    assert msgspec.json.decode(text, type=Selection) == made
    several = msgspec.structs.replace(made, over_seeds=over_seeds((), {}))
    assert msgspec.json.decode(msgspec.json.encode(several))["over_seeds"] == []
