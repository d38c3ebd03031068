from __future__ import annotations

import copy
import json
import sys
from importlib import resources
from typing import Any

import jsonschema
import pytest
from tests.kubernetes.changes import Objects, of

from modelyard.kubernetes.schema import schema_findings

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a"},
    "spec": {"containers": [{"name": "server", "image": "a:1"}]},
}


def test_a_misspelt_field_is_found_by_the_schema(good: list[dict[str, Any]]) -> None:
    pytest.importorskip("kubernetes_validate")
    next(one for one in good if one["kind"] == "Service")["spec"]["selektor"] = {}
    (finding,) = schema_findings(good, "1.32")
    assert "selektor" in finding.message
    assert finding.subject == "Service/digits"


def test_a_kind_that_the_version_does_not_have_is_found(good: list[dict[str, Any]]) -> None:
    pytest.importorskip("kubernetes_validate")
    good[0]["apiVersion"] = "v2"
    assert [finding.rule for finding in schema_findings(good, "1.32")] == ["schema"]


def test_a_version_newer_than_the_schemas_is_checked_with_the_newest(good: list[dict[str, Any]]) -> None:
    pytest.importorskip("kubernetes_validate")
    assert schema_findings(good, "1.99") == []


@pytest.mark.parametrize(
    ("which", "path", "value", "said"),
    [
        ("HTTPRoute", "hostname", ["a.example"], "'hostname' was unexpected"),
        ("HTTPRoute", "hostnames", ["A_b"], "'A_b' does not match"),
        ("HTTPRoute", "parentRefs", [{"namespace": "infra"}], "'name' is a required property"),
        ("BackendTLSPolicy", "targetRefs", [], "[] "),
        ("BackendTLSPolicy", "validation", {}, "'hostname' is a required property"),
    ],
)
def test_the_schema_of_the_gateway_api_is_held_to(
    good: Objects, which: str, path: str, value: object, said: str
) -> None:
    pytest.importorskip("kubernetes_validate")
    assert schema_findings(good, "1.32") == []
    of(good, which)["spec"][path] = value
    [finding] = schema_findings(good, "1.32")
    assert (finding.subject, said in finding.message) == (f"{which}/digits", True), finding.message


def test_a_finding_says_where_what_and_where_more_is_to_be_read() -> None:
    pytest.importorskip("kubernetes_validate")
    thing = copy.deepcopy(POD)
    thing["spec"]["containers"].append({"name": 3, "image": "a:1"})
    [finding] = schema_findings([POD, thing], "1.32")
    assert (finding.rule, finding.severity, finding.subject) == ("schema", "error", "Pod/a")
    assert finding.message.startswith("spec.containers.1.name: 3 is not of type")
    assert finding.remedy == "see `kubectl explain pod`"


def test_what_is_wrong_with_the_object_itself_is_said_of_it() -> None:
    pytest.importorskip("kubernetes_validate")
    [finding] = schema_findings([{**POD, "specc": {}}], "1.32")
    assert finding.message.startswith("the object: ")
    assert "specc" in finding.message


def test_kinds_of_others_are_left_out() -> None:
    pytest.importorskip("kubernetes_validate")
    thing = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": 3}, "spec": 4}
    unknown = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute", "metadata": {"name": 3}}
    assert schema_findings([thing, unknown], "1.32") == []


def test_what_another_version_does_not_have_is_named(good: Objects) -> None:
    pytest.importorskip("kubernetes_validate")
    thing = {"apiVersion": "autoscaling/v3", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}}
    [finding] = schema_findings([thing], "1.32")
    assert finding.message == "Kubernetes 1.32 has no HorizontalPodAutoscaler in 'autoscaling/v3'"
    assert finding.remedy == "mend apiVersion and kind"


def test_without_the_schemas_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_validate", None)
    assert schema_findings([{"apiVersion": "v2", "kind": "Pod"}], "1.32") == []


def test_the_schemas_that_are_shipped_are_schemas_that_refuse_unknown_fields() -> None:
    text = resources.files("modelyard.kubernetes").joinpath("schemas", "gateway.json").read_text(encoding="utf-8")
    shipped = json.loads(text)
    assert {name.rpartition(" ")[2] for name in shipped} >= {"HTTPRoute", "BackendTLSPolicy"}
    for schema in shipped.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
