from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from tests.facts import model_facts
from tests.tasks import measured, parse_gates

from modelyard.artifacts import Model
from modelyard.errors import ConfigError, DataError, GateError
from modelyard.files.json import read_json, write_json
from modelyard.stages.select import Candidate, SelectedModel, select
from modelyard.tensors import Preprocessing
from modelyard.variants.evaluation import Host, write_evaluation
from modelyard.variants.gates import Gates
from modelyard.variants.selection import Selection, choose

if TYPE_CHECKING:
    from pathlib import Path


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
        write_evaluation(made[name].evaluation, figures.evaluation)
        write_json(made[name].evaluation / "latency.json", figures.latency)
        np.save(made[name].evaluation / "answers.npy", np.array([[1, 0]], np.float32))
        (made[name].model / "model.tflite").write_bytes(name.encode())
        facts = model_facts(
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
        ("smallest-file", {}, "pruned"),
        ("smallest-file", {"min_accuracy": 0.92}, "int8"),
        ("int8", {}, "int8"),
    ],
)
def test_the_rule_picks_among_those_that_meet_every_gate(
    tmp_path: Path, out: Path, rule: str, gates: dict[str, Any], chosen: str
) -> None:
    selection = select(candidates(tmp_path), out, rule=rule, gates=parse_gates(gates), baseline="float32")
    assert selection.chosen == chosen
    assert read_json(out / "selection.json", Selection) == selection


def test_what_is_written_is_the_model_its_facts_and_its_answers(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    lines: list[str] = []
    gates = parse_gates({"min_accuracy": 0.93})
    select(made, out, gates=gates, baseline="float32", log=lines.append)
    assert Model.open(out / "model").path.read_bytes() == b"int8"
    facts = read_json(out / "model" / "model.json", SelectedModel)
    assert facts.variant == "int8"
    assert facts.preprocessing.scale == 0.5
    assert facts.sha256 == hashlib.sha256(b"int8").hexdigest()
    assert (facts.metrics, facts.size_bytes, facts.gzip_bytes) == ({"accuracy": 0.94}, 45_000, 40_000)
    names = msgspec.json.decode((out / "model" / "model.json").read_bytes())
    assert not any("_ms" in name or "latency" in name for name in names)
    answers = (made["int8"].evaluation / "answers.npy").read_bytes()
    assert (out / "reference" / "answers.npy").read_bytes() == answers
    table = (out / "table.md").read_text()
    assert lines == [table]
    assert "min_accuracy: accuracy 0.9100 (0.8377 to 0.9519) may be more or less than 0.93: undecided, fails" in table
    assert "**shipped** (smallest)" in next(line for line in table.splitlines() if "| int8" in line)
    assert len({len(line) for line in table.splitlines() if line.startswith("|")}) == 1


def test_the_model_part_does_not_change_with_the_latency(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    select(made, out, gates=Gates(), baseline="float32")
    before = {p.name: p.read_bytes() for p in (out / "model").iterdir()}
    write_json(made["pruned"].evaluation / "latency.json", FIGURES["float32"].latency)
    (tmp_path / "again").mkdir()
    select(made, tmp_path / "again", gates=Gates(), baseline="float32")
    assert {p.name: p.read_bytes() for p in (tmp_path / "again" / "model").iterdir()} == before


def test_none_left_shows_each_variant_with_gate_value_and_bound(tmp_path: Path, out: Path) -> None:
    gates = parse_gates({"min_accuracy": 0.935, "max_size": "40 kB", "max_accuracy_drop": 0.03})
    with pytest.raises(GateError) as caught:
        select(candidates(tmp_path), out, gates=gates, baseline="float32")
    text = str(caught.value)
    assert text.startswith("no variant meets every gate\n")
    assert "  float32: max_size: 156,000 bytes are more than 40,000\n" in text
    assert (
        "  pruned: min_accuracy: accuracy 0.9100 (0.8377 to 0.9519) may be more or less than 0.935: undecided, fails as measured; max_accuracy_drop: 0.0400 below"
        in text
    )
    assert sorted(path.name for path in out.iterdir()) == ["selection.json", "table.md"], "no model"
    assert "no variant ships" in (out / "table.md").read_text()
    assert read_json(out / "selection.json", Selection).chosen == ""


def test_a_named_variant_that_misses_a_gate_fails(tmp_path: Path, out: Path) -> None:
    with pytest.raises(GateError, match=r"'pruned', which the rule names, does not meet every gate\n  pruned: min_acc"):
        select(candidates(tmp_path), out, rule="pruned", gates=parse_gates({"min_accuracy": 0.92}), baseline="float32")


@pytest.mark.parametrize(
    ("rule", "baseline", "message"),
    [
        (
            "smalest",
            "float32",
            r"key 'rule': unknown 'smalest', did you mean 'smallest'\?\n  allowed: smallest, .*int8",
        ),
        ("smallest", "float", r"key 'baseline': unknown 'float', did you mean 'float32'\?"),
    ],
)
def test_an_unknown_name_is_refused(tmp_path: Path, out: Path, rule: str, baseline: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select(candidates(tmp_path), out, rule=rule, baseline=baseline, gates=Gates())


def test_an_evaluation_without_answers_is_refused(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    (made["pruned"].evaluation / "answers.npy").unlink()
    with pytest.raises(DataError, match=r"no answers\.npy"):
        select(made, out, gates=Gates(), baseline="float32")


def host(cpu_model: str, load_1m: float = 0.5) -> Host:
    return Host(cpu_model=cpu_model, cpus=(1,), threads=1, governor=None, load_1m=load_1m, preemptions=0)


def test_the_selection_says_which_are_on_the_front_and_what_dominates_the_others(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    slower = measured(0.93, 45_000, 41_000, 0.05, 0.09)
    made["worse"] = Candidate(tmp_path / "evaluate-worse", made["int8"].model)
    made["worse"].evaluation.mkdir()
    write_json(made["worse"].evaluation / "evaluation.json", slower.evaluation)
    write_json(made["worse"].evaluation / "latency.json", slower.latency)
    selection = select(made, out, gates=Gates(), baseline="float32")
    assert selection.front == ("float32", "int8", "pruned")
    assert [row.dominated_by for row in selection.table] == [(), (), (), ("int8",)]
    assert "| behind int8 |" in next(line for line in (out / "table.md").read_text().splitlines() if "worse" in line)


def test_a_baseline_trained_as_long_is_what_the_drop_is_measured_from_and_does_not_ship(
    tmp_path: Path, out: Path
) -> None:
    gates = parse_gates({"max_accuracy_drop": 0.02})
    alike = {"pruned": "int8"}  # 0.91 against 0.94
    rows = select(
        candidates(tmp_path), out, gates=gates, baseline="float32", trained_alike=alike, controls=["int8"]
    ).table
    assert [(row.variant, row.compared_with, row.control) for row in rows] == [
        ("float32", "float32", False),
        ("int8", "float32", True),
        ("pruned", "int8", False),
    ]
    assert rows[2].misses == ("max_accuracy_drop: 0.0300 below the baseline is more than 0.02",)
    text = (out / "table.md").read_text()
    assert "**shipped** (smallest)" in next(line for line in text.splitlines() if line.startswith("| float32"))
    assert "for comparison" in next(line for line in text.splitlines() if line.startswith("| int8"))
    assert "- pruned: accuracy compared with int8, which was trained as long" in text
    assert choose(rows, "int8") == "int8", "unless it is asked for"


def test_where_there_is_no_baseline_that_was_trained_as_long_the_reason_is_told(tmp_path: Path, out: Path) -> None:
    why = {"int8": "it cannot be built", "pruned": "it cannot be built"}
    made = select(candidates(tmp_path), out, gates=Gates(), baseline="float32", trained_unlike=why)
    assert [(row.compared_with, row.trained_unlike) for row in made.table] == [
        ("float32", ""),
        *[("float32", "it cannot be built")] * 2,
    ]
    said = "- int8, pruned: accuracy compared with float32, which was not trained as long: it cannot be built\n"
    assert said in (out / "table.md").read_text()
    assert read_json(out / "selection.json", Selection) == made


def test_warnings_and_undecided_gates_are_told_below_the_table(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    figures = FIGURES["int8"]
    warned = msgspec.structs.replace(figures.evaluation, warnings=("slow kernels on x86",))
    write_json(made["int8"].evaluation / "evaluation.json", warned)
    ends = {"p99_low_ms": 0.05, "p99_high_ms": 0.3, "metrics": ()}
    late = msgspec.structs.replace(figures.latency, **ends, host=host("Fast CPU", 3.5))
    write_json(made["int8"].evaluation / "latency.json", late)
    select(made, out, gates=parse_gates({"max_latency_p99": "0.1 ms"}), rule="int8", baseline="float32")
    text = (out / "table.md").read_text()
    assert "- int8: warning: slow kernels on x86\n" in text
    assert (
        "- int8: max_latency_p99: 0.090 ms (0.050 to 0.300) may be more or less than 0.1: undecided, passes as measured"
        in text
    )
    assert "- latency of one sample on Fast CPU, 1 thread, pinned, load 3.5; in brackets the 95 % interval" in text
    facts = read_json(out / "model" / "model.json", SelectedModel)
    assert facts.warnings == ()
    gates = parse_gates({"max_latency_p99": "0.1 ms", "undecided": "fail"})
    (tmp_path / "other").mkdir()
    with pytest.raises(GateError, match="undecided"):
        select(made, tmp_path / "other", gates=gates, rule="int8", baseline="float32")


def test_latencies_of_different_machines_are_said_to_be(tmp_path: Path, out: Path) -> None:
    made = candidates(tmp_path)
    for name, cpu in (("int8", "Fast CPU"), ("pruned", "Slow CPU")):
        late = msgspec.structs.replace(FIGURES[name].latency, host=host(cpu))
        write_json(made[name].evaluation / "latency.json", late)
    (note,) = select(made, out, gates=Gates(), baseline="float32").notes
    assert note == "measured on different machines (Fast CPU, Slow CPU): compare ratios to the baseline, not times"
