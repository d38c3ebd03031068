from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modelyard.kubernetes import knative_values
from modelyard.kubernetes.knative_params import KnativeParams
from modelyard.kubernetes.knative_values import problems
from modelyard.kubernetes.target_params import KubernetesParams

USED: dict[str, Any] = {
    "traffic": {"digits-00001": 90, "latest": 10},
    "broker": "default",
    "event_types": ["picture.seen"],
    "filters": [{"not": {"cesql": "false"}}],
    "dead_letter": "broker",
    "workers": "auto",
}


def test_what_is_left_out_is_allowed() -> None:
    assert list(problems(KnativeParams())) == []


def test_a_table_is_read_as_its_types_and_written_as_it_was() -> None:
    read = msgspec.convert(USED, KnativeParams)
    assert (read.event_types, read.filters) == (("picture.seen",), ({"not": {"cesql": "false"}},))
    assert msgspec.json.decode(msgspec.json.encode(read), type=KnativeParams) == read
    assert list(problems(read)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_scale", -1),
        ("max_scale", -1),
        ("concurrency", -1),
        ("timeout_s", 0),
        ("retries", -1),
        ("retry_delay_s", 0),
        ("workers", 0),
        ("traffic", {"latest": "all"}),
        ("event_types", "picture.seen"),
        ("filters", ["exact"]),
        ("log_level", "loud"),
    ],
)
def test_what_is_of_another_type_or_below_its_least_is_refused(key: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{key}"):
        msgspec.convert({key: value}, KnativeParams)


def test_no_pod_waits_for_nobody_and_no_event_is_taken_unless_one_says_so() -> None:
    p = KnativeParams()
    assert (p.min_scale, p.broker, p.public, p.auth) == (0, "", False, True)


def test_what_means_the_same_to_both_targets_has_the_same_type_and_the_same_default() -> None:
    one, other = ({f.name: f for f in msgspec.structs.fields(kind)} for kind in (KnativeParams, KubernetesParams))
    deploys = ("kube_context", "force_conflicts", "confirm", "rollout_timeout_s")
    for name in (*knative_values._SHARED, *deploys):
        assert (one[name].type, one[name].default) == (other[name].type, other[name].default), name
