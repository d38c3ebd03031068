from __future__ import annotations

from typing import Any

import msgspec
from tests.tasks import measured

from modelyard.metrics import Metric
from modelyard.variants.gates import Judgement
from modelyard.variants.over_seeds import OverSeeds
from modelyard.variants.row import Row, row_of
from modelyard.variants.selection import Selection
from modelyard.variants.table import render_table


def row(name: str, **more: Any) -> Row:
    made = row_of(name, measured(0.9, 20_000, 9_000, 0.04, 0.08), Judgement())
    return msgspec.structs.replace(made, metrics=(made.metrics[0], made.metrics[2]), **more)


def table(*rows: Row, chosen: str = "", **more: Any) -> list[str]:
    usual = {"rule": "smallest", "baseline": rows[0].variant, "gates": {}, "front": ()}
    return render_table(Selection(chosen=chosen, table=rows, **usual | more)).splitlines()


def test_the_table_says_of_each_variant_where_it_stands_and_what_becomes_of_it() -> None:
    lines = table(
        row("float32", dominated_by=("int8",)),
        row("int8"),
        row("pruned", dominated_by=("int8", "float32", "x"), misses=("max_size: a", "min_accuracy: b")),
        row("tuned", control=True, misses=("max_size: a",)),
        chosen="int8",
    )
    assert lines == [
        "| variant | accuracy |   gzip | Pareto                 |                              |",
        "| ------- | -------: | -----: | ---------------------- | ---------------------------- |",
        "| float32 |   0.9000 | 9.0 kB | behind int8            |                              |",
        "| int8    |   0.9000 | 9.0 kB | front                  | **shipped** (smallest)       |",
        "| pruned  |   0.9000 | 9.0 kB | behind int8 and 2 more | max_size: a; min_accuracy: b |",
        "| tuned   |   0.9000 | 9.0 kB |                        | for comparison; max_size: a  |",
    ]


def test_what_is_said_of_several_variants_is_said_once_below_the_table() -> None:
    lines = table(
        row("float32"),
        row("int8", warnings=("few samples",), undecided=("max_size: maybe", "min_x: fails"), misses=("min_x: fails",)),
        row("pruned", warnings=("few samples",), compared_with="tuned"),
        row("other", compared_with="float32", trained_unlike="no chain fits"),
        chosen="float32",
        notes=("measured under load",),
    )
    assert lines[lines.index("") + 1 :] == [
        "- int8, pruned: warning: few samples",
        "- int8: max_size: maybe",
        "- pruned: accuracy compared with tuned, which was trained as long",
        "- other: accuracy compared with float32, which was not trained as long: no chain fits",
        "- measured under load",
    ]


def test_each_training_is_compared_with_its_own_baseline_without_a_word() -> None:
    own = row("b.int8", training="b", baseline="b.float32", compared_with="b.float32")
    assert "" not in table(row("a.float32"), own, chosen="b.int8")


def test_that_nothing_ships_is_said_first() -> None:
    assert table(row("a", warnings=("slow",)))[-2:] == [
        "- no variant ships: none that the rule may pick meets every gate",
        "- a: warning: slow",
    ]


def test_what_was_measured_several_times_has_a_table_of_its_own() -> None:
    accuracy = Metric(name="accuracy", better="higher", unit="fraction", value=0.85, interval=(0.8, None))
    joined = OverSeeds(variant="int8", members=("a", "b", "c"), metrics=(accuracy,), deviations={"accuracy": 0.01})
    lines = table(row("int8"), chosen="int8", over_seeds=(joined,), cross_validation=(joined,))
    assert lines[3:] == [
        "",
        "| over seeds |   n |                      accuracy |",
        "| ---------- | --: | ----------------------------: |",
        "| int8       |   3 | 0.8500 ± 0.0100 (0.8000 to 1) |",
        "",
        "| over folds |   n |                      accuracy |",
        "| ---------- | --: | ----------------------------: |",
        "| int8       |   3 | 0.8500 ± 0.0100 (0.8000 to 1) |",
    ]
