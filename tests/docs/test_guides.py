"""What the guides promise of the files that they write: contracts kept, templates rendered, servers strict."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import yaml

from modelyard.artifacts import ServerFacts
from modelyard.frontend import scaffold
from modelyard.project.load import load
from modelyard.testing import check_target
from modelyard.testing.target import IMAGE, render_target
from tests.docs.pages import blocks, commands, write, write_files
from tests.docs.shell import run

if TYPE_CHECKING:
    from pathlib import Path

SERVED = "docs/how-to/serve-with-tensorflow-serving.md"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A new project, as the guides begin with it."""
    scaffold.new_project(tmp_path / "net")
    return tmp_path / "net"


def test_the_target_of_the_guide_keeps_the_contract(net: Path) -> None:
    write_files("docs/how-to/write-a-target.md", net)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=net, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


def test_the_override_of_the_guide_is_rendered(net: Path) -> None:
    write_files("docs/how-to/override-a-template.md", net)
    pod = yaml.safe_load(check_target("kubernetes", project=net)["40-deployment.yaml"])["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_server_of_the_guide_is_as_strict_as_it_says(net: Path) -> None:
    write_files("docs/how-to/harden-the-server.md", net)
    use = load(net).config.targets["kubernetes"]
    files = check_target("kubernetes", project=net, params={k: v for k, v in use.params.items() if v is not None})
    labels = yaml.safe_load(files["00-namespace.yaml"])["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    policy = yaml.safe_load(files["70-networkpolicy.yaml"])["spec"]
    names = policy["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"]
    assert names == [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["web"]}]
    assert policy.get("egress", []) == []


def test_the_targets_of_the_guide_to_tensorflow_serving_have_a_proxy(net: Path) -> None:
    write_files(SERVED, net)
    config = load(net).config
    served = msgspec.structs.replace(
        IMAGE, port=8501, server=ServerFacts(ready="/v1/models/net/versions/1/metadata", reads_settings=False)
    )
    for name, expected in (("kubernetes", "containerPort: 9443"), ("compose", "127.0.0.1:9443:8443")):
        use = config.targets[name]
        files = render_target(use.component, project=net, params=given(use.params), image=served)
        assert expected in "".join(files.values())


def given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_optimizer_of_the_guide_keeps_the_contract(net: Path) -> None:
    write_files("docs/how-to/write-an-optimizer.md", net)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=net, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("page", "project", "least"),
    [("import-a-model", "imported", 0.85), ("train-with-your-own-script", "scripted", 0.9)],
)
def test_the_project_of_a_guide_that_trains_nothing_here_is_built(
    page: str, project: str, least: float, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    for block in blocks(f"docs/how-to/{page}.md"):
        if block.file:
            write(tmp_path, block)
        elif block.language == "console":
            run(commands(block), tmp_path)
    artifacts = tmp_path / project / "artifacts"
    assert json.loads((artifacts / "evaluate/as-it-is/evaluation.json").read_text())["accuracy"] > least
    facts = json.loads((artifacts / f"select/{project}/model/model.json").read_text())
    assert facts["signature"]["inputs"][0]["name"] == "pixels"
    if page == "import-a-model":
        assert_streams_are_answered_step_by_step(tmp_path / "level")


def assert_streams_are_answered_step_by_step(project: Path) -> None:
    """The model that keeps a state answers as its formula says."""
    level, signals = np.zeros((20, 4)), np.load(project / "signals.npz")["test_x"]
    for step in np.moveaxis(np.load(project / "artifacts/evaluate/whole/answers.npy"), 1, 0):
        level, signals = 0.9 * level + 0.1 * signals[:, 0], signals[:, 1:]
        np.testing.assert_allclose(step, np.abs(level), atol=1e-5)
    assert signals.shape[1] == 0


@pytest.mark.thorough
@pytest.mark.tensorflow
def test_the_regression_the_segmentation_and_the_two_heads_of_the_guide_are_built_and_their_images_answer(
    tmp_path: Path,
) -> None:
    for block in blocks("docs/how-to/choose-a-task.md"):
        if block.file:
            write(tmp_path, block)
        elif block.language == "console":
            run(commands(block), tmp_path)
    artifacts = tmp_path / "diabetes" / "artifacts"
    float32, int8 = (
        json.loads((artifacts / f"evaluate/{name}/evaluation.json").read_text()) for name in ("float32", "int8")
    )
    assert int8["gzip_bytes"] < 0.6 * float32["gzip_bytes"]
    assert [one["name"] for one in int8["metrics"]][:3] == ["mae", "rmse", "r2"]
    facts = json.loads((artifacts / "select/diabetes/model/model.json").read_text())
    assert (facts["task"], facts["outputs"]) == ("regression", [{"name": "prediction", "shape": [1]}])
    assert json.loads((artifacts / "check/diabetes/check.json").read_text())["server_started"]
    masks = tmp_path / "shapes" / "artifacts"
    evaluated = json.loads((masks / "evaluate/float32/evaluation.json").read_text())["metrics"]
    assert [one["name"] for one in evaluated][:2] == ["mean_iou", "pixel_accuracy"]
    assert np.load(masks / "evaluate/float32/answers.npy").shape == (75, 24, 24)
    assert json.loads((masks / "check/shapes/check.json").read_text())["server_started"]
    heads = json.loads((tmp_path / "heads/artifacts/select/heads/selection.json").read_text())
    assert [row["misses"] for row in heads["table"]] == [[], []]
