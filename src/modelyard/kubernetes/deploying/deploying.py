"""Deploy objects: all of them are tried first, what changes is told, and nothing is applied if one is refused."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from modelyard.kubernetes.deploying.carrying_out import carry_out
from modelyard.kubernetes.deploying.cluster import reach
from modelyard.kubernetes.deploying.identity import namespace_of
from modelyard.kubernetes.deploying.looking import look
from modelyard.kubernetes.deploying.planning import plan
from modelyard.kubernetes.deploying.records import SHORT
from modelyard.kubernetes.deploying.revisions import render_of, revisions
from modelyard.kubernetes.deploying.session import Session
from modelyard.kubernetes.deploying.workloads import DEPLOYMENT
from modelyard.kubernetes.kubectl import Kubectl
from modelyard.kubernetes.manifests import objects_in, read_folder, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelyard.contexts import DeployContext, Rendered
    from modelyard.kubernetes.deploying.changes import Change
    from modelyard.kubernetes.deploying.session import DeployParams
    from modelyard.kubernetes.deploying.workloads import Workload
    from modelyard.kubernetes.objects import Object


def deploy(context: DeployContext, params: DeployParams, workload: Workload = DEPLOYMENT) -> None:
    """Apply what was rendered with the user's kubectl, remove what no longer is, and wait until the pods run.

    Args:
        context: what was rendered, and what a person asked for.
        params: those of the target's parameters that count here.
        workload: what the service runs as.

    Raises:
        ToolError: kubectl, a Secret, the image or the namespace is missing, or the cluster does not answer or says no;
            nothing was applied then but, where it is rendered and was not there, the Namespace.
        StageFailed: the objects were applied but the pods do not get ready; the message says why, pod by pod.
    """
    with _rendered(context, params, workload) as rendered:
        one = _begin(context, params, workload, rendered)
        context.say(f"{context.task} -> {one.cluster}")
        look(one)
        changes = plan(one)
        _tell(context, changes)
        if context.dry_run:
            context.say("dry run: nothing was changed")
            return
        carry_out(one, changes)


def _tell(context: DeployContext, changes: list[Change]) -> None:
    todo = [change for change in changes if change.how != "keep"]
    for change in todo:
        context.say(str(change))
        if context.diff:
            context.say(change.diff().rstrip())
    if kept := len(changes) - len(todo):
        context.say(f"  unchanged {kept} object{'s' * (kept > 1)}")


@contextlib.contextmanager
def _rendered(context: DeployContext, params: DeployParams, workload: Workload) -> Iterator[Rendered]:
    """Yield what is to be deployed: what is rendered now, or what `--to` names."""
    if not context.to:
        yield context.rendered
        return
    kubectl = Kubectl.find(params.kube_context, params.namespace)
    name = params.name or context.name
    reach(kubectl)
    known = revisions(kubectl, name) if workload is DEPLOYMENT else []  # Knative's do not say what was rendered
    live = kubectl.read("get", workload.resource, name)
    with context.earlier(render_of(context.to, known, live, context.task)) as rendered:
        context.say(f"back to render {rendered.key[:SHORT]} of {rendered.when}, commit {rendered.commit[:10] or '-'}")
        yield rendered


def _begin(context: DeployContext, params: DeployParams, workload: Workload, rendered: Rendered) -> Session:
    namespace = namespace_of(objects_in(read_folder(rendered.folder)))
    kubectl = Kubectl.find(params.kube_context, namespace)
    with ThreadPoolExecutor() as pool:
        documents, cluster = pool.submit(_objects, kubectl, rendered.folder), pool.submit(reach, kubectl)
        return Session(context, workload, params, kubectl, cluster.result(), rendered, documents.result())


def _objects(kubectl: Kubectl, folder: Path) -> list[Object]:
    """Return the objects as `kubectl apply -k` sees them: a project's own kustomization may change what was rendered."""
    if not (folder / "kustomization.yaml").is_file():
        return objects_in(read_folder(folder))
    made = kubectl.must("the objects cannot be put together", "kustomize", str(folder))
    return [one for one in read_text(made, "kubectl kustomize") if one is not None]
