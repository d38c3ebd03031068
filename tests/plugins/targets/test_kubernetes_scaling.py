"""Pods by what waits at a broker: KEDA's objects in place of the autoscaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.plugins.targets.definitions import needs_definitions, problems
from tests.plugins.targets.kubernetes_objects import looked_at, objects
from tests.targets import kubernetes

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError
from modelyard.kubernetes.config_names import named_by_content, rename_configs
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.parameters import problems as of_parameters
from modelyard.kubernetes.rendered import Checked
from modelyard.kubernetes.target_params import KubernetesParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext

NATS: dict[str, Any] = {
    "type": "nats-jetstream",
    "metadata": {
        "natsServerMonitoringEndpoint": "nats.events:8222",
        "account": "$G",
        "stream": "DIGITS",
        "consumer": "digits",
        "lagThreshold": "64",
    },
}
REDIS = tuple(
    {
        "type": "redis-streams",
        "metadata": {"address": "redis:6379", "stream": "in", "consumerGroup": "digits", key: "64"},
    }
    for key in ("lagCount", "pendingEntriesCount")
)


@pytest.mark.parametrize("triggers", [(NATS,), REDIS])
def test_keda_takes_the_place_of_the_autoscaler(
    context: Callable[..., TargetContext], triggers: tuple[dict[str, Any], ...]
) -> None:
    made = context()
    kubernetes(made, namespace="digits", scale_on=triggers)
    found = objects(made)
    assert "HorizontalPodAutoscaler" not in found
    assert "TriggerAuthentication" not in found
    assert "replicas" not in found["Deployment"]["spec"]
    spec = found["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
    assert spec["triggers"] == [*triggers, cpu]
    assert looked_at(made) == Checked(len(found), 0)


NATS_URL, REDIS_URL, RABBIT_URL = "tls://nats.messaging:4222", "rediss://redis.messaging", "amqps://rabbit.messaging"
MONITOR = "nats.messaging:8222"


def taking_events(context: Callable[..., TargetContext]) -> TargetContext:
    """A context whose image takes events from a broker."""
    schemes = {"nats": 4222, "tls": 4222, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "kafkas": 9093}
    places = {"input": "digits.in", "output": "digits.out", "dead_letter": "digits.in.dead", "group": "digits"}
    server = ServerFacts(event_schemes=schemes, event_places=places)
    return context(image=msgspec.structs.replace(context().image, server=server))


def test_pods_are_counted_by_the_events_that_wait_at_nats(context: Callable[..., TargetContext]) -> None:
    made = taking_events(context)
    where = {"events_url": NATS_URL, "events_secret": "broker", "events_per_replica": 64, "events_monitor": MONITOR}
    kubernetes(made, namespace="digits", scale_to_zero=True, **where)
    found = objects(made)
    assert "TriggerAuthentication" not in found  # the monitoring port asks for no password
    first, last = found["ScaledObject"]["spec"]["triggers"]
    assert first == {
        "type": "nats-jetstream",
        "metadata": {
            "natsServerMonitoringEndpoint": MONITOR,
            "account": "$G",
            "stream": "digits-in",
            "consumer": "digits",
            "lagThreshold": "64",
        },
    }
    assert last["type"] == "cpu"
    assert looked_at(made) == Checked(len(found), 0)


@needs_definitions
def test_pods_are_counted_by_the_events_that_wait_at_redis_and_by_those_of_pods_that_are_gone(
    context: Callable[..., TargetContext],
) -> None:
    made = taking_events(context)
    secrets = {"events_secret": "broker", "events_ca_secret": "broker-ca"}
    kubernetes(made, namespace="digits", events_url=REDIS_URL, events_per_replica=8, **secrets)
    found = objects(made)
    where = {"address": "redis.messaging:6379", "stream": "digits.in", "consumerGroup": "digits", "enableTLS": "true"}
    assert [(one.get("authenticationRef"), one["metadata"]) for one in found["ScaledObject"]["spec"]["triggers"]] == [
        ({"name": "digits"}, {**where, "lagCount": "8"}),
        ({"name": "digits"}, {**where, "pendingEntriesCount": "8"}),
        (None, {"value": "70"}),
    ]
    told = [tuple(one.values()) for one in found["TriggerAuthentication"]["spec"]["secretTargetRef"]]
    assert told == [
        ("username", "broker", "username"),
        ("password", "broker", "password"),
        ("ca", "broker-ca", "ca.crt"),
    ]
    assert problems(found["ScaledObject"], "keda.sh_scaledobjects.yaml") == []
    assert problems(found["TriggerAuthentication"], "keda.sh_triggerauthentications.yaml") == []
    assert looked_at(made) == Checked(len(found), 0)


@needs_definitions
def test_pods_are_counted_by_the_events_that_wait_at_rabbitmq(context: Callable[..., TargetContext]) -> None:
    made = taking_events(context)
    secrets = {"events_secret": "broker", "events_ca_secret": "broker-ca", "scale_secrets": {"tls": "keda/tls"}}
    where = {"events_url": RABBIT_URL, "events_per_replica": 8, "events_monitor": "rabbit.messaging:15671"}
    kubernetes(made, namespace="digits", **where, **secrets)
    found = objects(made)
    first, _ = found["ScaledObject"]["spec"]["triggers"]
    host = {"host": "https://rabbit.messaging:15671/", "protocol": "http"}
    counted = {**host, "mode": "QueueLength", "queueName": "digits.in", "value": "8"}
    assert first == {"type": "rabbitmq", "authenticationRef": {"name": "digits"}, "metadata": counted}
    told = [one["parameter"] for one in found["TriggerAuthentication"]["spec"]["secretTargetRef"]]
    assert told == ["username", "password", "ca", "tls"]
    assert problems(found["ScaledObject"], "keda.sh_scaledobjects.yaml") == []
    assert problems(found["TriggerAuthentication"], "keda.sh_triggerauthentications.yaml") == []
    assert looked_at(made) == Checked(len(found), 0)


@needs_definitions
def test_jobs_answer_the_events_and_the_pods_do_not(context: Callable[..., TargetContext]) -> None:
    made = taking_events(context)
    secrets = {"events_secret": "broker", "env_from_secrets": {"TOKEN": "backend/token"}}
    where = {"events_url": REDIS_URL, "events_per_replica": 8, "events_jobs": 5}
    kubernetes(made, namespace="digits", **where, **secrets)
    everything = objects_in(read_folder(made.out))
    found = {f"{one['kind']}/{one['metadata']['name']}": one for one in everything}
    job = found["ScaledJob/digits-events"]
    assert problems(job, "keda.sh_scaledjobs.yaml") == []
    assert problems({**job, "spec": {**job["spec"], "specc": 1}}, "keda.sh_scaledjobs.yaml") != []
    assert looked_at(made) == Checked(len(everything), 0)
    assert not [name for name in found if name.startswith("ScaledObject/")]
    assert found["HorizontalPodAutoscaler/digits"]["spec"]["scaleTargetRef"]["name"] == "digits"
    config = next(one["data"] for name, one in found.items() if name.startswith("ConfigMap/"))
    assert "MODELYARD_EVENTS_URL" not in config

    spec = job["spec"]
    assert spec["maxReplicaCount"] == 5
    assert [one["type"] for one in spec["triggers"]] == ["redis-streams"] * 2
    assert {one["authenticationRef"]["name"] for one in spec["triggers"]} == {"digits"}
    template = spec["jobTargetRef"]["template"]
    server = template["spec"]["containers"][0]
    told = {one["name"]: one["value"] for one in server["env"]}
    assert server["args"] == ["--events-once"]
    assert (told["MODELYARD_EVENTS_URL"], told["MODELYARD_HOST"]) == (REDIS_URL, "127.0.0.1")
    assert not {name for name in told if "TLS_" in name} | {"MODELYARD_PASSWORD_FILE"} & set(told)
    paths = [one["mountPath"] for one in server["volumeMounts"]]
    assert all(any(told[name].startswith(path) for path in paths) for name in told if name.endswith("_FILE"))

    labels = template["metadata"]["labels"]
    selectors = {
        "Service/digits": found["Service/digits"]["spec"]["selector"],
        "PodDisruptionBudget/digits": found["PodDisruptionBudget/digits"]["spec"]["selector"]["matchLabels"],
        "NetworkPolicy/digits": found["NetworkPolicy/digits"]["spec"]["podSelector"]["matchLabels"],
    }
    assert not [name for name, selector in selectors.items() if selector.items() <= labels.items()]
    [setup] = [one for name, one in found.items() if name.startswith("Job/digits-events-setup-")]
    first, once = setup["spec"]["template"]["spec"], template["spec"]
    assert first["containers"][0]["args"] == ["--events-setup"]
    assert (first.pop("restartPolicy"), once.pop("restartPolicy")) == ("OnFailure", "Never")
    del first["containers"][0]["args"], server["args"]
    assert (first, setup["spec"]["template"]["metadata"]) == (once, template["metadata"])

    policy = found["NetworkPolicy/digits-events"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy.get("ingress") is None
    assert [one["port"] for one in policy["egress"][0]["ports"]] == [53, 53, 6379]
    assert found["NetworkPolicy/digits"]["spec"].get("egress") is None


def test_the_job_that_sets_up_is_another_when_anything_in_it_is(
    context: Callable[..., TargetContext],
) -> None:
    def name_of(**params: Any) -> str:
        made = taking_events(context)
        kubernetes(made, **jobs, **params)
        name: str = objects(made)["Job"]["metadata"]["name"]
        return name

    jobs = {"namespace": "digits", "events_url": REDIS_URL, "events_per_replica": 8, "events_jobs": 5}
    made = taking_events(context)
    kubernetes(made, **jobs)
    documents = objects_in(read_folder(made.out))
    names = named_by_content(documents)
    job = next(one for one in documents if one["kind"] == "Job")
    before = job["metadata"]["name"]
    assert before in names
    job["spec"]["backoffLimit"] = 7  # as a plugin may
    rename_configs(documents, names)
    assert job["metadata"]["name"] not in names
    assert job["metadata"]["name"].startswith("digits-events-setup-")

    assert before == name_of() == name_of(replicas=3)
    others = [name_of(), name_of(env={"A": "1"}), name_of(tmp_size="8Mi"), name_of(name="d" * 52)]
    assert len(set(others)) == 4
    assert max(map(len, others)) <= 63


def test_an_image_of_a_tag_is_said_of_the_jobs_too(context: Callable[..., TargetContext]) -> None:
    made = taking_events(context)
    jobs = {"events_url": REDIS_URL, "events_per_replica": 8, "events_jobs": 5}
    kubernetes(made, namespace="digits", image_reference="tag", network_policy=False, **jobs)
    assert looked_at(made).warnings == 6  # nothing bounds the traffic of the pods, nor of either Job


@needs_definitions
def test_pods_are_counted_by_the_events_that_wait_at_kafka(context: Callable[..., TargetContext]) -> None:
    made = taking_events(context)
    secrets = {"events_secret": "broker", "events_ca_secret": "broker-ca"}
    kubernetes(made, namespace="digits", events_url="kafkas://kafka.messaging", events_per_replica=8, **secrets)
    found = objects(made)
    first, _ = found["ScaledObject"]["spec"]["triggers"]
    where = {"bootstrapServers": "kafka.messaging:9093", "consumerGroup": "digits", "topic": "digits.in"}
    how = {"offsetResetPolicy": "earliest", "tls": "enable", "sasl": "plaintext"}
    counted = {**where, **how, "lagThreshold": "8"}
    assert first == {"type": "kafka", "authenticationRef": {"name": "digits"}, "metadata": counted}
    told = [one["parameter"] for one in found["TriggerAuthentication"]["spec"]["secretTargetRef"]]
    assert told == ["username", "password", "ca"]
    assert problems(found["ScaledObject"], "keda.sh_scaledobjects.yaml") == []
    assert problems(found["TriggerAuthentication"], "keda.sh_triggerauthentications.yaml") == []
    assert looked_at(made) == Checked(len(found), 0)


@needs_definitions
def test_the_objects_are_what_kedas_definitions_allow(context: Callable[..., TargetContext]) -> None:
    made = context()
    secrets = {"username": "redis/user", "password": "redis/password"}
    kubernetes(made, namespace="digits", scale_on=REDIS, scale_secrets=secrets, scale_to_zero=True)
    found = objects(made)
    assert found["ScaledObject"]["spec"]["minReplicaCount"] == 0
    assert [one.get("authenticationRef") for one in found["ScaledObject"]["spec"]["triggers"]] == [
        {"name": "digits"}
    ] * 2 + [None]
    told = {
        one["parameter"]: f"{one['name']}/{one['key']}"
        for one in found["TriggerAuthentication"]["spec"]["secretTargetRef"]
    }
    assert told == secrets
    for kind, file in (
        ("ScaledObject", "keda.sh_scaledobjects.yaml"),
        ("TriggerAuthentication", "keda.sh_triggerauthentications.yaml"),
    ):
        assert problems(found[kind], file) == []
        assert problems({**found[kind], "spec": {**found[kind]["spec"], "specc": 1}}, file) != []


@pytest.mark.parametrize(
    ("params", "key", "said"),
    [
        ({"events_url": NATS_URL, "events_per_replica": 8}, "events_monitor", "by its monitoring port"),
        ({"events_url": NATS_URL, "events_per_replica": 8, "events_monitor": "nats"}, "events_monitor", "no address"),
        ({"events_url": REDIS_URL, "events_per_replica": 8, "events_monitor": MONITOR}, "events_monitor", "nobody"),
        ({"events_url": RABBIT_URL, "events_per_replica": 8}, "events_monitor", "asks RabbitMQ"),
        (
            {
                "events_url": RABBIT_URL,
                "events_per_replica": 8,
                "events_monitor": "rabbit:15671",
                "events_ca_secret": "broker-ca",
            },
            "scale_secrets",
            "only if a Secret tells it to",
        ),
        ({"events_url": "mqtt://broker", "events_per_replica": 8}, "events_per_replica", "not known to count"),
    ],
)
def test_what_cannot_be_counted_is_refused(params: dict[str, Any], key: str, said: str) -> None:
    found = [(one.key, one.why) for one in of_parameters(KubernetesParams(**params))]
    assert [name for name, _ in found] == [key]
    assert said in found[0][1]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"scale_on": [{"metadata": {}}]}, "is no trigger of KEDA's"),
        ({"scale_on": [{"type": "nats-jetstream"}]}, "is no trigger of KEDA's"),
        ({"scale_on": [{"type": "nats-jetstream", "metadata": {"lagThreshold": 64}}]}, "is no trigger of KEDA's"),
        ({"scale_on": [NATS], "max_replicas": 2}, "KEDA could add no pod"),
        ({"scale_on": [NATS], "scale_secrets": {"password": "nats"}}, "names no key of a Secret"),
        ({"scale_secrets": {"password": "nats/password"}}, "there is no ScaledObject"),
        ({"scale_to_zero": True}, "there is no ScaledObject"),
        ({"events_per_replica": 8}, "there is no broker"),
        ({"events_jobs": 8}, "nobody counts the events"),
        ({"events_per_replica": 8, "events_jobs": 8, "scale_to_zero": True}, "there is no ScaledObject"),
        ({"events_monitor": MONITOR}, "nobody asks there"),
    ],
)
def test_what_is_not_allowed_is_refused(accept: Callable[..., None], params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", **params)
    assert said in str(caught.value)
