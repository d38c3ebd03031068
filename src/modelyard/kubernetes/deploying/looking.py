"""What a deploy needs before it can be tried: the namespace, the Secrets, the image, and objects that are its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying import records
from modelyard.kubernetes.deploying.applying import apply, attempt, refuse
from modelyard.kubernetes.deploying.earlier import deployed
from modelyard.kubernetes.deploying.identity import is_ours
from modelyard.kubernetes.deploying.images import check_images
from modelyard.kubernetes.deploying.secrets import check_secrets
from modelyard.kubernetes.deploying.workloads import with_pods
from modelyard.kubernetes.kubectl import is_forbidden, last_words
from modelyard.kubernetes.objects import Bundle, kind, label, text

if TYPE_CHECKING:
    from modelyard.kubernetes.deploying.session import Session
    from modelyard.kubernetes.objects import Object


def look(one: Session) -> None:
    """Read the live objects, and see that all that the objects need is there.

    Raises:
        ToolError: something is not.
    """
    _refuse_unknown_kinds(one)
    if not (is_there := _namespace_is_there(one)):
        _check_image(one)
        _make_namespace(one)
    with ThreadPoolExecutor() as pool:
        live = pool.submit(one.read_live)
        secrets = pool.submit(check_secrets, one.kubectl, with_pods(one.documents), one.context.say)
        one.live = live.result()
        earlier = pool.submit(deployed, one.kubectl, one.name, one.workload.beside, one.running, one.context.say)
        _refuse_strangers(one)
        secrets.result()
        one.earlier = earlier.result()
    if is_there and not _runs_already(one):
        _check_image(one)


_INSTALLED = {
    "serving.knative.dev": "Knative Serving",
    "eventing.knative.dev": "Knative Eventing",
    "keda.sh": "KEDA",
    "gateway.networking.k8s.io": "the Gateway API",
    "monitoring.coreos.com": "the operator of Prometheus",
}
"""What brings kinds of objects that are not Kubernetes' own, by their group."""


def _refuse_unknown_kinds(one: Session) -> None:
    """See that the cluster has the kinds of objects that are not Kubernetes' own.

    Raises:
        ToolError: it has not; the message says what would bring them.
    """
    foreign = {text(thing, "apiVersion") for thing in one.documents if "/" in kind(thing)}
    for version in sorted(foreign):
        done = one.kubectl.plain().run("get", "--raw", f"/apis/{version}")
        if done.returncode != 0 and "(NotFound)" in done.stderr:
            kinds = sorted({text(thing, "kind") for thing in one.documents if text(thing, "apiVersion") == version})
            group = version.partition("/")[0]
            msg = (
                f"the cluster knows no {' and no '.join(kinds)} of {version}: "
                f"{_INSTALLED.get(group, group)} is not installed there\n"
                "  install it, or choose another cluster with `kube_context`"
            )
            raise ToolError(msg)


def _check_image(one: Session) -> None:
    how = one.context
    check_images(with_pods(one.documents), how.repository, how.push_task, how.say, insecure=how.insecure)


def _namespace_is_there(one: Session) -> bool:
    """Tell whether there is the namespace.

    Who has rights to what is in one namespace, and none to the namespace itself, deploys into it as it is.
    """
    done = one.kubectl.run("get", "namespace", one.cluster.namespace, "-o", "name")
    if is_forbidden(done.stderr):
        for thing in Bundle(one.documents).of("Namespace"):
            one.leave(thing, last_words(done))
    return done.returncode == 0 or "(NotFound)" not in done.stderr


def _make_namespace(one: Session) -> None:
    """Make the namespace, if it is rendered: without it the cluster can try nothing else.

    Raises:
        ToolError: it is not rendered, or this is a dry run.
    """
    name = one.cluster.namespace
    own = [thing for thing in Bundle(one.documents).of("Namespace") if text(thing, "metadata", "name") == name]
    if not own or one.context.dry_run:
        why = ": without it the cluster can try nothing" if own else ""
        msg = (
            f"namespace {name!r} is not there{why}\n"
            f"  create it: {one.kubectl.plain().shown('create', 'namespace', name)}"
            f"   (or {'deploy without --dry-run' if own else 'set create_namespace = true'})"
        )
        raise ToolError(msg)
    refuse(attempt(one.kubectl, own, name).refused)
    one.ask()
    apply(one.kubectl, own)
    one.context.say(f"  create    Namespace/{name}, before all else: without it the cluster can try nothing")


def _refuse_strangers(one: Session) -> None:
    """See that the live objects are this target's.

    Raises:
        ToolError: one is somebody else's, or another target's.
    """
    strangers = [label(thing) for thing in one.live.values() if not is_ours(thing, one.name)]
    if strangers and not one.force:
        msg = (
            f"{', '.join(strangers)}: there already, and not deployed by modelyard as {one.name!r}\n"
            "  give one of the two another name or namespace, or take it over with force_conflicts = true"
        )
        raise ToolError(msg)
    other = records.recorded(one.running, records.TARGET)
    if other not in ("", one.context.target) and not one.force:
        msg = (
            f"{label(one.running)}: deployed by the target {other!r}, not by {one.context.target!r}\n"
            "  give one of the two another namespace, or take it over with force_conflicts = true"
        )
        raise ToolError(msg)


def _runs_already(one: Session) -> bool:
    """Tell whether the pods run the very images that are rendered, so that no registry need be asked."""

    def images(things: list[Object]) -> list[str]:
        return [text(each.spec, "image") for pod in Bundle(with_pods(things)).pods for each in pod.containers]

    running = one.running or {}
    return one.workload.is_complete(running) and images([running]) == images(one.workload.of(one.documents))
