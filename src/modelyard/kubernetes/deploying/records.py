"""What was deployed when, by whom and from which commit: annotations that `kubectl rollout history` reads, too.

They are written under a field manager of their own, onto the Deployment alone, so that an apply of the rendered files neither
removes nor reports them. The Deployment's controller copies them to the ReplicaSet of each revision: that is the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.kubernetes.deploying.applying import apply_fields
from modelyard.kubernetes.deploying.identity import bare
from modelyard.kubernetes.deploying.ownership import RECORDER
from modelyard.kubernetes.objects import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

RENDER, COMMIT = "modelyard.dev/render", "modelyard.dev/commit"
BY, TARGET, OBJECTS = "modelyard.dev/deployed-by", "modelyard.dev/target", "modelyard.dev/objects"
PAST = "modelyard.dev/renders"
"""The last renders that were deployed, the latest first: a line each of key, commit, and whether its pods got ready."""
CAUSE, REVISION = "kubernetes.io/change-cause", "deployment.kubernetes.io/revision"
SHORT = 12
"""Digits of a render's key that are shown, as `doit history` shows them."""
_KEPT = 10


class Past(NamedTuple):
    """A render that was deployed: its key, its commit, and whether its pods got ready."""

    render: str
    commit: str
    was_ready: bool


def past(deployment: object) -> list[Past]:
    """Return the renders that were deployed to a live Deployment, the latest first."""
    lines = [line.split(" ") for line in recorded(deployment, PAST).splitlines()]
    return [Past(words[0], words[1], words[2] == "ready") for words in lines if len(words) == 3]


def was_ready(deployment: object, key: str) -> bool:
    """Tell whether the pods of the render `key` got ready while a deploy waited for them."""
    return any(one.was_ready for one in past(deployment) if one.render == key)


def way_back(deployment: object, key: str, task: str) -> str:
    """Return the command that undoes a deploy of the render `key`: to what ran last; empty if nothing did.

    Args:
        deployment: the live Deployment as it was before; None: this is the first deploy.
        key: the render that is deployed now.
        task: the task that deploys.
    """
    good = next((one for one in past(deployment) if one.was_ready and one.render != key), None)
    return f"doit {task} --to {good.render[:SHORT]}" if good else ""


def recorded(deployment: object, key: str) -> str:
    """Return what an annotation of a live Deployment says, or an empty text."""
    return text(deployment, "metadata", "annotations", key)


def record_of(context: Any, now: Past, before: list[Past], image: str, objects: Iterable[Object]) -> dict[str, str]:
    """Return the record of a deploy, for the annotations of the Deployment.

    Args:
        context: what a person asked for.
        now: the render that is deployed.
        before: those that were deployed before.
        image: what the server's container runs.
        objects: the objects that were applied.
    """
    key, commit = now.render, now.commit
    rest = [one for one in before if one.render != key]
    lines = [f"{one.render} {one.commit} {'ready' if one.was_ready else '-'}" for one in [now, *rest][:_KEPT]]
    listed = sorted(f"{text(o, 'apiVersion')} {text(o, 'kind')} {text(o, 'metadata', 'name')}" for o in objects)
    digest = image.rpartition("@")[2]
    parts = [f"render {key[:SHORT]}", f"commit {commit[:10]}" if commit else "", f"image {digest[:19]}"]
    said = ", ".join(filter(None, parts))
    return {
        RENDER: key,
        COMMIT: commit,
        BY: context.who,
        TARGET: context.target,
        OBJECTS: "\n".join(listed),
        PAST: "\n".join(lines),
        CAUSE: f"{context.name} {context.version}: {said}, by {context.who}",
    }


def write_record(kubectl: Kubectl, deployment: Object, record: dict[str, str]) -> None:
    """Write the record of a deploy onto the Deployment."""
    thing = bare(deployment)
    thing["metadata"]["annotations"] = record
    apply_fields(kubectl, thing, RECORDER)


def objects_of(deployment: object) -> list[dict[str, Any]]:
    """Return the objects that were deployed with a live Deployment, as the record has them."""
    found = []
    for line in recorded(deployment, OBJECTS).splitlines():
        version, _, rest = line.partition(" ")
        kind, _, name = rest.partition(" ")
        if version and kind and name and kind != "Namespace":
            found.append({"apiVersion": version, "kind": kind, "metadata": {"name": name}})
    return found
