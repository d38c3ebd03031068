from __future__ import annotations

from typing import Any

import pytest
from tests.kubernetes import (
    test_event_rules,
    test_metadata_rules,
    test_pod_rules,
    test_route_rules,
    test_run_rules,
    test_wiring_rules,
)
from tests.kubernetes.changes import IMAGE

from modelyard.errors import StageFailed
from modelyard.kubernetes.checking import check, enforce
from modelyard.kubernetes.findings import RULES, Finding

WARNING = Finding("replicas", "warning", "Deployment/a", "runs 1 replica", "run 2")
ERROR = Finding("seccomp", "error", "Deployment/a", "no profile", "set one")


def test_the_good_objects_break_no_rule(good: list[dict[str, Any]]) -> None:
    assert check(good, image=IMAGE) == []


def test_every_rule_has_an_object_that_breaks_it() -> None:
    tables = (test_pod_rules, test_run_rules, test_wiring_rules, test_route_rules, test_metadata_rules)
    cases = [*(name for table in tables for name, _ in table.BROKEN), *(name for name, _ in test_event_rules.BROKEN)]
    assert set(cases) | {"sleep-known"} == set(RULES)


def test_warnings_are_logged_and_errors_stop_the_stage() -> None:
    said: list[str] = []
    enforce([WARNING], said.append)
    assert said == ["warning: Deployment/a: runs 1 replica [replicas]\n  run 2"]
    with pytest.raises(StageFailed, match=r"break 1 rule:\nDeployment/a: no profile \[seccomp\]\n  set one"):
        enforce([WARNING, ERROR], said.append)


@pytest.mark.parametrize("document", [None, [], "text", {}, {"apiVersion": "v1"}, {"apiVersion": 1, "kind": "Service"}])
def test_a_document_that_is_no_object_is_an_error(document: object) -> None:
    assert "object" in {finding.rule for finding in check([document])}


def test_errors_come_first(good: list[dict[str, Any]]) -> None:
    good.reverse()
    good[0]["metadata"]["name"] = "Bad"
    severities = [finding.severity for finding in check(good)]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}
