"""What a pod runs, with what memory and which files, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.plugins.targets.kubernetes_objects import BARE, FULL, looked_at, objects, pod
from tests.targets import kubernetes

from modelyard.errors import StageFailed
from modelyard.kubernetes.rendered import Checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext


def test_the_pod_runs_the_image_by_digest_as_its_user_with_secrets_as_files(
    context: Callable[..., TargetContext],
) -> None:
    made = context()
    kubernetes(made, auth_secret="login")
    spec = pod(made)
    assert spec["containers"][0]["image"] == made.image.reference
    assert spec["securityContext"]["runAsUser"] == 65532
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
    assert secrets == {"auth": "login", "tls": "digits-tls"}
    settings = objects(made)["ConfigMap"]["data"]
    assert settings["MODELYARD_PASSWORD_FILE"] == "/etc/modelyard/auth/password"
    assert "Secret" not in objects(made)


def test_without_tls_and_password_no_secret_is_named(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **BARE)
    spec = pod(made)
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]
    assert spec["containers"][0]["readinessProbe"]["httpGet"] == {
        "path": "/v2/health/ready",
        "port": "http",
        "scheme": "HTTP",
    }
    assert not [key for key in objects(made)["ConfigMap"]["data"] if key.endswith("_FILE")]
    assert "HorizontalPodAutoscaler" not in objects(made)
    assert objects(made)["Deployment"]["spec"]["replicas"] == 2


@pytest.mark.parametrize(("measured_mib", "memory"), [(0, "256Mi"), (128, "256Mi"), (384, "512Mi"), (3072, "4096Mi")])
def test_a_pod_is_given_the_memory_that_was_measured_and_the_usual_at_least(
    context: Callable[..., TargetContext], measured_mib: int, memory: str
) -> None:
    made = msgspec.structs.replace(context(), server_memory_bytes=measured_mib * 2**20)
    kubernetes(made)
    resources = pod(made)["containers"][0]["resources"]
    assert (resources["requests"]["memory"], resources["limits"]["memory"]) == (memory, memory)
    assert looked_at(made) == Checked(7, 0)


def test_memory_below_what_was_measured_is_refused(context: Callable[..., TargetContext]) -> None:
    made = msgspec.structs.replace(context(), server_memory_bytes=384 * 2**20)
    kubernetes(made, memory="256Mi")
    said = "256Mi is too little for a worker of 384Mi and bodies of 8388608 bytes \\[body-fits-memory\\]"
    with pytest.raises(StageFailed, match=said):
        looked_at(made)


def test_pods_run_where_the_image_can_and_where_the_user_says(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **FULL)
    spec = pod(made)
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64", "pool": "models"}
    assert [one["key"] for one in spec["tolerations"]] == ["spot", "nvidia.com/gpu"]
    assert "nodeAffinity" in spec["affinity"]
    (spread,) = spec["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
    resources = spec["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in resources["requests"]


def test_an_image_for_another_processor_runs_on_its_nodes(context: Callable[..., TargetContext]) -> None:
    made = context(image=msgspec.structs.replace(context().image, platform="linux/arm64/v8"))
    kubernetes(made)
    assert pod(made)["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


def test_an_image_that_is_loaded_into_the_cluster_is_named_by_its_tag(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, image_reference="tag", annotations={"modelyard.dev/skip": "cpu-limit: a demo"})
    server = pod(made)["containers"][0]
    assert server["image"] == "registry.example/team/digits:0.1.0"
    assert server["imagePullPolicy"] == "IfNotPresent"
    template = objects(made)["Deployment"]["spec"]["template"]["metadata"]
    assert template["annotations"]["modelyard.dev/image-digest"] == made.image.digest, "another image is another pod"
    assert looked_at(made) == Checked(7, 0)


def test_the_startup_budget_covers_the_load_of_the_model(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, startup_s=601)
    probe = pod(made)["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 601
    assert objects(made)["Deployment"]["spec"]["progressDeadlineSeconds"] > 601
