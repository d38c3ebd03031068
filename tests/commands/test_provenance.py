from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Ask, Run


def build(toy: Any) -> Any:
    return json.loads((toy / "artifacts/build.json").read_text())


def image(toy: Any) -> Any:
    return json.loads((toy / "artifacts/image/toy/image.json").read_text())


def head(toy: Any) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=toy, capture_output=True, text=True).stdout.strip()


def test_build_json_says_what_every_artifact_was_made_of(toy: Path) -> None:
    found = build(toy)
    assert found["source"] == {"commit": head(toy), "clean": True}
    assert found["images"]["image:toy"]["digest"] == image(toy)["digest"]
    train = found["stages"]["train:model.build"]
    assert train["parameters"]["trainer.passes"] == 1
    assert train["components"] == {"model": "model:build", "trainer": "centroids"}
    assert train["commit"] == head(toy)
    assert train["clean"] is True
    assert {"helper.py", "model.py", "plugins/toy.py"} <= set(train["sources"])
    assert set(train["code"]) == {"stage", "trainer", "model", "modelyard_read_model_file"}
    assert {"python", "numpy"} <= set(train["tools"])
    assert "template" not in str(train["files"])
    assert "note.txt.j2" in found["stages"]["render:note"]["files"]


def test_the_chain_in_build_json_leads_from_manifest_to_data(toy: Path) -> None:
    stages = build(toy)["stages"]
    todo, seen = ["render:note"], set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for one in stages[name]["inputs"].values():
            assert one["key"] == stages[one["stage"]]["key"]
            todo.append(one["stage"])
    assert seen == set(stages)


def test_build_json_differs_in_nothing_but_times(toy: Path, run: Run) -> None:
    first = build(toy)
    (toy / "artifacts/build.json").unlink()
    assert run().returncode == 0
    second = build(toy)
    assert {**first, "finished": ""} == {**second, "finished": ""}
    assert [p.name for p in (toy / "artifacts").glob(".build*")] == []


def test_a_run_that_changes_nothing_leaves_build_json(toy: Path, run: Run) -> None:
    before = (toy / "artifacts/build.json").stat()
    assert run().returncode == 0
    assert (toy / "artifacts/build.json").stat().st_mtime_ns == before.st_mtime_ns


def test_a_tree_with_changes_is_named(toy: Path, run: Run, edit: Callable[[str, str, str], None]) -> None:
    edit("helper.py", "value / 2", "value / 4")
    assert run("train").returncode == 0
    stages = build(toy)["stages"]
    assert stages["train:model.build"]["clean"] is False
    assert stages["dataset:points"]["clean"] is True
    # what stands on the old model says so: its key is another than the one that is there now
    read = stages["optimize:plain"]["inputs"]["model"]
    assert read["key"] not in (None, stages["train:model.build"]["key"])


def test_leads_from_an_image_to_data_code_and_parameters(toy: Path, ask: Ask, run: Run) -> None:
    digest = image(toy)["digest"]
    found = ask("provenance", digest)
    assert found["subject"] == [{"name": "toy", "digest": {"sha256": digest.removeprefix("sha256:")}}]
    definition = found["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["dataset:points"]["dataset.samples"] == 60
    assert definition["externalParameters"]["train:model.build"]["trainer.passes"] == 1
    assert {"uri": "git+.", "digest": {"gitCommit": head(toy)}, "annotations": {"clean": True}} in definition[
        "resolvedDependencies"
    ]
    assert definition["internalParameters"]["withoutRecord"] == []
    assert "render:note" not in definition["externalParameters"]
    assert found == ask("provenance")
    text = run("provenance", digest.removeprefix("sha256:")[:10]).stdout
    assert text.startswith(f"toy:{image(toy)['tag']}@{digest}\n")
    assert "trainer.passes 1" in text


def test_names_the_digest_of_a_data_file(toy: Path, run: Run, ask: Ask) -> None:
    rows = "".join(f"{i % 3},{i % 2},{i % 3}\n" for i in range(60)).encode()
    (toy / "points.csv").write_bytes(rows)
    assert run("dataset", "dataset.table=points.csv").returncode == 0
    found = ask("provenance", "dataset", "dataset.table=points.csv")["predicate"]["buildDefinition"]
    data = {"name": "dataset:points: dataset.table", "digest": {"sha256": hashlib.sha256(rows).hexdigest()}}
    assert data in found["resolvedDependencies"]


def test_an_image_that_was_replaced_is_still_known(toy: Path, run: Run, ask: Ask) -> None:
    old = image(toy)["digest"]
    assert run("image", "dataset.noise=0.3", "image.tag=second").returncode == 0
    assert image(toy)["digest"] != old
    found = ask("provenance", old)["predicate"]["buildDefinition"]
    assert found["externalParameters"]["dataset:points"]["dataset.noise"] == 0.1
    assert found["internalParameters"]["withoutRecord"] == []
    now = ask("provenance", image(toy)["digest"])["predicate"]["buildDefinition"]
    assert now["externalParameters"]["dataset:points"]["dataset.noise"] == 0.3


def test_says_what_has_no_record_any_more(toy: Path, run: Run, ask: Ask) -> None:
    assert run("dataset", "dataset.noise=0.3").returncode == 0
    for trace in (toy / ".modelyard/store/traces").rglob("*.json"):
        trace.unlink()
    lost = ask("provenance", "train")["predicate"]["buildDefinition"]["internalParameters"]["withoutRecord"]
    assert [one["stage"] for one in lost] == ["dataset:points"]
    assert "no record is left of dataset:points" in run("provenance", "train").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sha256:" + "0" * 64,), "no image 'sha256:000"),
        (("a", "b"), "one digest or stage is allowed, not 2"),
        (("zzzz",), "names no result"),
    ],
)
def test_mistakes(run: Run, words: tuple[Any, ...], message: str) -> None:
    done = run("provenance", *words)
    assert done.returncode == 3
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_an_image(toy: Path, run: Run) -> None:
    for folder in (".modelyard/store", ".modelyard/history"):
        (toy / folder).rename(toy.parent / folder.replace("/", "-"))
    assert run("clean", "image").returncode == 0
    assert "there is no image yet" in run("provenance").stderr
