"""Kubernetes objects as parsed from YAML, and safe ways into them.

A value of the wrong shape reads as empty: the schema reports it, and the rules go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Object = Mapping[str, Any]

_NESTED = ("rbac.authorization", "flowcontrol.apiserver", "internal.apiserver")
"""What stands before `.k8s.io` in Kubernetes' own groups, where that is more than one word."""
POD_OWNERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod", "keda.sh/ScaledJob")
_TEMPLATES = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "keda.sh/ScaledJob": ("spec", "jobTargetRef", "template"),
}
"""Where an object describes its pods, if it is not `spec.template`."""


def get(value: object, *keys: str) -> Any:
    """Return what is at `keys` in nested mappings, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def mapping(value: object, *keys: str) -> Object:
    """Return the mapping at `keys`, or an empty one."""
    found = get(value, *keys)
    return found if isinstance(found, Mapping) else {}


def items(value: object, *keys: str) -> list[Any]:
    """Return the list at `keys`, or an empty one."""
    found = get(value, *keys)
    return found if isinstance(found, list) else []


def text(value: object, *keys: str) -> str:
    """Return the text at `keys`, or an empty one."""
    found = get(value, *keys)
    return found if isinstance(found, str) else ""


def kind(thing: Object) -> str:
    """Return the kind of an object of Kubernetes' own, or `group/kind` of another's, or an empty text."""
    group, slash, _ = text(thing, "apiVersion").rpartition("/")
    return text(thing, "kind") if not slash or _is_own(group) else f"{group}/{text(thing, 'kind')}"


def _is_own(group: str) -> bool:
    """Tell whether a group of the API is Kubernetes' own; `gateway.networking.k8s.io` and its like are installed."""
    inner = group.removesuffix(".k8s.io")
    return "." not in inner or (inner != group and inner in _NESTED)


def label(thing: object) -> str:
    """Return `Kind/name`, as a person calls an object."""
    name = text(thing, "metadata", "name")
    return f"{text(thing, 'kind') or 'object'}/{name or '(no name)'}"


def selects(selector: object, labels: Object) -> bool:
    """Tell whether a non-empty `matchLabels` mapping selects `labels`."""
    return (
        isinstance(selector, Mapping)
        and bool(selector)
        and all(labels.get(key) == value for key, value in selector.items())
    )


@dataclass(frozen=True)
class Pod:
    """The pod that an object describes: itself, or its template.

    Attributes:
        owner: the object.
        spec: the pod's spec.
        labels: the pod's labels.
        annotations: the pod's annotations.
    """

    owner: Object
    spec: Object
    labels: Object
    annotations: Object

    @property
    def containers(self) -> list[Container]:
        """Every container, init containers first."""
        init = [Container(self, one, init=True) for one in items(self.spec, "initContainers")]
        return init + [Container(self, one) for one in items(self.spec, "containers")]

    @property
    def long_running(self) -> bool:
        """Whether the pod is a server, not a job."""
        return kind(self.owner) not in {"Job", "CronJob", "keda.sh/ScaledJob"}


@dataclass(frozen=True)
class Container:
    """A container of `pod`; `init` when it runs before the others."""

    pod: Pod
    spec: Object
    init: bool = False

    def security(self, key: str) -> Any:
        """Return a field of the security context as it counts: the container's, else the pod's."""
        own = get(self.spec, "securityContext", key)
        return own if own is not None else get(self.pod.spec, "securityContext", key)

    @property
    def name(self) -> str:
        """The container's name, for messages."""
        return text(self.spec, "name") or "(no name)"


@dataclass(frozen=True)
class Bundle:
    """All objects that are applied together.

    Attributes:
        objects: the documents, in order; a document that is no mapping is left out here.
        image: the reference of the image that was built, if it is known.
        version: the minor version of the cluster, 32 for 1.32.
    """

    objects: Sequence[Object]
    image: str = ""
    version: int = 32

    def of(self, *kinds: str) -> list[Object]:
        """Return the objects of `kinds`, in order."""
        return [one for one in self.objects if kind(one) in kinds]

    def find(self, which: str, name: str) -> Object | None:
        """Return the object of kind `which` called `name`."""
        return next((one for one in self.of(which) if text(one, "metadata", "name") == name), None)

    @cached_property
    def pods(self) -> list[Pod]:
        """Return every pod that the objects describe."""
        return [pod for one in self.of(*POD_OWNERS) for pod in _pods(one)]

    def selected(self, selector: object) -> list[Pod]:
        """Return the pods that `selector` (a `matchLabels` mapping) selects."""
        return [pod for pod in self.pods if selects(selector, pod.labels)]


def _pods(owner: Object) -> Iterator[Pod]:
    if kind(owner) == "Pod":
        yield _pod(owner, owner)
        return
    yield _pod(owner, mapping(owner, *_TEMPLATES.get(kind(owner), ("spec", "template"))))


def _pod(owner: Object, template: Object) -> Pod:
    meta = mapping(template, "metadata")
    return Pod(owner, mapping(template, "spec"), mapping(meta, "labels"), mapping(meta, "annotations"))
