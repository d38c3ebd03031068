from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.artifacts import Model, ModelFacts, Preprocessing
from modelyard.errors import ConfigError, DataError, GateError
from modelyard.jsonfiles import read_json, write_json
from modelyard.stages.evaluation import Evaluation, Latency, Measured
from modelyard.stages.gates import Gates
from modelyard.stages.select import Candidate, Row, SelectedModel, Selection, choose, select

if TYPE_CHECKING:
    from pathlib import Path

RULES = ("smallest", "fastest", "most-accurate")


def measured(accuracy: float, size: int, gzip: int, p50: float, p99: float) -> Measured:
    evaluation = Evaluation(
        samples=100, accuracy=accuracy, per_class=(accuracy,), confusion=((1,),), size_bytes=size, gzip_bytes=gzip
    )
    return Measured(evaluation, Latency(p50_ms=p50, p99_ms=p99, mean_ms=p50, samples=10, warmup=1))


FIGURES = {
    "float32": measured(0.95, 156_000, 143_000, 0.04, 0.08),
    "int8": measured(0.94, 45_000, 40_000, 0.05, 0.09),
    "pruned": measured(0.91, 45_000, 29_000, 0.03, 0.20),
}


def candidates(folder: Path) -> dict[str, Candidate]:
    """Write each variant as its stages do."""
    made = {}
    for name, figures in FIGURES.items():
        made[name] = Candidate(folder / f"evaluate-{name}", folder / f"model-{name}")
        for path in (made[name].evaluation, made[name].model):
            path.mkdir(parents=True)
        write_json(made[name].evaluation / "evaluation.json", figures.evaluation)
        write_json(made[name].evaluation / "latency.json", figures.latency)
        np.save(made[name].evaluation / "probabilities.npy", np.float32([[1, 0]]))
        (made[name].model / "model.tflite").write_bytes(name.encode())
        facts = ModelFacts(
            format="tflite",
            file="model.tflite",
            input_shape=(2,),
            input_dtype="uint8",
            preprocessing=Preprocessing(scale=0.5),
            class_names=("a", "b"),
        )
        write_json(made[name].model / "model.json", facts)
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("rule", "gates", "chosen"),
    [
        ("smallest", {}, "pruned"),
        ("smallest", {"max_accuracy_drop": 0.02}, "int8"),
        ("smallest", {"max_accuracy_drop": 0.01}, "int8"),
        ("smallest", {"max_accuracy_drop": 0.005}, "float32"),
        ("smallest", {"max_latency_p99": "0.1 ms"}, "int8"),
        ("fastest", {}, "pruned"),
        ("fastest", {"min_accuracy": 0.92}, "float32"),
        ("most-accurate", {}, "float32"),
        ("most-accurate", {"max_size": "50 kB"}, "int8"),
        ("int8", {}, "int8"),
    ],
)
def test_the_rule_picks_among_those_that_meet_every_gate(tmp_path, out, rule, gates, chosen):
    selection = select(candidates(tmp_path), out, rule=rule, gates=Gates.parse(gates), baseline="float32")
    assert selection.chosen == chosen
    assert read_json(out / "selection.json", Selection) == selection


def test_what_is_written_is_the_model_its_facts_and_its_answers(tmp_path, out):
    made = candidates(tmp_path)
    lines: list[str] = []
    gates = Gates.parse({"min_accuracy": 0.93})
    select(made, out, gates=gates, baseline="float32", log=lines.append)
    assert Model.open(out / "model").path.read_bytes() == b"int8"
    facts = read_json(out / "model" / "model.json", SelectedModel)
    assert facts.variant == "int8"
    assert facts.preprocessing.scale == 0.5
    assert facts.sha256 == hashlib.sha256(b"int8").hexdigest()
    assert (facts.accuracy, facts.size_bytes, facts.gzip_bytes) == (0.94, 45_000, 40_000)
    names = msgspec.json.decode((out / "model" / "model.json").read_bytes())
    assert not any("_ms" in name or "latency" in name for name in names)
    answers = (made["int8"].evaluation / "probabilities.npy").read_bytes()
    assert (out / "reference" / "probabilities.npy").read_bytes() == answers
    table = (out / "table.md").read_text()
    assert lines == [table]
    assert "min_accuracy: accuracy 0.9100 is below 0.93" in table
    assert "**shipped** (smallest)" in next(line for line in table.splitlines() if "| int8" in line)
    assert len({len(line) for line in table.splitlines()}) == 1


def test_the_model_part_does_not_change_with_the_latency(tmp_path, out):
    made = candidates(tmp_path)
    select(made, out, gates=Gates(), baseline="float32")
    before = {p.name: p.read_bytes() for p in (out / "model").iterdir()}
    write_json(made["pruned"].evaluation / "latency.json", FIGURES["float32"].latency)
    (tmp_path / "again").mkdir()
    select(made, tmp_path / "again", gates=Gates(), baseline="float32")
    assert {p.name: p.read_bytes() for p in (tmp_path / "again" / "model").iterdir()} == before


def test_none_left_shows_each_variant_with_gate_value_and_bound(tmp_path, out):
    gates = Gates.parse({"min_accuracy": 0.935, "max_size": "40 kB", "max_accuracy_drop": 0.03})
    with pytest.raises(GateError) as caught:
        select(candidates(tmp_path), out, gates=gates, baseline="float32")
    text = str(caught.value)
    assert text.startswith("no variant meets every gate\n")
    assert "  float32: max_size: 156,000 bytes are more than 40,000\n" in text
    assert "  pruned: min_accuracy: accuracy 0.9100 is below 0.935; max_accuracy_drop: 0.0400 below" in text
    assert list(out.iterdir()) == []


def test_a_named_variant_that_misses_a_gate_fails(tmp_path, out):
    with pytest.raises(GateError, match=r"'pruned', which the rule names, does not meet every gate\n  pruned: min_acc"):
        select(candidates(tmp_path), out, rule="pruned", gates=Gates(min_accuracy=0.92), baseline="float32")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "smalest"}, r"key 'rule': unknown 'smalest', did you mean 'smallest'\?\n  allowed: smallest, .*int8"),
        ({"baseline": "float"}, r"key 'baseline': unknown 'float', did you mean 'float32'\?"),
    ],
)
def test_an_unknown_name_is_refused(tmp_path, out, changes, message):
    with pytest.raises(ConfigError, match=message):
        select(candidates(tmp_path), out, **{"baseline": "float32", "gates": Gates(), **changes})


def test_an_evaluation_without_answers_is_refused(tmp_path, out):
    made = candidates(tmp_path)
    (made["pruned"].evaluation / "probabilities.npy").unlink()
    with pytest.raises(DataError, match=r"no probabilities\.npy"):
        select(made, out, gates=Gates(), baseline="float32")


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
    from modelyard.stages.select import _row

    variants = {f"v{i}": measured(*one) for i, one in enumerate(figures)}
    return tuple(_row(name, one, gates.misses(one, variants["v0"])) for name, one in variants.items())


def pick(made: tuple[Row, ...], rule: str) -> Row | None:
    try:
        name = choose(made, rule)
    except GateError:
        return None
    return next(row for row in made if row.variant == name)


def worth(row: Row, rule: str) -> float:
    """The figure that a rule looks at first; less is better."""
    return {"smallest": row.gzip_bytes, "fastest": row.p50_ms, "most-accurate": -row.accuracy}[rule]


@given(rows, bounds, st.sampled_from(RULES))
def test_what_is_chosen_meets_every_gate_and_none_that_does_is_better(figures, gates, rule):
    made = table(figures, Gates.parse(gates))
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


@given(rows, bounds, bounds, st.sampled_from(RULES))
def test_another_gate_never_lets_a_better_one_through(figures, gates, more, rule):
    few = pick(table(figures, Gates.parse(gates)), rule)
    many = pick(table(figures, Gates.parse({**more, **gates})), rule)
    if many is not None:
        assert few is not None
        assert worth(few, rule) <= worth(many, rule)


@given(rows, st.sampled_from(RULES), st.randoms(use_true_random=False))
def test_the_order_of_the_variants_does_not_matter(figures, rule, random):
    made = list(table(figures, Gates()))
    chosen = choose(tuple(made), rule)
    random.shuffle(made)
    assert choose(tuple(made), rule) == chosen
