"""`doit report` in the toy project: whole, half built, failed, damaged, and without what it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.front_door.builds import build, copy


@pytest.fixture(scope="module")
def toy_with_report(built_toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built toy project with a report on it; not to be changed."""
    folder = copy(built_toy, tmp_path_factory.mktemp("reported") / "toy")
    assert build(folder, "report").code == 0
    return folder


@pytest.fixture
def reported(toy_with_report: Path, tmp_path: Path) -> Path:
    """Return a copy of the built toy project with a report on it, to be changed."""
    return copy(toy_with_report, tmp_path / "reported")


def report_of(toy: Path) -> dict[str, Any]:
    return json.loads((toy / "artifacts/report/toy/report.json").read_text())


def test_a_report_on_a_whole_build(toy: Path) -> None:
    done = build(toy, "report")
    assert done.code == 0, done.output
    assert "artifacts/report/toy/index.html" in done.output
    assert "note:" not in done.output
    found = report_of(toy)
    assert found["shipped"] in ("plain", "rounded", "coarse")
    assert [one["name"] for one in found["variants"]] == ["plain", "rounded", "coarse"]
    assert [one["steps"] for one in found["variants"]][2] == ["round decimals=1", "scale factor=2", "pack"]
    selection = json.loads((toy / "artifacts/select/toy/selection.json").read_text())
    assert found["shipped"] == selection["chosen"]
    for one, row in zip(found["variants"], selection["table"], strict=True):
        same = (
            "misses",
            "undecided",
            "compared_with",
            "trained_unlike",
            "control",
            "dominated_by",
        )
        assert {field: one[field] for field in same} == {field: row[field] for field in same}
        assert one["metrics"] == row["metrics"]
        values = {metric["name"]: metric["value"] for metric in row["metrics"]}
        assert (values["accuracy"], values["gzip_size"]) == (one["accuracy"], one["gzip_bytes"])
    for one in found["variants"]:
        cells = one["confusion_matrix"]
        triples = zip(cells["label"], cells["answer"], cells["count"], strict=True)
        right = sum(count for label, answer, count in triples if label == answer)
        assert (sum(cells["count"]), right / one["samples"]) == (one["samples"], one["accuracy"])
    assert {one["state"] for one in found["stages"]} == {"up-to-date"}
    assert all(one["touched"] and one["how"] == "built" for one in found["stages"])
    assert found["image"]["digest"].startswith("sha256:")
    assert "<h1>toy" in (toy / "artifacts/report/toy/index.html").read_text()
    # the report is none of the build's artifacts: nothing became stale, and it is the same again
    assert build(toy).built == set()
    before = (toy / "artifacts/report/toy/index.html").read_bytes()
    build(toy, "report")
    assert (toy / "artifacts/report/toy/index.html").read_bytes() == before


def test_an_undecided_gate_of_what_ships_is_told_in_the_last_lines_the_table_and_the_report(toy: Path) -> None:
    few = ("evaluate.latency_samples=20", 'gates.max_latency_p99="10 s"')  # too few calls to bound the 99th percentile
    done = build(toy, *few, "select")
    assert done.code == 0, done.output
    selection = json.loads((toy / "artifacts/select/toy/selection.json").read_text())
    chosen = selection["chosen"]
    (text,) = next(row["undecided"] for row in selection["table"] if row["variant"] == chosen)
    assert text.startswith("max_latency_p99: ")
    assert text.endswith(" may be more or less than 10,000: undecided, passes as measured")
    *_, warning, note, last = done.output.splitlines()
    assert warning == f"warning: {chosen} ships with a gate undecided: {text}"
    others = ", ".join(sorted(row["variant"] for row in selection["table"] if row["variant"] != chosen))
    assert note == f"note: gates of other variants are undecided, too: {others}; see artifacts/select/toy/table.md"
    assert last.startswith("built ")
    table = (toy / "artifacts/select/toy/table.md").read_text().splitlines()
    (names,) = [line.removesuffix(f": {text}") for line in table if line.endswith(f": {text}")]
    assert chosen in names.removeprefix("- ").split(", "), "variants that a text fits alike share a line"
    assert build(toy, *few, "report").code == 0
    assert next(one for one in report_of(toy)["variants"] if one["name"] == chosen)["undecided"] == [text]
    assert "undecided" not in build(toy, *few, "select").output, "nothing was selected anew"


def test_a_build_does_not_write_it(toy: Path) -> None:
    assert build(toy).code == 0
    assert not (toy / "artifacts/report").exists()


def test_a_report_before_any_build_says_so(new_toy: Path) -> None:
    done = build(new_toy, "report")
    assert done.code == 0, done.output
    found = report_of(new_toy)
    assert "no variant is measured" in found["notes"]
    assert {one["state"] for one in found["stages"]} == {"missing"}
    assert list((new_toy / "artifacts").iterdir()) == [new_toy / "artifacts/report"]


def test_a_failed_selection_is_told_with_its_reasons(toy: Path) -> None:
    pyproject = toy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("min_accuracy = 0.5", "max_size = 1"))
    assert build(toy).code != 0
    done = build(toy, "report")
    assert done.code == 0, done.output
    found = report_of(toy)
    assert any("select:toy failed: no variant meets every gate" in note for note in found["notes"]), found["notes"]
    assert all(any("max_size" in miss for miss in one["misses"]) for one in found["variants"])
    states = {one["stage"]: one["state"] for one in found["stages"]}
    assert states["select:toy"] == "stale"
    # once it holds again, the failure is no longer told
    pyproject.write_text(pyproject.read_text().replace("max_size = 1", "min_accuracy = 0.5"))
    assert build(toy).code == 0
    build(toy, "report")
    assert report_of(toy)["notes"] == []


def test_what_an_earlier_build_selected_is_not_told_as_what_ships(reported: Path, tmp_path: Path) -> None:
    toy = reported
    before = tmp_path / "before.json"
    before.write_bytes((toy / "artifacts/report/toy/report.json").read_bytes())
    picked = report_of(toy)["shipped"]
    changes = ("train.passes=2", "gates.max_size=1")
    assert build(toy, *changes).code != 0, "no variant is that small"
    done = build(toy, "report", *changes)
    why = "select:toy failed: no variant meets every gate"
    assert f"   note: nothing ships: {why}" in done.output
    found = report_of(toy)
    assert (found["shipped"], found["image"]["state"]) == (None, "maybe")
    assert found["not_shipped"].startswith(why)
    text = (toy / "artifacts/report/toy/report.md").read_text()
    assert next(line for line in text.splitlines()[1:] if line).startswith(f"**Nothing ships**: {why}")
    assert "(shipped)" not in text
    assert "`, may be stale" in text
    page = (toy / "artifacts/report/toy/index.html").read_text()
    assert f"<strong>Nothing ships</strong>: {why}" in page
    assert ">shipped</span>" not in page
    diff = build(toy, "report-diff", str(before), "artifacts/report/toy").output
    assert f"**Nothing ships**: {why}" in diff
    assert f"; before it was {picked}." in diff
    # what is only out of date ships no more, either, until it is built
    assert build(toy).code == 0
    assert build(toy, "report", "train.passes=3").code == 0
    assert "may be stale" in report_of(toy)["not_shipped"]
    assert {one["state"] for one in report_of(toy)["variants"]} == {"maybe"}
    (trained,) = (one for one in report_of(toy)["stages"] if one["stage"] == "train:model.build")
    assert trained["state"] == "stale"
    assert any("passes" in reason for reason in trained["reasons"]), "what the command line overrides counts"


def test_what_the_last_build_did_is_told(toy: Path) -> None:
    assert build(toy, "train.passes=2").code == 0
    assert build(toy).code == 0  # back again: from the store
    build(toy, "report")
    stages = {one["stage"]: one for one in report_of(toy)["stages"]}
    assert (stages["train:model.build"]["how"], stages["train:model.build"]["touched"]) == ("restored", True)
    assert stages["dataset:points"]["touched"] is False


def test_answers_to_data_that_is_gone_are_not_held_against_new_samples(toy: Path) -> None:
    assert build(toy, "dataset", "dataset.noise=0.9").code == 0
    build(toy, "report", "dataset.noise=0.9")
    found = report_of(toy)
    assert [one["against_baseline"] for one in found["variants"]] == [None] * 3
    assert any(note.startswith("stale: ") and "train:model.build" in note for note in found["notes"]), found["notes"]


def test_clean_removes_it_and_nothing_else(reported: Path) -> None:
    assert "removing artifacts/report/toy" in build(reported, "clean", "report").output
    assert not (reported / "artifacts/report/toy").exists()
    assert build(reported).built == set()


def test_a_missing_extra_is_named(toy: Path) -> None:
    blocked = "import sys\nsys.modules['matplotlib'] = None\nsys.modules['matplotlib.figure'] = None\n"
    (toy / "sitecustomize.py").write_text(blocked)
    done = build(toy, "report", env={"PYTHONPATH": str(toy)})
    assert done.code != 0
    assert "needs the module 'matplotlib', which is not installed" in done.output
    assert "python -m pip install 'modelyard[report]'" in done.output
    assert "Traceback" not in done.output
    assert not (toy / "artifacts/report").exists()


def test_a_damaged_artifact_is_named(toy: Path) -> None:
    (toy / "artifacts/evaluate/plain/evaluation.json").write_text("{")
    done = build(toy, "report")
    assert done.code != 0
    assert "evaluation.json: cannot be read" in done.output
    assert "Traceback" not in done.output


def test_two_reports_are_compared(reported: Path) -> None:
    toy = reported
    before = toy / "artifacts/report/before"
    (toy / "artifacts/report/toy").rename(before)
    assert build(toy, "train.passes=2", "dataset.noise=0.9").code == 0
    build(toy, "report", "train.passes=2", "dataset.noise=0.9")
    done = build(toy, "report-diff", str(before), "artifacts/report/toy")
    assert done.code == 0, done.output
    assert done.output.startswith("### toy: what changed")
    assert "→" in done.output
    found = json.loads(build(toy, "report-diff", str(before), "artifacts/report/toy/report.json", "--json").output)
    assert found["schema"] == "modelyard.report-diff/2"
    plain = next(one for one in found["variants"] if one["name"] == "plain")
    accuracy = next(one for one in plain["metrics"] if one["name"] == "accuracy")
    assert accuracy["value"]["a"] > accuracy["value"]["b"]
    assert (accuracy["unit"], accuracy["better"]) == ("fraction", "higher")
    same = build(toy, "report-diff", str(before), str(before))
    assert "Nothing differs" in same.output
    assert build(toy, "report-diff", str(before), "nowhere").code == 3
