"""What a target renders is checked before its stage ends, whoever wrote the target."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.front_door.builds import build

PLUGIN = '''
from modelyard import hookimpl

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: digits}
spec:
  selector: {matchLabels: {app: digits}}
  template:
    metadata: {labels: {app: digits}}
    spec:
      containers:
        - {name: server, image: "nginx:latest", securityContext: {privileged: true}}
"""
COMPOSE = """
services: {server: {image: "nginx:latest", privileged: true}}
"""


def bad(context):
    """Objects that break rules."""
    context.write("deep/deployment.yaml", DEPLOYMENT)


def other(context):
    """Files that are no objects."""
    context.write("job.hcl", 'job "digits" {}')
    context.write("compose.yaml", COMPOSE)


@hookimpl
def modelyard_register_targets(register):
    register("bad", bad, templates=())
    register("other", other, templates=())
'''


@pytest.fixture
def targets(toy: Path) -> Path:
    (toy / "plugins" / "targets.py").write_text(PLUGIN)
    with (toy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.modelyard.targets.bad]\n\n[tool.modelyard.targets.other]\n")
    return toy


def test_objects_of_a_function_target_are_checked(targets: Path) -> None:
    done = build(targets, "render:bad")

    assert done.code != 0
    for rule in ("no-privileged", "explicit-tag", "image-digest", "resources", "probes"):
        assert f"[{rule}]" in done.output
    assert not (targets / "artifacts/render/bad").exists()


def test_what_is_no_object_is_left_alone(targets: Path) -> None:
    done = build(targets, "render:other")

    assert done.code == 0, done.output
    assert done.stages["render:other"] == "built"
    assert (targets / "artifacts/render/other/job.hcl").is_file()
