"""What KEDA counts at each broker; the objects are tried in tests/plugins/targets/test_kubernetes_scaling.py."""

from __future__ import annotations

from modelyard.kubernetes.event_triggers import secrets, triggers
from modelyard.kubernetes.target_params import KubernetesParams

PLACES = {"input": "a.in", "group": "a"}


def test_the_stream_of_nats_is_that_of_the_subject_and_no_secret_is_needed() -> None:
    params = KubernetesParams(
        events_url="nats://n", events_per_replica=8, events_monitor="n:8222", events_secret="broker"
    )
    [one] = triggers(params, "n:4222", PLACES)
    assert (one["metadata"]["stream"], one["metadata"]["lagThreshold"]) == ("a-in", "8")
    assert secrets(params) == {}


def test_redis_is_asked_twice_with_the_servers_secrets() -> None:
    params = KubernetesParams(events_url="redis://r", events_per_replica=8, events_tls_secret="pair")
    counted = [set(one["metadata"]) & {"lagCount", "pendingEntriesCount"} for one in triggers(params, "r:6379", PLACES)]
    assert counted == [{"lagCount"}, {"pendingEntriesCount"}]
    assert secrets(params) == {"cert": "pair/tls.crt", "key": "pair/tls.key"}


def test_kafka_is_asked_by_the_groups_lag_and_shown_the_password_as_the_server_shows_it() -> None:
    params = KubernetesParams(events_url="kafkas://k", events_per_replica=8, events_secret="b")
    [one] = triggers(params, "k:9093", PLACES | {"sasl": "scram-sha-512"})
    assert (one["type"], one["metadata"]["lagThreshold"]) == ("kafka", "8")
    assert (one["metadata"]["tls"], one["metadata"]["sasl"]) == ("enable", "scram_sha512")
    [bare] = triggers(KubernetesParams(events_url="kafka://k", events_per_replica=8), "k:9092", PLACES)
    assert not {"tls", "sasl"} & set(bare["metadata"])


def test_rabbitmq_is_asked_by_its_management_which_counts_what_is_not_acknowledged() -> None:
    params = KubernetesParams(events_url="amqps://r", events_per_replica=8, events_monitor="r:15671", events_secret="b")
    [one] = triggers(params, "r:5671", PLACES)
    assert (one["metadata"]["host"], one["metadata"]["protocol"]) == ("https://r:15671/", "http")
    assert secrets(params) == {"username": "b/username", "password": "b/password"}
