"""What the server of a pod is told: its settings, and the variables of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.plugins.targets.kubernetes_objects import FULL, objects, pod
from tests.targets import kubernetes

from modelyard.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelyard.contexts import TargetContext


def config_of(context: TargetContext) -> str:
    """Return the name of the ConfigMap that the server reads, which is there and cannot be changed."""
    name: str = pod(context)["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    config = objects(context)["ConfigMap"]
    assert (config["metadata"]["name"], config["immutable"]) == (name, True)
    return name


def test_a_change_of_the_settings_rolls_the_pods_and_leaves_earlier_ones_their_own(
    context: Callable[..., TargetContext],
) -> None:
    one, other, again = context(), context(), context()
    kubernetes(one)
    kubernetes(other, log_level="debug")
    kubernetes(again)
    assert config_of(one) == config_of(again) != config_of(other)
    assert config_of(one).startswith("digits-")


def test_what_a_projects_own_template_adds_to_the_settings_is_in_their_name(
    context: Callable[..., TargetContext],
) -> None:
    plain, more = context(), context()
    kubernetes(plain)
    override = more.project / "templates/kubernetes/configmap.yaml.j2"
    override.parent.mkdir(parents=True)
    block = '{% block more %}\n  MODELYARD_WORKERS: "2"\n{% endblock %}'
    override.write_text('{% extends "builtin/kubernetes/configmap.yaml.j2" %}\n' + block)
    kubernetes(more)
    assert objects(more)["ConfigMap"]["data"]["MODELYARD_WORKERS"] == "2"
    assert config_of(plain) != config_of(more)


def test_the_server_has_time_to_drain(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, drain_s=40, grace_s=60)
    assert pod(made)["terminationGracePeriodSeconds"] > 100
    found = objects(made)["ConfigMap"]["data"]
    assert (found["MODELYARD_DRAIN_S"], found["MODELYARD_GRACE_S"]) == ("40", "60")


def test_the_server_reads_the_settings_that_it_is_given(context: Callable[..., TargetContext], tmp_path: Path) -> None:
    made = context()
    kubernetes(made, log_level="warning", cpu_limit="1500m")
    environment = objects(made)["ConfigMap"]["data"]
    for key in [key for key in environment if key.endswith("_FILE")]:
        (tmp_path / key).write_text("secret")
        environment[key] = str(tmp_path / key)
    found = Settings.read(environment)
    assert (found.model_name, found.port, found.threads, found.log_level) == ("digits", 8080, 2, "warning")
    assert (found.username, found.password) == ("secret", "secret")


@pytest.mark.parametrize(("workers", "read_as"), [(2, (2, 1)), ("auto", (0, 1))])
def test_the_workers_of_a_pod_share_its_processors(
    context: Callable[..., TargetContext], workers: int | str, read_as: object
) -> None:
    made = context()
    kubernetes(made, cpu_limit="2", workers=workers, auth=False, tls=False)
    found = Settings.read(objects(made)["ConfigMap"]["data"])
    assert (found.workers, found.threads) == read_as
    assert pod(made)["containers"][0]["resources"]["limits"]["memory"] == "384Mi"


def test_variables_are_plain_or_files_of_a_secret(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **FULL)
    server, volumes = pod(made)["containers"][0], pod(made)["volumes"]
    assert {one["name"]: one["value"] for one in server["env"]} == {
        "MODELYARD_MAX_BATCH": "64",
        "TZ": "UTC",
        "TOKEN_FILE": "/etc/modelyard/env-1/token",
        "OTHER_FILE": "/etc/modelyard/env-1/other",
        "DSN_FILE": "/etc/modelyard/env-2/dsn",
    }
    paths = {one["name"]: one["mountPath"] for one in server["volumeMounts"]}
    secrets = {one["name"]: one["secret"] for one in volumes if one["name"].startswith("env-")}
    assert {name: secret["secretName"] for name, secret in secrets.items()} == {"env-1": "backend", "env-2": "database"}
    assert paths["env-1"] == "/etc/modelyard/env-1"
    assert [item["key"] for item in secrets["env-1"]["items"]] == ["token", "other"]
