"""The models of an image, as the stages see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plans import component, job_of

from modelyard.component import Use
from modelyard.execution.job import Job
from modelyard.files.json import write_json
from modelyard.stage import Stage
from modelyard.stage_settings import CheckedModel, CheckSettings
from modelyard.stages.packed import digest_of, joint_facts, of_model, packed

FIRST = {"sha256": "11", "size_bytes": 10, "variant": "int8", "metrics": {"accuracy": 0.5}, "inputs": []}
SECOND = {"sha256": "22", "size_bytes": 5, "variant": "plain", "looped": True, "licence": "MIT"}
TIDY, TASK, RUNNER = (Use(component(kind, kind), {}) for kind in ("handler", "task", "runtime"))


def job(folder: Path, models: dict[str, CheckedModel], inputs: dict[str, Path]) -> Job:
    uses = {"runtime": RUNNER, "task:net.1": TASK, "before:1:net.1": TIDY, "task:net.11": TIDY}
    settings = CheckSettings(start=True, events="auto", timeout_s=1.0, models=models)
    stage = Stage("check", "shop", uses=uses, settings=settings)
    return job_of(stage, inputs, folder)


@pytest.fixture
def several(tmp_path: Path) -> Job:
    inputs = {"image": tmp_path}
    for key, facts in {"net.1": FIRST, "net.11": SECOND}.items():
        inputs[f"model:{key}"] = tmp_path / key
        (tmp_path / key).mkdir()
        write_json(tmp_path / key / "model.json", facts)
    models = {f"net.{v}": CheckedModel(name="net", version=v, samples=4, tolerance=0.1) for v in (1, 11)}
    return job(tmp_path, models, inputs)


def test_several_models_lie_by_name_and_version(several: Job) -> None:
    first, second = packed(several)
    assert (first.place, second.place) == ("/models/net/1", "/models/net/11")
    assert (first.path, second.path, second.label) == ("net/1", "net/11", "net.11.")
    assert first.told() == {"variant": "int8", "sha256": "11", "size_bytes": "10", "accuracy": "0.5"}
    assert second.told()["licence"] == "MIT"


def test_what_is_true_of_all_is_their_size_and_a_digest_of_all_and_a_state_that_one_keeps(several: Job) -> None:
    models = packed(several)
    assert joint_facts(models) == {"size_bytes": 15, "sha256": digest_of(models), "looped": True}
    assert digest_of(models) == digest_of(models[::-1])
    assert len(digest_of(models)) == 64


def test_a_stage_about_one_of_them_has_the_usual_names(several: Job) -> None:
    one = of_model(several, packed(several)[0])
    assert one.stage.uses == {"runtime": RUNNER, "task": TASK, "before:1": TIDY}
    assert {*one.inputs} == {"image", "model"}
    assert one.inputs["model"] == several.inputs["model:net.1"]


def test_the_only_model_of_an_image_is_as_it_is(tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", FIRST)
    whole = job(tmp_path, {}, {"model": tmp_path})
    (only,) = packed(whole)
    assert (only.place, only.path, only.label, digest_of([only])) == ("/model", "shop", "", "11")
    assert joint_facts([only]) == FIRST
    assert of_model(whole, only) is whole
