"""Several trainings in one project: every trial is a key of its own, and one table tells of all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard import api
from modelyard.variants.evaluation import Measured
from tests.front_door.builds import Build, build, copy

TRAINER = '''
import json

from modelyard import traits


@traits(produces="toy", tools=("numpy",))
def fit(context, *, rate: float = 0.1):
    """Move random centers towards the mean of each class.

    Args:
        rate: how far each step goes.
    """
    import numpy as np

    x, y = context.dataset.inputs("train"), context.dataset.y("train")
    model = context.build_model((2,), 3)
    centers = np.random.default_rng(context.seed).normal(0, 1, (3, 2))
    for _ in range(5):
        for label in range(3):
            centers[label] += rate * (x[y == label].mean(axis=0) - centers[label])
    model["centers"] = centers.tolist()
    (context.out / "model.toy").write_text(json.dumps(model, sort_keys=True))
'''
TABLES = """
[tool.modelyard.trainings.means]
train = { use = "centroids" }
variants = ["plain"]

[tool.modelyard.trainings.sweep]
matrix = { train.rate = [0.3, 0.9], seed = [0, 1] }
variants = ["plain", "rounded"]
"""
TRIALS = {f"train:sweep.rate-{rate}.seed-{seed}" for rate in ("0.3", "0.9") for seed in (0, 1)}


def swept(project: Path) -> Path:
    """Give the toy several trainings."""
    (project / "fits.py").write_text(TRAINER)
    file = project / "pyproject.toml"
    file.write_text(
        file.read_text()
        .replace('use = "centroids"', 'use = "fits:fit"')
        .replace("min_accuracy = 0.5", "max_accuracy_drop = 0.9")
        + TABLES
    )
    return project


def edit(project: Path, old: str, new: str) -> None:
    file = project / "pyproject.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def trained(done: Build) -> set[str]:
    return {stage for stage in done.built if stage.startswith("train:")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, built_toy: Path) -> Path:
    """Return the project with several trainings, built; not to be changed."""
    project = swept(copy(built_toy, tmp_path_factory.mktemp("sweep") / "toy"))
    done = build(project)
    assert done.code == 0, done.output
    assert trained(done) == TRIALS
    assert done.stages["train:means"] == "restored", "the same training under another name is the same key"
    return project


def test_one_table_tells_of_all_and_one_image_serves_the_best_of_them(built: Path) -> None:
    selection = json.loads((built / "artifacts/select/toy/selection.json").read_text())
    rows = {row["variant"]: row for row in selection["table"]}
    assert len(rows) == 9
    assert rows["sweep.rate-0.9.seed-1.rounded"]["training"] == "sweep.rate-0.9.seed-1"
    assert rows["sweep.rate-0.9.seed-1.rounded"]["baseline"] == "sweep.rate-0.9.seed-1.plain"
    groups = {one["variant"]: one for one in selection["over_seeds"]}
    assert groups.keys() == {
        f"sweep.rate-{rate}.{variant}" for rate in ("0.3", "0.9") for variant in ("plain", "rounded")
    }
    values = [rows[one]["metrics"][0]["value"] for one in groups["sweep.rate-0.3.plain"]["members"]]
    assert groups["sweep.rate-0.3.plain"]["metrics"][0]["value"] == pytest.approx(sum(values) / 2)
    assert selection["chosen"] in rows
    facts = json.loads((built / "artifacts/image/toy/image.json").read_text())
    assert facts["labels"]["dev.modelyard.model.variant"] == selection["chosen"]


def test_nothing_is_done_twice_and_a_further_rate_trains_its_own_trials_alone(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert build(project).built == set()
    edit(project, "train.rate = [0.3, 0.9]", "train.rate = [0.3, 0.5, 0.9]")
    assert trained(build(project, "train")) == {"train:sweep.rate-0.5.seed-0", "train:sweep.rate-0.5.seed-1"}
    edit(project, "train.rate = [0.3, 0.5, 0.9]", "train.rate = [0.3, 0.9]")
    assert build(project).built == set(), "and what it was before is there still"


def test_another_seed_of_the_data_is_for_all_and_another_trainer_parameter_for_one(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert trained(build(project, "trainings.means.train.passes=2", "train")) == {"train:means"}
    done = build(project, "train:sweep.*", "train.rate=0.4")
    assert "is an axis of the training 'sweep'" in done.output
    assert trained(build(project, "dataset.samples=90", "train")) == {"train:means", *TRIALS}


def test_the_report_and_the_api_tell_of_each(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert build(project, "report").code == 0
    folder = project / "artifacts/report/toy"
    report = json.loads((folder / "report.json").read_text())
    facts = {one["name"]: one for one in report["variants"]}
    assert facts["sweep.rate-0.3.seed-0.rounded"]["training"] == "sweep.rate-0.3.seed-0"
    assert facts["sweep.rate-0.3.seed-0.rounded"]["baseline"] == "sweep.rate-0.3.seed-0.plain"
    assert [one["variant"] for one in report["over_seeds"]] == [
        f"sweep.rate-{rate}.{variant}" for rate in ("0.3", "0.9") for variant in ("plain", "rounded")
    ]
    assert "| sweep.rate-0.3.plain | 2 |" in (folder / "report.md").read_text()
    assert "Table over seeds" in (folder / "index.html").read_text()
    read = api.read(api.load(project), "evaluate:means.plain")
    assert isinstance(read, Measured)
    assert read.evaluation.metric("accuracy").value == facts["means.plain"]["metrics"][0]["value"]


def test_a_report_of_a_build_that_is_half_done_says_which_variants_no_gate_is_checked_of(new_toy: Path) -> None:
    project = swept(new_toy)
    assert build(project, "evaluate:means.*", "evaluate:sweep.rate-0.3.seed-0.rounded").code == 0
    assert build(project, "report").code == 0
    notes = json.loads((project / "artifacts/report/toy/report.json").read_text())["notes"]
    told = "the baseline 'sweep.rate-0.3.seed-0.plain' is not measured, so no gate of sweep.rate-0.3.seed-0.rounded is checked"
    assert told in notes


def test_a_sweep_that_is_killed_loses_no_trial(new_toy: Path) -> None:
    project = swept(new_toy)
    fits = project / "fits.py"
    fits.write_text(
        fits.read_text().replace('    model["centers"]', '    import time; time.sleep(0.4)\n    model["centers"]')
    )
    running = subprocess.Popen([sys.executable, "-m", "doit", "train"], cwd=project, stdout=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 60
    done: set[str] = set()
    while len(done) < 2 and time.monotonic() < deadline:
        done = {f"train:{file.parent.name}" for file in project.glob("artifacts/train/sweep*/stage.json")}
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    after = build(project, "train")
    assert after.code == 0, after.output
    assert len(done) >= 2
    assert not done & after.built
    assert trained(after) | done >= TRIALS
