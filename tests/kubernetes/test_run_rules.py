"""Every rule of `run_rules` against a change of the good objects that it alone is there to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.changes import (
    IMAGE,
    assert_found,
    assert_left_alone,
    both,
    cases,
    container,
    kind,
    more,
    pod,
    put,
)

from modelyard.kubernetes.checking import check
from modelyard.kubernetes.parameters import SERVER_MEMORY

if TYPE_CHECKING:
    from tests.kubernetes.changes import Case, Change, Objects

SLEEP = ("lifecycle", "preStop", "sleep", "seconds")

BROKEN: list[Case] = [
    ("explicit-tag", put(container, "image", value="registry.example:5000/other")),
    ("tag-beside-digest", put(container, "image", value="registry.example:5000/other@sha256:" + "a" * 64)),
    ("tag-beside-digest", put(container, "image", value=f"{IMAGE.partition(':')[0]}@{IMAGE.partition('@')[2]}")),
    ("explicit-tag", put(container, "image", value="other:latest@sha256:" + "a" * 64)),
    ("image-digest", put(container, "image", value="other:1.0")),
    ("pull-policy", put(container, "imagePullPolicy")),
    ("image-is-built", put(container, "image", value=IMAGE.replace("a" * 64, "d" * 64))),
    ("resources", put(container, "resources", "limits", "memory")),
    ("resources", put(container, "resources", "requests", "cpu")),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_MAX_BODY_BYTES", value=str(64 * 2**20))),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="3")),
    ("body-fits-memory", more(container, "env", {"name": "MODELYARD_WORKERS", "value": "4"})),
    ("cpu-limit", put(container, "resources", "limits", "cpu")),
    ("memory-as-requested", put(container, "resources", "limits", "memory", value="1Gi")),
    ("ephemeral-storage", put(container, "resources", "limits", "ephemeral-storage")),
    ("quantities", put(container, "resources", "limits", "memory", value="256 MB")),
    ("quantities", put(container, "resources", "requests", "cpu", value="2")),
    ("quantities", put(container, "resources", "requests", "cpu", value="-1")),
    ("scratch-quantities", lambda objects: pod(objects)["volumes"][0].update(emptyDir={"sizeLimit": "much"})),
    ("gpu-in-limits", put(container, "resources", "requests", "nvidia.com/gpu", value="1")),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="500m")),
    ("probes", put(container, "readinessProbe")),
    ("startup-probe", put(container, "startupProbe")),
    ("probes-differ", lambda o: container(o).update(livenessProbe=container(o)["readinessProbe"])),
    ("probe-port", put(container, "readinessProbe", "httpGet", "port", value="metrics")),
    ("probe-timing", put(container, "readinessProbe", "timeoutSeconds")),
    ("stop-in-time", put(container, "lifecycle", "preStop", "sleep", "seconds", value=60)),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=443)),
    ("port-names", more(container, "ports", {"name": "https", "containerPort": 9000})),
    ("port-names", more(container, "ports", {"name": "a-name-that-is-too-long", "containerPort": 9000})),
    ("variables-once", lambda objects: container(objects).update(env=[{"name": "A", "value": "1"}] * 2)),
    ("explicit-tag", put(container, "image", value="registry.example:5000/other:latest")),
    ("image-is-built", put(container, "image", value="registry.example/team/digits:0.2.0")),
    ("image-is-built", put(container, "image", value="registry.example/team/digits")),
    ("resources", put(container, "resources", "requests", "memory")),
    ("memory-as-requested", put(container, "resources", "requests", "memory", value="1Mi")),
    ("ephemeral-storage", put(container, "resources", "requests", "ephemeral-storage")),
    ("quantities", put(container, "resources", "requests", "memory", value="2Ti")),
    ("gpu-in-limits", put(container, "resources", "limits", "amd.com/gpu", value="1.5")),
    ("probes", put(container, "livenessProbe")),
    ("probe-port", put(container, "startupProbe", "grpc", value={"port": 9000})),
    ("probe-port", put(container, "livenessProbe", "tcpSocket", value={"port": "metrics"})),
    *(
        ("probe-timing", put(container, probe, key))
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for key in ("periodSeconds", "failureThreshold")
    ),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds"), put(container, *SLEEP, value=30))),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds", value=9), put(container, *SLEEP, value=9))),
    (
        "body-fits-memory",
        both(
            put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="auto"),
            put(container, "resources", "limits", "cpu", value="16"),
        ),
    ),
    (
        "body-fits-memory",
        put(kind("Deployment"), "spec", "template", "metadata", "annotations", value={SERVER_MEMORY: "10Gi"}),
    ),
    ("quantities", put(container, "resources", "requests", "cpu", value="much")),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=1023)),
]

ALLOWED: list[Case] = [
    ("explicit-tag", put(container, "image", value="registry.example:5000/other@sha256:" + "a" * 64)),
    ("explicit-tag", put(container, "image", value="other:1.0")),
    ("tag-beside-digest", put(container, "image", value="other")),
    *(
        ("image-is-built", put(container, "image", value=image))
        for image in (
            *(IMAGE.partition("@")[0], f"registry.example/team/digits@{IMAGE.partition('@')[2]}"),
            *("registry.example/team/digits-next:1", "other:1.0"),
        )
    ),
    ("memory-as-requested", put(container, "resources", "requests", "memory")),
    ("quantities", put(container, "resources", "requests", "hugepages-2Mi", value="0")),
    ("scratch-quantities", lambda objects: pod(objects)["volumes"][0].update(emptyDir={"sizeLimit": "1Gi"})),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="2")),
    ("probes-differ", both(put(container, "livenessProbe"), put(container, "readinessProbe"))),
    ("probe-port", put(container, "readinessProbe", "httpGet", "port", value=8080)),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds"), put(container, *SLEEP, value=29))),
    ("body-fits-memory", put(container, "resources", "limits", "memory")),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_MAX_BODY_BYTES", value="many")),
    (
        "body-fits-memory",
        both(
            put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="auto"),
            put(container, "resources", "limits", "cpu"),
        ),
    ),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="1")),
    ("probes", put(container, "startupProbe")),
    ("stop-in-time", put(container, *SLEEP, value="60")),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=1024)),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort="80")),
    ("port-names", more(container, "ports", {"name": "fifteen-letters", "containerPort": 9000})),
]


@pytest.mark.parametrize(("rule", "change"), cases(BROKEN))
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    assert_found(good, rule, change)


@pytest.mark.parametrize(("rule", "change"), cases(ALLOWED))
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    assert_left_alone(good, rule, change)


def test_a_sleep_before_the_stop_needs_a_cluster_that_knows_it(good: Objects) -> None:
    container(good)["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    assert [finding.rule for finding in check(good, version="1.29")] == ["sleep-known"]
    assert check(good, version="1.30") == []
