"""Deploy target `knative`: a Service of Knative that scales to zero, and a Trigger that brings it events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.contexts import Problem
from modelyard.kubernetes.knative_params import KnativeParams
from modelyard_plugins.support.kubectl import DEPLOY_ONLY, preflight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext, DeployContext, TargetContext
    from modelyard.hookspecs import RegisterTarget

_FILES = {
    "10-serviceaccount.yaml": "kubernetes/serviceaccount.yaml.j2",
    "15-networkpolicy.yaml": "kubernetes/networkpolicy.yaml.j2",
    "20-service.yaml": "knative/service.yaml.j2",
    "30-trigger.yaml": "knative/trigger.yaml.j2",
}
_KUSTOMIZATION = "kubernetes/kustomization.yaml.j2"


def knative(context: TargetContext, *, params: KnativeParams) -> None:
    """Objects for Knative Serving and Eventing, checked against their rules and schemas.

    Args:
        context: the image, the model's facts, and where to write
        params: the configuration
    """
    from modelyard.kubernetes.knative_values import values

    found = values(context, params)
    left_out = {"15-networkpolicy.yaml": not params.allow_namespaces, "30-trigger.yaml": not params.broker}
    files = [file for file in _FILES if not left_out.get(file)]
    for file in files:
        context.write(file, context.render(_FILES[file], **found))
    context.write("kustomization.yaml", context.render(_KUSTOMIZATION, files=files))


def check(context: CheckContext, *, params: KnativeParams) -> Iterator[Problem]:
    """Yield what Kubernetes or Knative does not allow, and a runtime whose server takes no events, or no tokens."""
    from modelyard.kubernetes.knative_values import problems
    from modelyard.kubernetes.parameters import several_problems

    yield from problems(params)
    yield from several_problems(params, context.models)
    if context.models and params.broker:
        why = "a server of several models answers no events: nothing says which model an event is for"
        yield Problem("broker", why, "remove it, or give the pipeline that answers them an image of its own")
    if params.traffic:
        from modelyard.kubernetes.routing import traffic_problems  # most give all to the latest

        yield from traffic_problems(params.traffic, params.name or context.name)
    if not context.reads_settings:
        why = f"the server of the runtime {context.runtime!r} takes no events, and asks for no password"
        yield Problem("name", why, "remove the target, or write one of your own")
    elif params.audience and not context.takes_tokens:
        why = f"the image of the runtime {context.runtime!r} cannot check tokens"
        yield Problem("audience", why, "set events_oidc = true in [tool.modelyard.runtime], or remove it")


def deploy(context: DeployContext, *, params: KnativeParams) -> None:
    """Apply the objects with kubectl, wait for what Knative says of them, and say what happened."""
    from modelyard.kubernetes.deploying.deploying import deploy as apply
    from modelyard.kubernetes.deploying.workloads import KNATIVE

    apply(context, params, KNATIVE)


def undeploy(context: DeployContext, *, params: KnativeParams) -> None:
    """Remove what was deployed."""
    from modelyard.kubernetes.deploying.undeploying import undeploy as remove
    from modelyard.kubernetes.deploying.workloads import KNATIVE

    remove(context, params, KNATIVE)


@hookimpl
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register the target."""
    register(
        "knative",
        knative,
        templates=(*_FILES.values(), _KUSTOMIZATION, "kubernetes/_metadata.yaml.j2"),
        deploy=deploy,
        undeploy=undeploy,
        deploy_only=DEPLOY_ONLY,
        tools=("jinja2",),
        check=check,
        preflight=preflight,
    )
