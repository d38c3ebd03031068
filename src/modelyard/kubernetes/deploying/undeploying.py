"""Take away what was deployed: all of it that modelyard made, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.cluster import reach
from modelyard.kubernetes.deploying.earlier import deployed, remove
from modelyard.kubernetes.deploying.identity import namespace_of, service_name
from modelyard.kubernetes.deploying.records import TARGET, recorded
from modelyard.kubernetes.deploying.workloads import DEPLOYMENT
from modelyard.kubernetes.kubectl import Kubectl
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.objects import label, text

if TYPE_CHECKING:
    from modelyard.contexts import DeployContext
    from modelyard.kubernetes.deploying.session import DeployParams
    from modelyard.kubernetes.deploying.workloads import Workload


def undeploy(context: DeployContext, params: DeployParams, workload: Workload = DEPLOYMENT) -> None:
    """Remove what modelyard deployed of the service; Secrets and the Namespace stay, which may hold others' things.

    Args:
        context: what was rendered last, which says what the service is called and where it is.
        params: those of the target's parameters that count here.
        workload: what the service runs as.

    Raises:
        ToolError: the cluster does not answer or says no, or the person does.
    """
    documents = objects_in(read_folder(context.rendered.folder))
    workloads = workload.of(documents)
    name = service_name(workloads) or context.name
    namespace = namespace_of(documents) or params.namespace
    kubectl = Kubectl.find(params.kube_context, namespace)
    cluster = reach(kubectl)
    context.say(f"{context.task} -> {cluster}")
    live = kubectl.read("get", workload.resource, text(next(iter(workloads), {}), "metadata", "name") or name)
    _refuse_other(context, live)
    found = deployed(kubectl, name, workload.beside, live, context.say)
    for one in found:
        context.say(f"  remove    {label(one)}")
    if not found:
        context.say(f"nothing of {name!r} is deployed there")
    elif context.dry_run:
        context.say("dry run: nothing was removed")
    elif not context.agreed(f"remove {len(found)} objects from {cluster}?"):
        msg = f"{context.task}: not confirmed, so nothing was removed\n  without a terminal: doit {context.task} --yes"
        raise ToolError(msg)
    else:
        remove(kubectl, found)
        context.say(f"removed {len(found)} objects; the Namespace and the Secrets are left")


def _refuse_other(context: DeployContext, live: object) -> None:
    other = recorded(live, TARGET)
    if other not in ("", context.target):
        msg = (
            f"{label(live)}: deployed by the target {other!r}, not by {context.target!r}\n  run: doit undeploy:{other}"
        )
        raise ToolError(msg)
