from __future__ import annotations

import pytest

from modelyard.kubernetes.deploying.applying import Conflict, conflicts

ONE = 'error: Apply failed with 1 conflict: conflict with "helm" using v1: .spec.ports[port=443,protocol="TCP"].targetPort'
SEVERAL = """error: Apply failed with 3 conflicts: conflicts with "kubectl" using apps/v1:
  - .spec.template.spec.containers[name="server"].envFrom
  - .spec.template.spec.containers[name="server"].ports[containerPort=9090,protocol="TCP"].name
  conflicts with "kubectl-set" using apps/v1:
  - .spec.template.spec.containers[name="server"].image"""
SCALED = 'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas'
AT = 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1 at 2026-11-28T05:00:00Z: .spec.replicas'


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (ONE, [("helm", 1)]),
        (SEVERAL, [("kubectl", 2), ("kubectl-set", 1)]),
        (SCALED, [("hpa", 1)]),
        (AT, [("kubectl", 1)]),
        ('Error from server: admission webhook "a.b" denied the request: conflict with "x"', []),
    ],
    ids=["one", "several", "subresource", "time", "other"],
)
def test_the_conflicts_of_a_refusal_are_read(refusal: str, expected: list[tuple[str, int]]) -> None:
    assert [(one.manager, len(one.fields)) for one in conflicts(refusal)] == expected


def test_a_conflict_has_its_fields() -> None:
    assert conflicts(SCALED) == [Conflict("hpa", (".spec.replicas",))]
