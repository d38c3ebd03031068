"""A project's own templates in the place of the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.plugins.targets.kubernetes_objects import looked_at, pod
from tests.targets import kubernetes

from modelyard.errors import StageFailed
from modelyard.rendering.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext


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
