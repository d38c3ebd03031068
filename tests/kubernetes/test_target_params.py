from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest

from modelyard.kubernetes.parameters import problems
from modelyard.kubernetes.target_params import KubernetesParams

USED: dict[str, Any] = {
    "replicas": 1,
    "scale_on": [{"type": "cpu", "metadata": {"value": "70"}}],
    "env": {"A": "1"},
    "workers": "auto",
    "gateway_weights": {"digits": 90, "next": 10},
    "affinity": {"nodeAffinity": {}},
    "spread_over": [],
}


def test_what_is_left_out_is_allowed() -> None:
    assert list(problems(KubernetesParams())) == []


def test_a_table_is_read_as_its_types_and_written_as_it_was() -> None:
    read = msgspec.convert(USED, KubernetesParams)
    assert read == KubernetesParams(**{**USED, "scale_on": tuple(USED["scale_on"]), "spread_over": ()})
    assert msgspec.json.decode(msgspec.json.encode(read), type=KubernetesParams) == read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("replicas", 0),
        ("replicas", True),
        ("events_per_replica", -1),
        ("gpus", -1),
        ("startup_s", 0),
        ("drain_s", -1),
        ("workers", 0),
        ("workers", "many"),
        ("log_level", "loud"),
        ("image_reference", "latest"),
        ("image_pull_policy", "always"),
        ("env", {"A": 1}),
        ("allow_namespaces", "a"),
        ("tls", 1),
        ("scale_on", [["cpu"]]),
    ],
)
def test_what_is_of_another_type_or_below_its_least_is_refused(key: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{key}"):
        msgspec.convert({key: value}, KubernetesParams)


def test_a_time_in_which_nothing_can_happen_is_not_meant_by_zero() -> None:
    read = msgspec.convert({"drain_s": 0, "threads": 0, "port": 0, "events_jobs": 0}, KubernetesParams)
    assert (read.drain_s, read.threads, read.port, read.events_jobs) == (0, 0, 0, 0)


def test_a_service_is_safe_unless_one_says_otherwise() -> None:
    p = KubernetesParams()
    assert (p.auth, p.tls, p.network_policy, p.force_conflicts) == (True, True, True, False)
    assert p.image_reference == "digest"
    assert p.replicas >= 2, "one may end while another serves"
    assert p.max_replicas > p.replicas


def test_each_parameter_is_told_of_in_one_line_of_its_own() -> None:
    from modelyard.kubernetes.knative_params import KnativeParams

    for kind in (KubernetesParams, KnativeParams):
        told = (kind.__doc__ or "").partition("Attributes:\n")[2].splitlines()
        names = [line.strip().partition(":")[0] for line in told if line.startswith(" " * 8) and line[8] != " "]
        assert names == list(get_type_hints(kind))
