"""The guides are true: their files make a project that loads, their commands exist and say what is shown."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from modelyard import cli
from modelyard.artifacts import ServerFacts
from modelyard.conformance_target import IMAGE, render_target
from modelyard.project import load
from modelyard.testing import check_target, run_doit
from tests.docs.guides import DOCS, GUIDES, Call, blocks, calls, write

if TYPE_CHECKING:
    from pathlib import Path

BUILDS = {"write-an-optimizer", "use-your-own-model", "use-your-own-data", "use-pytorch"}
SERVED = "how-to/serve-with-tensorflow-serving.md"
"""Guides whose projects are built up to `select`; the road behind it is the same for every project."""

AT_ONCE = {"list", "plugins"}
OTHERS = {"kubectl", "cd", "python", "modelyard"}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A new project, as the guides begin with it."""
    cli.init(tmp_path / "net")
    return tmp_path / "net"


def follow(guide: str, project: Path) -> list[Call]:
    """Write the files of a guide, run its commands but for those that build, and return those."""
    found = blocks(guide)
    for block in found:
        if block.file:
            write(project, block)
    consoles = [block for block in found if block.language == "console"]
    return [call for block in consoles for call in calls(block) if not _at_once(call, project)]


def _at_once(call: Call, project: Path) -> bool:
    if call.words[0] == "doit" and AT_ONCE & set(call.words[1:2]):
        done = run_doit(project, *call.words[1:])
    elif call.words[0] == "python" and not call.words[1].startswith("-"):
        done = subprocess.run(
            [sys.executable, *call.words[1:]], cwd=project, capture_output=True, text=True, check=False
        )
    else:
        return False
    assert done.returncode == 0, done.stderr
    said = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert {" ".join(line.split()) for line in call.shown} <= said, done.stdout
    return True


@pytest.mark.parametrize("guide", GUIDES)
def test_following_a_guide_makes_a_project_that_loads(guide: str, net: Path) -> None:
    later = follow(guide, net)
    plan = load(net).plan
    tasks = {
        *plan.stages,
        *(stage.kind for stage in plan.stages.values()),
        "deploy:kubernetes",
        "serve",
        "push",
        "report",
    }
    for call in later:
        if call.words[0] == "doit":
            changes = dict(word.split("=", 1) for word in call.words[1:] if "=" in word)
            assert load(net, changes).plan.stages
            assert {word for word in call.words[1:] if "=" not in word} <= tasks
        else:
            assert call.words[0] in OTHERS


@pytest.mark.parametrize("guide", GUIDES)
def test_every_block_can_be_read(guide: str) -> None:
    for block in blocks(guide):
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)


def test_every_guide_is_read() -> None:
    assert len(GUIDES) == 13
    assert all(blocks(guide) for guide in GUIDES)


def test_every_link_leads_to_a_page_of_the_documentation() -> None:
    for guide in GUIDES:
        page = DOCS / guide
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).is_file(), f"{guide}: {link}"


def test_the_target_of_the_guide_keeps_the_contract(net: Path) -> None:
    follow("how-to/write-a-target.md", net)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=net, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


def test_the_override_of_the_guide_is_rendered(net: Path) -> None:
    follow("how-to/override-a-template.md", net)
    pod = yaml.safe_load(check_target("kubernetes", project=net)["40-deployment.yaml"])["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_server_of_the_guide_is_as_strict_as_it_says(net: Path) -> None:
    follow("how-to/harden-the-server.md", net)
    use = load(net).config.targets["kubernetes"]
    files = check_target("kubernetes", project=net, params={k: v for k, v in use.params.items() if v is not None})
    labels = yaml.safe_load(files["00-namespace.yaml"])["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    policy = yaml.safe_load(files["70-networkpolicy.yaml"])["spec"]
    names = policy["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"]
    assert names == [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["web"]}]
    assert policy.get("egress", []) == []


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_guide_to_tensorflow_serving_selects_a_saved_model_and_its_targets_have_a_proxy(net: Path) -> None:
    (select, *later) = [call.words for call in follow(SERVED, net) if call.words[0] == "doit"]
    assert (select, later) == (["doit", "select"], [["doit", "render:kubernetes"], ["doit", "deploy:kubernetes"]])
    done = run_doit(net, *select[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (net / "artifacts/select/net/model/saved_model/saved_model.pb").is_file()
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


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("guide", sorted(BUILDS))
def test_the_project_of_a_guide_builds(guide: str, net: Path) -> None:
    for call in follow(f"how-to/{guide}.md", net):
        done = run_doit(net, *call.words[1:])
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_optimizer_of_the_guide_keeps_the_contract(net: Path) -> None:
    follow("how-to/write-an-optimizer.md", net)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=net, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout
