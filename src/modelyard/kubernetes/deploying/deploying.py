"""Deploy objects: all of them are tried first, what changes is told, and nothing is applied if one is refused."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying import records, rollout, scaling
from modelyard.kubernetes.deploying.applying import apply, attempt, conflicts
from modelyard.kubernetes.deploying.changes import Change, judge
from modelyard.kubernetes.deploying.cluster import Cluster, reach
from modelyard.kubernetes.deploying.earlier import deployed, no_longer_rendered, remove, unread_settings
from modelyard.kubernetes.deploying.identity import Identity, as_stream, from_list, identity, is_ours
from modelyard.kubernetes.deploying.images import check_images
from modelyard.kubernetes.deploying.ownership import may_be_taken, set_by_hand, take_back
from modelyard.kubernetes.deploying.secrets import check_secrets
from modelyard.kubernetes.kubectl import Kubectl
from modelyard.kubernetes.manifests import objects_in, read_folder, read_text
from modelyard.kubernetes.objects import Bundle, Object, kind, label, mapping, text
from modelyard.kubernetes.parameters import INSTANCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelyard.contexts import DeployContext, Rendered

_SCALER = "kube-controller-manager"
"""What an autoscaler sets the number of pods under."""


@dataclass
class Deploy:
    """One deploy: what was asked for, where it goes, and what is found out on the way.

    Attributes:
        context: what was asked for.
        params: the target's parameters.
        kubectl: for the objects' namespace.
        cluster: where it goes.
        rendered: what is deployed, by key.
        documents: its objects, as kustomize leaves them.
        live: those that are in the cluster.
        earlier: the live objects of the service, rendered or not.
        is_agreed: whether the person has been asked already.
    """

    context: DeployContext
    params: dict[str, Any]
    kubectl: Kubectl
    cluster: Cluster
    rendered: Rendered
    documents: list[Object]
    live: dict[Identity, Any] = field(default_factory=dict)
    earlier: list[Any] = field(default_factory=list)
    is_agreed: bool = False

    @property
    def force(self) -> bool:
        """Whether fields, and objects, of others are taken over."""
        return bool(self.params.get("force_conflicts"))

    @property
    def name(self) -> str:
        """The name of the service, which all its objects are labelled with."""
        deployment = next(iter(Bundle(self.documents).of("Deployment")), {})
        return text(mapping(deployment, "metadata", "labels"), INSTANCE) or self.context.name

    def of(self, thing: Object) -> Identity:
        """Return which object `thing` is."""
        return identity(thing, self.cluster.namespace)

    def live_of(self, thing: Object) -> Any:
        """Return the object as it is in the cluster, or None."""
        return self.live.get(self.of(thing))

    @property
    def deployment(self) -> Any:
        """The live Deployment, which bears the record; None: there is none."""
        return next((one for one in self.live.values() if kind(one) == "Deployment"), None)


def deploy(context: DeployContext, **params: Any) -> None:
    """Apply what was rendered with the user's kubectl, remove what no longer is, and wait until the pods run.

    Args:
        context: what was rendered, and what a person asked for.
        params: the target's parameters; `kube_context`, `rollout_timeout_s`, `force_conflicts` and `confirm` count here.

    Raises:
        ToolError: kubectl, a Secret, the image or the namespace is missing, or the cluster does not answer or says no;
            nothing was applied then but, where it is rendered and was not there, the Namespace.
        StageFailed: the objects were applied but the pods do not get ready; the message says why, pod by pod.
    """
    with _rendered(context, params) as rendered:
        one = _begin(context, params, rendered)
        context.say(f"{context.task} -> {one.cluster}")
        _look(one)
        changes = _plan(one)
        _tell(context, changes)
        if context.dry_run:
            context.say("dry run: nothing was changed")
            return
        _carry_out(one, changes)


def _tell(context: DeployContext, changes: list[Change]) -> None:
    todo = [change for change in changes if change.how != "keep"]
    for change in todo:
        context.say(str(change))
        if context.diff:
            context.say(change.diff().rstrip())
    if kept := len(changes) - len(todo):
        context.say(f"  unchanged {kept} object{'s' * (kept > 1)}")


@contextlib.contextmanager
def _rendered(context: DeployContext, params: dict[str, Any]) -> Iterator[Rendered]:
    """Yield what is to be deployed: what is rendered now, or what `--to` names."""
    if not context.to:
        yield context.rendered
        return
    kubectl = Kubectl.find(str(params.get("kube_context") or ""), str(params.get("namespace") or ""))
    name = str(params.get("name") or context.name)
    reach(kubectl)
    known = records.revisions(kubectl, name)
    live = kubectl.read("get", "deployments.apps", name)
    with context.earlier(records.render_of(context.to, known, live, context.task)) as rendered:
        context.say(
            f"back to render {rendered.key[: records.SHORT]} of {rendered.when}, commit {rendered.commit[:10] or '-'}"
        )
        yield rendered


def _begin(context: DeployContext, params: dict[str, Any], rendered: Rendered) -> Deploy:
    namespace = _namespace(objects_in(read_folder(rendered.folder)))
    kubectl = Kubectl.find(str(params.get("kube_context") or ""), namespace)
    with ThreadPoolExecutor() as pool:
        documents, cluster = pool.submit(_objects, kubectl, rendered.folder), pool.submit(reach, kubectl)
        return Deploy(context, params, kubectl, cluster.result(), rendered, documents.result())


def _namespace(documents: list[Object]) -> str:
    return next((found for one in documents if (found := text(one, "metadata", "namespace"))), "")


def _objects(kubectl: Kubectl, folder: Path) -> list[Object]:
    """Return the objects as `kubectl apply -k` sees them: a project's own kustomization may change what was rendered."""
    if not (folder / "kustomization.yaml").is_file():
        return objects_in(read_folder(folder))
    made = kubectl.must("the objects cannot be put together", "kustomize", str(folder))
    return [one for one in read_text(made, "kubectl kustomize") if one is not None]


# What is there


def _look(one: Deploy) -> None:
    """Read the live objects, and see that all that the objects need is there.

    Raises:
        ToolError: something is not.
    """
    if not (is_there := _namespace_is_there(one)):
        _check_image(one)
        _make_namespace(one)
    with ThreadPoolExecutor() as pool:
        live = pool.submit(_live, one)
        secrets = pool.submit(check_secrets, one.kubectl, one.documents, one.context.say)
        one.live = live.result()
        earlier = pool.submit(deployed, one.kubectl, one.name, one.deployment, one.context.say)
        _refuse_strangers(one)
        secrets.result()
        one.earlier = earlier.result()
    if is_there and not _runs_already(one):
        _check_image(one)


def _check_image(one: Deploy) -> None:
    how = one.context
    check_images(one.documents, how.repository, how.push_task, how.say, insecure=how.insecure)


def _live(one: Deploy) -> dict[Identity, Any]:
    words = ["get", "-o", "json", "--ignore-not-found", "--show-managed-fields", "-f", "-"]
    found = one.kubectl.must("cannot read what is deployed", *words, stdin=as_stream(one.documents))
    return {one.of(thing): thing for thing in from_list(found)}


def _namespace_is_there(one: Deploy) -> bool:
    """Tell whether there is the namespace; who may not look at namespaces may deploy into one all the same."""
    done = one.kubectl.run("get", "namespace", one.cluster.namespace, "-o", "name")
    return done.returncode == 0 or "(NotFound)" not in done.stderr


def _make_namespace(one: Deploy) -> None:
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
    _refuse(attempt(one.kubectl, own, name).refused)
    _ask(one)
    apply(one.kubectl, own)
    one.context.say(f"  create    Namespace/{name}, before all else: without it the cluster can try nothing")


def _refuse_strangers(one: Deploy) -> None:
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
    other = records.recorded(one.deployment, records.TARGET)
    if other not in ("", one.context.target) and not one.force:
        msg = (
            f"{label(one.deployment)}: deployed by the target {other!r}, not by {one.context.target!r}\n"
            "  give one of the two another namespace, or take it over with force_conflicts = true"
        )
        raise ToolError(msg)


def _runs_already(one: Deploy) -> bool:
    """Tell whether the pods run the very images that are rendered, so that no registry need be asked."""

    def images(things: list[Object]) -> list[str]:
        return [text(each.spec, "image") for pod in Bundle(things).pods for each in pod.containers]

    wanted = images(Bundle(one.documents).of("Deployment"))
    return rollout.is_complete(one.deployment or {}) and images([one.deployment]) == wanted


# What will change


def _plan(one: Deploy) -> list[Change]:
    """Return what happens to each object, after the API has tried them all.

    Raises:
        ToolError: it refuses one.
    """
    then = _tried(one)
    rendered = {one.of(thing) for thing in one.documents}
    changes = [_change(one, thing, then[one.of(thing)]) for thing in one.documents]
    gone = no_longer_rendered(one.earlier, rendered, one.cluster.namespace, one.name)
    return changes + [Change("remove", thing, thing, why="no longer rendered") for thing in gone]


def _change(one: Deploy, thing: Object, then: Any) -> Change:
    live = one.live_of(thing)
    notes = []
    if live is not None and set_by_hand(live):
        notes.append(f"taken over from {_others(one, thing)}")
    if live is not None and scaling.keeps_number(thing, live):
        then = scaling.with_number(then, live)
        notes.append("the number of pods is left to the autoscaler")
    return judge(thing, live, then, notes)


def _tried(one: Deploy) -> dict[Identity, Any]:
    """Return each object as the API says that it will be."""
    tried = attempt(one.kubectl, one.documents, one.cluster.namespace)
    _refuse({which: why for which, why in tried.refused.items() if not _is_taken(one, which, why)})
    taken = [thing for thing in one.documents if one.of(thing) in tried.refused]
    forced = attempt(one.kubectl, taken, one.cluster.namespace, force=True)
    mixed = [thing for thing in taken if one.of(thing) in forced.refused and set_by_hand(one.live_of(thing) or {})]
    left = {one.of(thing) for thing in mixed}
    _refuse({which: why for which, why in forced.refused.items() if which not in left})
    return tried.results | forced.results | _tried_whole(one, mixed)


def _tried_whole(one: Deploy, mixed: list[Object]) -> dict[Identity, Any]:
    """Return objects that can be tried only when what others set in them is taken over: beside it they are not valid.

    That changes no value; what is no longer rendered goes with the apply.
    """
    for thing in mixed:
        one.context.say(f"  {label(thing)}: can be tried only when what {_others(one, thing)} set is taken over")
    if one.context.dry_run or not mixed:
        return {one.of(thing): one.live_of(thing) for thing in mixed}
    _ask(one)
    for thing in mixed:
        take_back(one.kubectl, one.live_of(thing))
    one.live = _live(one)
    tried = attempt(one.kubectl, mixed, one.cluster.namespace, force=True)
    _refuse(tried.refused)
    return tried.results


def _others(one: Deploy, thing: Object) -> str:
    return " and ".join(set_by_hand(one.live_of(thing) or {}))


def _is_taken(one: Deploy, which: Identity, why: str) -> bool:
    """Tell whether a refusal is about fields alone that a deploy takes over, or may be."""
    found = conflicts(why)
    if not found:  # it may be valid without what others set in it
        return bool(set_by_hand(one.live.get(which) or {}))
    scaled = not Bundle(one.documents).of("HorizontalPodAutoscaler") and which.kind == "apps/Deployment"
    return all(
        one.force
        or may_be_taken(each.manager)
        or (scaled and each.manager == _SCALER and each.fields == (".spec.replicas",))
        for each in found
    )


def _refuse(refused: dict[Identity, str]) -> None:
    if not refused:
        return
    lines = [f"{which.kind.rpartition('/')[2]}/{which.name}: {why}" for which, why in refused.items()]
    owned = any(conflicts(why) for why in refused.values())
    more = "to take fields over from others, set force_conflicts = true" if owned else "mend what was rendered"
    msg = "the cluster refuses the objects, and nothing was applied:\n  " + "\n  ".join(lines) + f"\n  {more}"
    raise ToolError(msg)


# Doing it


def _carry_out(one: Deploy, changes: list[Change]) -> None:
    todo = [change for change in changes if change.how != "keep"]
    key, task, before = one.rendered.key, one.context.task, records.past(one.deployment)
    if todo:
        _ask(one)
        _apply(one, todo)
    if todo or records.recorded(one.deployment, records.RENDER) != key:
        _note(one, before, is_ready=False)
    elif all(rollout.is_complete(one.live_of(thing)) for thing in Bundle(one.documents).of("Deployment")):
        one.context.say(f"unchanged: render {key[: records.SHORT]} runs")
        return
    back = records.way_back(one.deployment, key, task)
    undo = back or f"doit un{task}"
    for thing in Bundle(one.documents).of("Deployment"):
        rollout.wait(one.kubectl, thing, int(one.params.get("rollout_timeout_s") or 300), undo, one.context.say)
    _note(one, before, is_ready=True)
    remove(one.kubectl, unread_settings(one.kubectl, one.earlier, one.documents, one.name))
    one.context.say(f"deployed render {key[: records.SHORT]}" + (f"; go back: {back}" if back else ""))


def _ask(one: Deploy) -> None:
    """Ask before production is changed, if the target says that this is production.

    Raises:
        ToolError: the answer is no, or there is nobody to answer.
    """
    if one.params.get("confirm") and not one.is_agreed and not one.context.agreed(f"change {one.cluster}?"):
        msg = f"{one.context.task}: not confirmed, so nothing was applied\n  without a terminal: doit {one.context.task} --yes"
        raise ToolError(msg)
    one.is_agreed = True


def _apply(one: Deploy, todo: list[Change]) -> None:
    """Change the objects, then remove those that are no longer rendered."""
    for change in todo:
        if change.how == "change" and set_by_hand(change.live):
            take_back(one.kubectl, change.live)
        if change.how == "change" and scaling.keeps_number(change.thing, change.live):
            scaling.hand_over(one.kubectl, change.live)
    applied = apply(one.kubectl, [change.thing for change in todo if change.how != "remove"])
    scaling.seed(one.kubectl, one.documents, applied)
    remove(one.kubectl, [change.thing for change in todo if change.how == "remove"])


def _note(one: Deploy, before: list[records.Past], *, is_ready: bool) -> None:
    """Write down what was deployed, where `kubectl rollout history` and the next deploy read it."""
    now = records.Past(one.rendered.key, one.rendered.commit, is_ready)
    for thing in Bundle(one.documents).of("Deployment"):
        image = next((text(each.spec, "image") for pod in Bundle([thing]).pods for each in pod.containers), "")
        records.write_record(one.kubectl, thing, records.record_of(one.context, now, before, image, one.documents))
