from __future__ import annotations

from typing import Any

from modelyard.kubernetes.deploying.ownership import merged, owners, set_by_hand


def entry(manager: str, operation: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields, **more}


IMAGE: dict[str, Any] = {"f:spec": {"f:image": {}}}
NOTE: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:mine": {}}, "f:labels": {"f:team": {}}}}
SCALE = entry("kubectl", "Update", {"f:spec": {"f:replicas": {}}}, subresource="scale")
STATUS = entry("kubectl", "Update", {"f:status": {"f:phase": {}}}, subresource="status")


def live(*entries: dict[str, Any], kind: str = "Deployment") -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"managedFields": list(entries)}}


def test_fields_set_by_hand_come_into_one_name_and_notes_stay_a_persons() -> None:
    by_hand = entry("kubectl-edit", "Update", {**IMAGE, **NOTE})
    own = entry("kubectl", "Apply", {"f:spec": {"f:port": {}}})
    found = merged([own, by_hand, SCALE, STATUS])
    assert found == [
        {**own, "fieldsV1": {"f:spec": {"f:port": {}, "f:image": {}}}},
        {**by_hand, "fieldsV1": NOTE},
        SCALE,
        STATUS,
    ]


def test_what_an_earlier_version_applied_comes_whole() -> None:
    found = merged([entry("modelyard", "Apply", {**IMAGE, **NOTE})])
    assert found == [entry("kubectl", "Apply", {**IMAGE, **NOTE})]


def test_controllers_and_notes_are_no_fields_by_hand() -> None:
    assert set_by_hand(live(SCALE, STATUS, entry("kubectl-annotate", "Update", NOTE))) == []
    assert set_by_hand(live(entry("kube-controller-manager", "Update", IMAGE), entry("helm", "Apply", IMAGE))) == []
    assert set_by_hand(live(entry("kubectl-set", "Update", IMAGE))) == ["kubectl-set"]
    assert set_by_hand(live(entry("kubectl-create", "Update", IMAGE), kind="Namespace")) == []


def test_the_owners_of_a_field() -> None:
    thing = live(SCALE, entry("kubectl", "Apply", IMAGE), entry("other", "Apply", {"f:spec": {"f:replicas": {}}}))
    assert owners(thing, "spec", "replicas") == {"kubectl", "other"}
    assert owners(thing, "spec", "nothing") == set()
