"""Cross-validation: every variant is measured on what each fold holds out, and what ships is trained on all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.artifacts import Dataset
from tests.front_door.builds import build

TABLE = """
[tool.modelyard.cross_validation]
folds = 3
variants = ["rounded"]
"""
DATA = '''

def visits(context):
    """Points of twelve patients, each with a place of its own."""
    import numpy as np

    from modelyard.artifacts import Splits

    patient = np.arange(60) // 5
    x = np.random.default_rng(1).normal(0, 0.1, (60, 2)) + patient[:, None] / 100
    x[np.arange(60) % 3 == 1, 0] += 1
    x[np.arange(60) % 3 == 2, 1] += 1
    x, y = x.astype("float32"), np.arange(60) % 3
    return Splits(x, y, x[:6], y[:6], ["a", "b", "c"], (-2.0, 2.0), groups=patient)
'''


def selection(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "artifacts/select/toy/selection.json").read_text())
    return found


def test_folds_are_measured_and_what_ships_stays_what_it_was(toy: Path) -> None:
    before = (toy / "artifacts/select/toy/model/model.packed").read_bytes()
    file = toy / "pyproject.toml"
    file.write_text(file.read_text() + TABLE)
    done = build(toy, "select")
    assert done.code == 0, done.output
    assert done.built == {
        "select:toy",
        *(
            f"{kind}:fold-{number}{name}"
            for number in range(3)
            for kind, name in (("train", ""), ("optimize", ".round"))
        ),
        *(f"{kind}:fold-{n}.{v}" for n in range(3) for v in ("plain", "rounded") for kind in ("optimize", "evaluate")),
        *(f"dataset:points.fold-{number}" for number in range(3)),
    }
    fold = json.loads((toy / "artifacts/evaluate/fold-0.rounded/stage.json").read_text())
    assert fold["metrics"].keys() >= {"accuracy", "size_bytes"}
    assert not {"p50_ms", "p99_ms"} & fold["metrics"].keys(), "no latency of a fold is wanted"
    assert "rounded: accuracy 1.0000 ± 0.0000 over 3 folds" in done.output
    found = selection(toy)
    assert [row["variant"] for row in found["table"]] == ["plain", "rounded", "coarse"]
    assert [(one["variant"], len(one["members"])) for one in found["cross_validation"]] == [
        ("plain", 3),
        ("rounded", 3),
    ]
    assert (toy / "artifacts/select/toy/model/model.packed").read_bytes() == before
    assert not build(toy, "select").built

    done = build(toy, "report")
    assert done.code == 0, done.output
    told = json.loads(next((toy / "artifacts/report").rglob("report.json")).read_text())
    assert [one["variant"] for one in told["cross_validation"]] == ["plain", "rounded"]


def test_gates_and_rules_go_by_the_means_over_folds(toy: Path) -> None:
    gates = ["gates.min_folds_accuracy=0.5", "gates.min_accuracy=0.1", "select.rule=best-folds-accuracy"]
    done = build(toy, "cross_validation.folds=2", *gates, "select")
    assert done.code == 0, done.output
    rows = {row["variant"]: row for row in selection(toy)["table"]}
    assert {one["name"] for one in rows["plain"]["metrics"]} >= {"accuracy", "folds_accuracy"}
    assert [name for name, row in rows.items() if row["misses"]] == ["coarse"]
    assert rows["coarse"]["misses"][0].startswith("min_folds_accuracy: accuracy over folds 0.3")


def test_patients_are_on_one_side_and_a_held_out_sample_is_in_no_training(toy: Path) -> None:
    (toy / "visits.py").write_text(DATA)
    file = toy / "pyproject.toml"
    text = file.read_text().replace('use = "points"', 'use = "visits:visits"')
    file.write_text(text + TABLE)
    done = build(toy, "dataset")
    assert done.code == 0, done.output
    whole = Dataset.open(toy / "artifacts/dataset/visits.visits").x("train")
    patients: list[set[int]] = []
    for number in range(3):
        one = Dataset.open(toy / f"artifacts/dataset/visits.visits.fold-{number}")
        rows = {
            split: [int(np.flatnonzero((whole == x).all(axis=1))[0]) for x in one.x(split)]
            for split in ("train", "test")
        }
        assert sorted([*rows["train"], *rows["test"]]) == list(range(60))
        assert not {row // 5 for row in rows["train"]} & {row // 5 for row in rows["test"]}
        patients.append({row // 5 for row in rows["test"]})
    assert [len(one) for one in patients] == [4, 4, 4]
    assert set.union(*patients) == set(range(12))


def test_what_cannot_be_is_told_at_load(toy: Path) -> None:
    for key, told in {
        "folds=1": "key 'folds': 1 is not allowed",
        "fold=5": "did you mean 'folds'",
        'variants=["nil"]': "there is no variant 'nil'",
    }.items():
        done = build(toy, "cross_validation.folds=3", f"cross_validation.{key}", "select")
        assert done.code != 0
        assert told in done.output
        assert "Traceback" not in done.output
