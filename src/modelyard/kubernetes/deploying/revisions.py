"""The states that a Deployment can go back to, and which of them a person means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.records import COMMIT, RENDER, REVISION, SHORT, past
from modelyard.kubernetes.objects import get, items, mapping, text

if TYPE_CHECKING:
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

_LEAST = 4
"""Digits of a key that a person must name at least."""


@dataclass(frozen=True)
class Revision:
    """A state of the Deployment that its controller remembers.

    Attributes:
        number: as `kubectl rollout history` counts.
        render: the key of the render that was deployed; empty: by other means.
        commit: the commit of that render.
        images: what its containers run.
    """

    number: int
    render: str
    commit: str
    images: tuple[str, ...]

    def __str__(self) -> str:
        of = f"render {self.render[:SHORT]}" if self.render else "not deployed by `doit deploy`"
        return f"{self.number} ({of}{f', commit {self.commit[:10]}' if self.commit else ''})"


def revisions(kubectl: Kubectl, deployment: str) -> list[Revision]:
    """Return the states that the Deployment can go back to, the latest first."""
    every = items(kubectl.read("get", "replicasets.apps"), "items")
    mine = [
        one for one in every if any(text(o, "name") == deployment for o in items(one, "metadata", "ownerReferences"))
    ]
    found = [_revision(one) for one in mine if text(one, "metadata", "annotations", REVISION).isdecimal()]
    return sorted(found, key=lambda one: one.number, reverse=True)


def _revision(replicas: Object) -> Revision:
    notes = mapping(replicas, "metadata", "annotations")
    containers = items(replicas, "spec", "template", "spec", "containers")
    images = tuple(str(get(one, "image")) for one in containers)
    return Revision(int(str(notes[REVISION])), text(notes, RENDER), text(notes, COMMIT), images)


def render_of(name: str, known: list[Revision], deployment: object, task: str) -> str:
    """Return the key of the render, or the beginning of one, that a person means by `name`.

    Args:
        name: a revision's number, the beginning of a render's key, or an image's digest.
        known: the Deployment's revisions.
        deployment: the live Deployment, or None.
        task: the task that is run, for messages.

    Raises:
        ToolError: a revision is not there, or nobody knows what was rendered for it.
    """
    numbered = name.isdecimal() and len(name) < 7
    found = [one for one in known if _means(one, name, numbered=numbered)]
    if found and found[0].render:
        return found[0].render
    if not numbered and not name.startswith("sha256:"):
        keys = [one.render for one in past(deployment) if len(name) >= _LEAST and one.render.startswith(name)]
        return keys[0] if len(keys) == 1 else name
    listed = "; ".join(map(str, known)) or "none"
    what = "was not deployed by `doit deploy`" if found else "is not among the Deployment's revisions"
    msg = f"--to {name!r}: {what}\n  known: {listed}; or name a render of `doit history {task.replace('deploy', 'render', 1)}`"
    raise ToolError(msg)


def _means(one: Revision, name: str, *, numbered: bool) -> bool:
    if numbered:
        return one.number == int(name)
    if name.startswith("sha256:"):
        return len(name) >= 13 and any(image.rpartition("@")[2].startswith(name) for image in one.images)
    return len(name) >= _LEAST and one.render.startswith(name)
