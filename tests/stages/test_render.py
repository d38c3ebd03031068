"""Stage `render`: what a target is given, and what is checked of what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.stages.toy import Toy

from modelyard.artifacts import ImageFacts
from modelyard.contexts import TargetContext
from modelyard.errors import PluginError, StageFailed
from modelyard.execution.job import Job
from modelyard.files.json import write_json
from modelyard.kubernetes.config_names import config_name
from modelyard.launch.usage import MEASURED
from modelyard.stages import render
from modelyard.testing.target import IMAGE

NAME = "render:note"
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
"""


@pytest.fixture
def toy(toy_project: Path) -> Toy:
    return Toy(toy_project)


@pytest.fixture
def inputs(toy: Toy, tmp_path: Path) -> dict[str, Path]:
    write_json(tmp_path / "image.json", IMAGE)
    return {"image": tmp_path / "image.json", "model": toy.selected()}


def test_a_target_renders_its_template(toy: Toy, inputs: dict[str, Path]) -> None:
    job = toy.job(toy.project.plan.stages[NAME], inputs)
    render.run(job)
    assert IMAGE.digest in (job.base.out / "note.txt").read_text()
    assert job.base.metrics == {"files": 1}


def test_a_target_is_told_of_the_project_the_image_and_the_model(toy: Toy, inputs: dict[str, Path]) -> None:
    seen: list[TargetContext] = []

    def target(context: TargetContext) -> None:
        seen.append(context)
        context.write("a/b.txt", "x")

    render.run(toy.job(toy.stage(NAME, target=target), inputs))
    (context,) = seen
    assert (context.name, context.version, context.image) == ("toy", "1.0", IMAGE)
    assert isinstance(context.image, ImageFacts)
    assert context.model["variant"] == "plain"
    assert context.models == {}, "there is but one"
    assert context.server_memory_bytes == 0, "it was not started"


@pytest.mark.parametrize(("said", "found"), [({"server_memory_bytes": 123}, 123), (None, 0)])
def test_the_memory_of_a_server_that_was_started_is_known(
    toy: Toy, inputs: dict[str, Path], tmp_path: Path, said: dict[str, int] | None, found: int
) -> None:
    check = tmp_path / "check"
    check.mkdir()
    if said:
        write_json(check / MEASURED, said)
    seen: list[int] = []

    def target(context: TargetContext) -> None:
        seen.append(context.server_memory_bytes)
        context.write("b.txt", "x")

    render.run(toy.job(toy.stage(NAME, target=target), {**inputs, "check": check}))
    assert seen == [found]


def test_a_target_that_writes_nothing_is_told(toy: Toy, inputs: dict[str, Path]) -> None:
    with pytest.raises(PluginError, match=r"the target 'note' \(.*\) wrote nothing\n  it must call context.write"):
        render.run(toy.job(toy.stage(NAME, target=lambda _: None), inputs))


def writes(text: str) -> Any:
    def target(context: TargetContext) -> None:
        context.write("pod.yaml", text)

    return target


def objects(toy: Toy, inputs: dict[str, Path], text: str) -> Job:
    job = toy.job(toy.stage(NAME, target=writes(text)), inputs)
    render.run(job)
    return job


def test_objects_of_kubernetes_are_held_to_the_rules(toy: Toy, inputs: dict[str, Path]) -> None:
    with pytest.raises(
        StageFailed, match="the Kubernetes objects break 3 rules:\nPod/Not_A_Name: 'Not_A_Name' is not a DNS name"
    ):
        objects(toy, inputs, POD.format(name="Not_A_Name"))


def test_what_is_no_object_is_no_matter_of_the_rules(toy: Toy, inputs: dict[str, Path]) -> None:
    assert objects(toy, inputs, "a: 1\n").base.metrics == {"files": 1}


HOOK = """
from modelyard import hookimpl


@hookimpl
def modelyard_amend_manifests(target, documents):
    for one in documents:
        one["data"] = {"of": target}
"""


def test_a_plugin_may_change_objects_before_they_are_looked_at(toy_project: Path, inputs: dict[str, Path]) -> None:
    (toy_project / "plugins" / "labels.py").write_text(HOOK)
    before, after = (config_name("notes", data) for data in ({"a": "1"}, {"of": "note"}))
    own = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {before}}}\nimmutable: true\ndata: {{a: '1'}}\n"
    job = objects(Toy(toy_project), inputs, own)
    (found,) = yaml.safe_load_all((job.base.out / "pod.yaml").read_text())
    assert found["data"] == {"of": "note"}
    assert found["metadata"]["name"] == after, "what is named by its content is so still"
    assert job.base.metrics["objects"] == 1
