from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kubernetes.objects import POD_OWNERS, Bundle, get, items, kind, label, mapping, selects, text

LABELS = {"app": "digits"}
SPEC = {"containers": [{"name": "server"}, {}], "initContainers": [{"name": "first"}]}
TEMPLATE = {"metadata": {"labels": LABELS, "annotations": {"a": "b"}}, "spec": SPEC}
VERSIONS = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1", "keda.sh/ScaledJob": "keda.sh/v1alpha1"}


def owner(which: str) -> dict[str, Any]:
    """An object of the kind that describes a pod."""
    described: dict[str, Any] = {"spec": {"template": TEMPLATE}}
    if which == "Pod":
        described = TEMPLATE
    elif which == "CronJob":
        described = {"spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}}
    elif which == "keda.sh/ScaledJob":
        described = {"spec": {"jobTargetRef": {"template": TEMPLATE}}}
    head = {"apiVersion": VERSIONS.get(which, "apps/v1"), "kind": which.rpartition("/")[2]}
    return {**described, **head}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.sampled_from("abc"), max_size=3))
def test_what_is_of_another_shape_reads_as_empty(value: Any, keys: list[str]) -> None:
    found = get(value, *keys)
    assert mapping(value, *keys) == (found if isinstance(found, dict) else {})
    assert items(value, *keys) == (found if isinstance(found, list) else [])
    assert text(value, *keys) == (found if isinstance(found, str) else "")


def test_a_value_is_found_by_its_path() -> None:
    thing = {"a": {"b": {"c": 0}}, "l": [1]}
    assert get(thing, "a", "b", "c") == 0
    assert get(thing) is thing
    assert (get(thing, "a", "x", "c"), get(thing, "l", "a"), get(None, "a")) == (None, None, None)


def test_a_kind_of_others_is_told_with_its_group() -> None:
    assert kind({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}) == "keda.sh/ScaledObject"
    assert kind({"apiVersion": "serving.knative.dev/v1", "kind": "Service"}) == "serving.knative.dev/Service"
    assert (kind({"kind": "Service"}), kind({}), kind({"apiVersion": 1, "kind": []})) == ("Service", "", "")


def test_an_object_is_called_by_its_kind_and_name() -> None:
    assert label({"kind": "Service", "metadata": {"name": "digits"}}) == "Service/digits"
    assert (label({"kind": "Service"}), label(None)) == ("Service/(no name)", "object/(no name)")


def test_a_selector_selects_what_has_all_of_its_labels() -> None:
    labels = {"a": "1", "b": "2"}
    assert [selects(one, labels) for one in ({"a": "1"}, labels)] == [True, True]
    assert [selects(one, labels) for one in ({"a": "2"}, {"a": "1", "c": "3"}, {}, None, ["a"])] == [False] * 5


@pytest.mark.parametrize("which", POD_OWNERS)
def test_a_pod_is_found_in_whatever_describes_it(which: str) -> None:
    made = owner(which)
    [pod] = Bundle([{"kind": "Service"}, made]).pods
    assert (pod.owner, pod.spec, pod.labels, pod.annotations) == (made, SPEC, LABELS, {"a": "b"})
    assert pod.long_running is (which not in ("Job", "CronJob", "keda.sh/ScaledJob"))


def test_a_kind_of_others_that_has_a_pods_owners_name_describes_none() -> None:
    assert Bundle([{**owner("Deployment"), "apiVersion": "example.org/v1"}]).pods == []


def test_a_pod_that_is_misshapen_has_nothing() -> None:
    [pod] = Bundle([{"apiVersion": "v1", "kind": "Pod", "metadata": 3, "spec": {"containers": {}}}]).pods
    assert (pod.containers, pod.labels, pod.annotations) == ([], {}, {})


def test_init_containers_come_first_and_each_has_a_name_for_messages() -> None:
    [pod] = Bundle([owner("Deployment")]).pods
    found = [(one.name, one.init) for one in pod.containers]
    assert found == [("first", True), ("server", False), ("(no name)", False)]


def test_the_containers_own_security_counts_before_the_pods() -> None:
    inner = [{"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}, {}]
    spec = {"containers": inner, "securityContext": {"runAsUser": 7, "runAsNonRoot": True}}
    [pod] = Bundle([{"apiVersion": "v1", "kind": "Pod", "spec": spec}]).pods
    own, other = pod.containers
    assert (own.security("runAsUser"), own.security("runAsNonRoot")) == (0, False)
    assert (other.security("runAsUser"), other.security("runAsNonRoot")) == (7, True)
    assert other.security("seccompProfile") is None


def test_objects_are_found_by_kind_name_and_selector() -> None:
    one, two = ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}} for name in "ab")
    other = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "b"}}
    bundle = Bundle([other, one, two, owner("Deployment"), owner("Job")])
    assert bundle.of("Service") == [one, two]
    assert bundle.of("Service", "serving.knative.dev/Service") == [other, one, two]
    assert bundle.find("Service", "b") is two
    assert bundle.find("Service", "c") is None
    assert len(bundle.selected(LABELS)) == 2
    assert bundle.selected({"app": "other"}) == bundle.selected({}) == []


@pytest.mark.parametrize(
    ("version", "own"),
    [
        ("v1", True),
        ("apps/v1", True),
        ("rbac.authorization.k8s.io/v1", True),
        ("networking.k8s.io/v1", True),
        ("gateway.networking.k8s.io/v1", False),
        ("snapshot.storage.k8s.io/v1", False),
        ("monitoring.coreos.com/v1", False),
    ],
)
def test_what_is_installed_into_a_cluster_is_not_kubernetes_own(version: str, own: bool) -> None:
    assert ("/" not in kind({"apiVersion": version, "kind": "A"})) is own
