from __future__ import annotations

import msgspec
from tests.tasks import measured

from modelyard.stage_settings import Lineage
from modelyard.variants.evaluation import Measured
from modelyard.variants.gates import Judgement
from modelyard.variants.row import Row, row_of


def test_a_variant_that_was_not_compared_is_as_fast_as_the_baseline() -> None:
    figures = measured(0.95, 100, 50, 0.04, 0.08)
    alone = Measured(figures.evaluation, msgspec.structs.replace(figures.latency, ratio=None, metrics=()))
    row = row_of("baseline", alone, Judgement())
    ratio = row.metric("latency_ratio")
    assert (ratio.low, ratio.value, ratio.high) == (1.0, 1.0, 1.0)
    assert row == Row(variant="baseline", metrics=tuple(alone.metrics.values())), "and nothing else is said of it"


def test_a_row_says_what_was_measured_and_what_the_gates_say() -> None:
    figures = measured(0.95, 100, 50, 0.04, 0.08)
    warned = Measured(msgspec.structs.replace(figures.evaluation, warnings=("slow",)), figures.latency)
    judgement = Judgement(misses=("max_size: x", "min_r2: y"), undecided=("min_r2: y",))
    row = row_of(
        "int8", warned, judgement, compared_with="tuned", trained_unlike="", control=True, lineage=Lineage("net", "f32")
    )
    assert [one.name for one in row.metrics] == list(warned.metrics)
    assert (row.quality.name, row.quality.value, row.metric("gzip_size").value) == ("accuracy", 0.95, 50)
    assert (row.misses, row.undecided, row.warnings) == (judgement.misses, judgement.undecided, ("slow",))
    assert (row.training, row.baseline, row.compared_with, row.control) == ("net", "f32", "tuned", True)
    assert row.dominated_by == ()


def test_a_row_of_a_project_with_one_training_has_no_key_for_it() -> None:
    plain = row_of("int8", measured(0.95, 100, 50, 0.04, 0.08), Judgement())
    known = msgspec.json.decode(msgspec.json.encode(plain))
    assert not {"training", "baseline"} & known.keys()
    assert msgspec.convert(known, Row) == plain
    several = msgspec.structs.replace(plain, training="net", baseline="f32")
    assert msgspec.convert(msgspec.to_builtins(several), Row) == several
