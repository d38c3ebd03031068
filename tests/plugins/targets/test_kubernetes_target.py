from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError, StageFailed
from modelyard.kubernetes.checking import check
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.parameters import _QUANTITIES
from modelyard.kubernetes.rendered import Checked, check_rendered
from modelyard.kubernetes.syntax import quantity
from modelyard.plugins.load import Plugins
from modelyard.rendering.templates import TemplateError
from modelyard.serving.settings import Settings
from modelyard_plugins.targets.kubernetes import kubernetes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelyard.contexts import TargetContext


def looked_at(context: TargetContext) -> Checked:
    """Check what was rendered as the stage does."""
    image = context.image.reference
    return check_rendered(context.out, name=context.name, image=image, log=context.log, warn=context.warn)


ALL: dict[str, Any] = {"namespace": "digits", "create_namespace": True, "ingress_host": "digits.example.org"}
FULL: dict[str, Any] = {
    **ALL,
    "name": "digits-staging",
    "env": {"MODELYARD_MAX_BATCH": "64", "TZ": "UTC"},
    "env_from_secrets": {"TOKEN": "backend/token", "OTHER": "backend/other", "DSN": "database/dsn"},
    "gpus": 1,
    "tolerations": ({"key": "spot", "operator": "Exists", "effect": "NoSchedule"},),
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
            }
        }
    },
    "spread_over": ("topology.kubernetes.io/zone",),
    "spread_strictly": True,
    "node_selector": {"pool": "models"},
    "allow_namespaces": ("web",),
    "allow_scrapers": ("monitoring",),
    "service_monitor": True,
    "service_monitor_labels": {"release": "prometheus"},
    "image_pull_secrets": ("registry",),
    "priority_class": "high",
}
BARE: dict[str, Any] = {"auth": False, "tls": False, "max_replicas": 2, "network_policy": False, "cpu_limit": ""}


def objects(context: TargetContext) -> dict[str, Any]:
    return {one["kind"]: one for one in objects_in(read_folder(context.out))}


def pod(context: TargetContext) -> dict[str, Any]:
    found: dict[str, Any] = objects(context)["Deployment"]["spec"]["template"]["spec"]
    return found


def test_the_default_is_what_a_service_needs_in_the_order_of_need(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made)
    assert sorted(path.name for path in made.out.iterdir()) == [
        "10-serviceaccount.yaml",
        "20-configmap.yaml",
        "30-service.yaml",
        "40-deployment.yaml",
        "50-horizontalpodautoscaler.yaml",
        "60-poddisruptionbudget.yaml",
        "70-networkpolicy.yaml",
        "kustomization.yaml",
    ]
    assert looked_at(made) == Checked(7, 0)


def test_namespace_and_ingress_are_rendered_on_request(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **ALL)
    found = objects(made)
    assert {"Namespace", "Ingress"} <= set(found)
    assert found["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert all(one["metadata"]["namespace"] == "digits" for kind, one in found.items() if kind != "Namespace")


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


def test_what_the_user_chose_to_leave_out_is_a_warning(context: Callable[..., TargetContext]) -> None:
    said: list[str] = []
    made = msgspec.structs.replace(context(), log=said.append)
    kubernetes(made, **BARE)
    assert looked_at(made).warnings == len(said)
    assert {line.partition("[")[2].partition("]")[0] for line in said} == {"cpu-limit", "network-policy"}


def test_an_image_that_only_an_engine_has_is_a_warning(context: Callable[..., TargetContext]) -> None:
    said: list[str] = []
    image = msgspec.structs.replace(context().image, archive=None, builder="docker")
    made = msgspec.structs.replace(context(image=image), log=said.append)
    kubernetes(made)
    assert looked_at(made) == Checked(7, 0)
    assert len(said) == len(made.warnings) == 1
    assert "is the image's id in the engine" in made.warnings[0]


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


def test_a_new_model_changes_one_object(context: Callable[..., TargetContext]) -> None:
    old, new = context(), context()
    kubernetes(old)
    kubernetes(msgspec.structs.replace(new, model={**new.model, "accuracy": 0.5, "sha256": "d" * 64}))
    before, after = (objects(one) for one in (old, new))
    assert [kind for kind in before if before[kind] != after[kind]] == ["Deployment"]


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


def test_two_environments_share_a_namespace(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    kubernetes(one, namespace="models")
    kubernetes(other, namespace="models", name="digits-staging")
    names = [{(kind, thing["metadata"]["name"]) for kind, thing in objects(made).items()} for made in (one, other)]
    assert not names[0] & names[1]
    selectors = [objects(made)["Deployment"]["spec"]["selector"]["matchLabels"] for made in (one, other)]
    assert {selector["app.kubernetes.io/name"] for selector in selectors} == {"digits"}
    assert [selector["app.kubernetes.io/instance"] for selector in selectors] == ["digits", "digits-staging"]
    assert objects(other)["ConfigMap"]["data"]["MODELYARD_MODEL_NAME"] == "digits"
    assert {volume["secret"]["secretName"] for volume in pod(other)["volumes"] if "secret" in volume} == {
        "digits-staging-auth",
        "digits-staging-tls",
    }


def test_prometheus_is_told_how_to_read_the_metrics_and_let_in(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **FULL)
    monitor, policy = objects(made)["ServiceMonitor"], objects(made)["NetworkPolicy"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["basicAuth"] == {
        "username": {"name": "digits-staging-auth", "key": "username"},
        "password": {"name": "digits-staging-auth", "key": "password"},
    }
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", "digits-staging.digits.svc")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == [
        "web",
        "monitoring",
    ]


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


def test_nginx_is_told_to_speak_tls_to_the_server(context: Callable[..., TargetContext]) -> None:
    key = "nginx.ingress.kubernetes.io/backend-protocol"
    one, other = context(), context()
    kubernetes(one, **ALL, ingress_class="nginx")
    kubernetes(other, **ALL, ingress_class="nginx", ingress_annotations={key: "GRPCS"})
    assert objects(one)["Ingress"]["metadata"]["annotations"][key] == "HTTPS"
    assert objects(other)["Ingress"]["metadata"]["annotations"][key] == "GRPCS"


def test_the_same_input_gives_the_same_bytes(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    for made in (one, other):
        kubernetes(made, **FULL, labels={"team": "a"}, annotations={"x": "y"})
    assert {p.name: p.read_bytes() for p in one.out.iterdir()} == {p.name: p.read_bytes() for p in other.out.iterdir()}


@pytest.mark.parametrize("minor", range(29, 38))
@pytest.mark.parametrize("params", [{}, ALL, FULL, BARE], ids=["default", "all", "full", "bare"])
def test_the_objects_are_valid_in_every_version(
    context: Callable[..., TargetContext], minor: int, params: dict[str, Any]
) -> None:
    pytest.importorskip("kubernetes_validate")
    made = context()
    kubernetes(made, **params, kubernetes_version=f"1.{minor}")
    found = check(objects_in(read_folder(made.out)), version=f"1.{minor}")
    assert [finding for finding in found if finding.severity == "error"] == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_kustomize_reads_every_object_as_it_was_written(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **ALL, annotations={"a": "on", "b": "1.0", "c": "\u2028'{{x}}'"})
    done = subprocess.run(["kubectl", "kustomize", str(made.out)], capture_output=True, text=True, check=True)
    assert {one["kind"]: one for one in yaml.safe_load_all(done.stdout)} == objects(made)


# --- what a user writes

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    [
        "on",
        "1.0",
        "null",
        "~",
        "'",
        '"',
        "{{ name }}",
        "{% if %}",
        "a: b",
        "a\nb: c",
        "---",
        "# a",
        "x', y: '",
        "\u2028",
        "$(A)",
    ]
)
KEYS = st.from_regex(r"([a-z]{1,4}\.[a-z]{2}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True)
LABELS = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?", fullmatch=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    annotations=st.dictionaries(KEYS, TEXT, max_size=4),
    labels=st.dictionaries(KEYS, LABELS | st.just("on"), max_size=4),
    env=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), TEXT, max_size=4),
)
def test_what_a_user_writes_is_read_back_exactly(
    context: Callable[..., TargetContext], annotations: dict[str, str], labels: dict[str, str], env: dict[str, str]
) -> None:
    annotations.pop("modelyard.dev/skip", None)
    made = context()
    kubernetes(made, annotations=annotations, labels=labels, env=env)
    assert {one["name"]: one["value"] for one in pod(made)["containers"][0].get("env", [])} == env
    for one in objects(made).values():
        assert annotations.items() <= one["metadata"].get("annotations", {}).items()
        assert labels.items() <= one["metadata"]["labels"].items()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_text_in_any_parameter_is_right_or_refused_and_changes_no_structure(
    context: Callable[..., TargetContext], accept: Callable[..., None], data: st.DataObject
) -> None:
    keys = (
        "namespace",
        "auth_secret",
        "tls_secret",
        "ingress_class",
        "ingress_tls_secret",
        "priority_class",
        "cpu",
        "memory",
        "tmp_size",
        "name",
        "gpu_resource",
        "tls_server_name",
    )
    around = {"ingress_host": "a.example", "gpus": 1, "service_monitor": True}
    key = data.draw(st.sampled_from(keys))
    text = data.draw(TEXT)
    made = context(version=data.draw(TEXT))
    refused = ""
    try:
        accept("target", "kubernetes", **around, **{key: text})
    except ConfigError as exc:
        refused = str(exc)
    if refused:
        assert refused.startswith((f"here: key '{key}'", f"here: key '{key}_limit'"))  # a request above its limit
    else:
        kubernetes(made, **around, **{key: text})
        assert len(objects(made)) == 9


QUANTITY = "it is not a quantity above 0\n  allowed: a number above 0 with a suffix"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"namespace": "My Space"},
            "'namespace': 'My Space' is not allowed: 'My Space' is not a DNS label\n  allowed: lower",
        ),
        (
            {"create_namespace": True},
            "'create_namespace': True is not allowed: it needs a namespace\n  allowed with: namespace",
        ),
        ({"memory": "256 MB"}, f"'memory': '256 MB' is not allowed: {QUANTITY}"),
        ({"memory": "256MB"}, f"'memory': '256MB' is not allowed: {QUANTITY}"),
        ({"memory": "0"}, f"'memory': '0' is not allowed: {QUANTITY}"),
        (
            {"memory": "64Mi"},
            "'memory': '64Mi' is not allowed: 64Mi is too little for a worker of 56Mi and bodies of 8388608 bytes\n  give 110Mi or more",
        ),
        ({"cpu": "2"}, "'cpu_limit': '1' is not allowed: it is below cpu = '2'\n  allowed: '2' or more"),
        (
            {"workers": "auto", "cpu_limit": ""},
            "'workers': 'auto' is not allowed: without cpu_limit a pod has a worker for each cpu of its node",
        ),
        (
            {"workers": 3, "memory": "256Mi"},
            "'memory': '256Mi' is not allowed: 256Mi is too little for 3 workers of 56Mi",
        ),
        (
            {"memory": "1Gi", "memory_limit": "300Mi"},
            "'memory_limit': '300Mi' is not allowed: it is below memory = '1Gi'",
        ),
        (
            {"replicas": 9},
            "'max_replicas': 6 is not allowed: it is below replicas = 9\n  allowed: 9 (no autoscaler) or more",
        ),
        ({"kubernetes_version": "1.28"}, "'kubernetes_version': '1.28' is not allowed: no such version is known"),
        ({"kubernetes_version": "latest"}, "'kubernetes_version': 'latest' is not allowed"),
        ({"labels": {"team": "a b"}}, "'a b' is not a label's value"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "'app.kubernetes.io/name' is set by modelyard"),
        ({"annotations": {"a b": "c"}}, "'a b' is not a key"),
        ({"node_selector": {"gpu": "yes please"}}, "'yes please' is not a label's value"),
        ({"image_pull_secrets": ("A",)}, "'A' is not a DNS name"),
        ({"allow_namespaces": ("A",)}, "'A' is not a DNS label"),
        ({"name": "a" * 53}, "the names of the objects begin with it"),
        ({"env": {"1A": "x"}}, "'1A' is no variable"),
        ({"env": {"MODELYARD_PORT": "1"}}, "'MODELYARD_PORT' is set by modelyard\n  set port"),
        ({"env": {"MODELYARD_MAX_BACH": "1"}}, "no setting 'MODELYARD_MAX_BACH', did you mean 'MODELYARD_MAX_BATCH'?"),
        ({"env": {"A_FILE": "x"}, "env_from_secrets": {"A": "s/k"}}, "'A_FILE' is in env_from_secrets, too"),
        ({"env_from_secrets": {"A": "secret"}}, "A: 'secret' names no key of a Secret\n  allowed: 'SECRET/KEY'"),
        ({"spread_over": ("a b",)}, "'a b' is not a key"),
        ({"gpus": 1, "gpu_resource": "gpu"}, "it is not what a device plugin is called"),
        ({"allow_scrapers": ("monitoring",)}, "every namespace may send requests"),
        ({"service_monitor_labels": {"a": "b c"}}, "'b c' is not a label's value"),
        ({"tls_server_name": "a.example"}, "nobody asks for it"),
        (
            {"around": {"reads_settings": False}, "auth": False, "tls": False, "service_monitor": True},
            "'service_monitor': True is not allowed: the server of the runtime 'served' has its metrics elsewhere",
        ),
        ({"ingress_host": "https://a.example/x"}, "a host has no scheme 'https://'\n  allowed: 'a.example'"),
        ({"ingress_host": "a.example:80"}, "a host has neither port nor path\n  allowed: 'a.example'"),
        ({"ingress_host": "A_example"}, "it is not a DNS name\n  allowed: lower-case letters"),
        ({"port": 443}, "'port': 443 is not allowed: no such port"),
        ({"service_port": 70000}, "'service_port': 70000 is not allowed: there is no such port"),
        (
            {"proxy_image": "nginx"},
            "it has no effect: the runtime's server has a password and TLS of its own\n  remove it",
        ),
        (
            {"around": {"reads_settings": False}},
            "'proxy_image' is missing: the server of the runtime 'served' has neither password",
        ),
    ],
)
def test_what_kubernetes_does_not_allow_is_said_in_the_words_of_the_configuration(
    accept: Callable[..., None], params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", **params)
    assert said in str(caught.value)


def test_the_longest_name_that_a_project_may_have_fits_every_object(context: Callable[..., TargetContext]) -> None:
    made = context(name="a" * 52)
    kubernetes(made, **ALL)
    assert looked_at(made) == Checked(9, 0)


def test_all_that_is_wrong_is_said_at_once(accept: Callable[..., None]) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", memory="256MB", namespace="My NS", replicas=9)
    assert [line.split("'")[1] for line in str(caught.value).splitlines()[::2]] == [
        "namespace",
        "max_replicas",
        "memory",
    ]


def test_what_is_left_out_is_a_quantity(built_ins: Plugins) -> None:
    parameters = built_ins.get("target", "kubernetes", "test").parameters
    assert {key: parameters[key].default for key in _QUANTITIES} == _QUANTITIES
    for value in filter(None, _QUANTITIES.values()):
        assert (quantity(value) or 0) > 0


@pytest.mark.parametrize("user", ["root", "0:0", "65532", "app:app", ""])
def test_an_image_without_a_numeric_user_is_refused(context: Callable[..., TargetContext], user: str) -> None:
    image = msgspec.structs.replace(context().image, user=user)
    with pytest.raises(ConfigError, match="the image runs as"):
        kubernetes(context(image=image))


# --- a project's own templates


def test_a_project_adds_to_a_block_of_the_built_in_template(context: Callable[..., TargetContext]) -> None:
    made = context()
    override = made.project / "templates/kubernetes/deployment.yaml.j2"
    override.parent.mkdir(parents=True)
    block = "{% block pod %}\n      tolerations: [{key: gpu, operator: Exists}]\n{% endblock %}\n"
    override.write_text('{% extends "builtin/kubernetes/deployment.yaml.j2" %}\n' + block)
    kubernetes(made)
    assert pod(made)["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_an_override_that_breaks_a_rule_stops_the_stage(context: Callable[..., TargetContext]) -> None:
    made = context()
    override = made.project / "templates/kubernetes/deployment.yaml.j2"
    override.parent.mkdir(parents=True)
    block = "{% block pod %}\n      hostNetwork: true\n{% endblock %}\n"
    override.write_text('{% extends "builtin/kubernetes/deployment.yaml.j2" %}\n' + block)
    kubernetes(made)
    with pytest.raises(StageFailed, match=r"Deployment/digits: hostNetwork is set \[no-host-namespaces\]\n  remove"):
        looked_at(made)


def test_an_override_that_misspells_a_name_is_told_which(context: Callable[..., TargetContext]) -> None:
    made = context()
    override = made.project / "templates/kubernetes/service.yaml.j2"
    override.parent.mkdir(parents=True)
    override.write_text("\nport: {{ service_prt }}\n")
    with pytest.raises(
        TemplateError, match=r"service\.yaml\.j2:2: 'service_prt' is undefined, did you mean 'service_port'\?"
    ):
        kubernetes(made)


@pytest.mark.parametrize(("tls", "protocol"), [(True, "https"), (False, "kubernetes.io/h2c")])
def test_a_server_that_speaks_grpc_has_a_port_more(
    context: Callable[..., TargetContext], tls: bool, protocol: str
) -> None:
    image = msgspec.structs.replace(context().image, server=ServerFacts(grpc_port=8081))
    made, without = context(image=image), context()
    kubernetes(made, tls=tls)
    kubernetes(without, tls=tls)

    assert check(objects_in(read_folder(made.out)), image=made.image.reference) == []
    found, usual = objects(made), objects(without)
    scheme = "https" if tls else "http"
    assert pod(made)["containers"][0]["ports"] == [
        {"name": scheme, "containerPort": 8080, "protocol": "TCP"},
        {"name": "grpc", "containerPort": 8081, "protocol": "TCP"},
    ]
    opened = [(one["name"], one["port"], one["appProtocol"]) for one in found["Service"]["spec"]["ports"]]
    assert opened == [(scheme, 443 if tls else 80, scheme), ("grpc", 8081, protocol)]
    assert [one["port"] for one in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == [scheme, "grpc"]
    assert [one["name"] for one in usual["Service"]["spec"]["ports"]] == [scheme]
    probes = [pod(made)["containers"][0][f"{one}Probe"]["httpGet"]["port"] for one in ("liveness", "readiness")]
    assert probes == [scheme, scheme]
