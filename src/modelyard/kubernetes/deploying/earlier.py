"""What was deployed before and is no longer rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.config_names import is_hashed
from modelyard.kubernetes.deploying.identity import as_stream, bare, from_list, identity, is_ours
from modelyard.kubernetes.deploying.records import objects_of
from modelyard.kubernetes.kubectl import last_words
from modelyard.kubernetes.objects import items, kind, mapping, text
from modelyard.kubernetes.parameters import INSTANCE, MANAGED_BY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from modelyard.kubernetes.deploying.identity import Identity
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object


def deployed(
    kubectl: Kubectl, name: str, kinds: Iterable[str], running: object, say: Callable[[str], None]
) -> list[Any]:
    """Return the live objects that modelyard deployed for the service `name`, without the Namespace and the Secrets.

    What a controller made bears the labels of the object that it made it for, such as KEDA's autoscaler, and goes with that.

    Args:
        kubectl: for the service's namespace.
        name: the service's name, which all its objects are labelled with.
        kinds: what modelyard's own templates render, as kubectl calls it; what a plugin adds is known by the record.
        running: the live object with the record of what was deployed; None: there is none.
        say: is told what cannot be looked for.
    """
    wanted = f"{MANAGED_BY}=modelyard,{INSTANCE}={name}"
    done = kubectl.run(
        "get", ",".join(kinds), "-l", wanted, "-o", "json", "--ignore-not-found", "--show-managed-fields"
    )
    if done.returncode != 0:
        say(f"warning: cannot look for what was deployed earlier: {last_words(done)}")
    every = [one for one in from_list(done.stdout) if not items(one, "metadata", "ownerReferences")]
    found = {identity(one, kubectl.namespace): one for one in every if is_ours(one, name)}
    rest = [one for one in objects_of(running) if identity(one, kubectl.namespace) not in found]
    if rest:
        more = kubectl.run("get", "-o", "json", "--ignore-not-found", "-f", "-", stdin=as_stream(rest))
        for one in from_list(more.stdout):
            if mapping(one, "metadata", "labels").get(MANAGED_BY, "modelyard") == "modelyard":
                found[identity(one, kubectl.namespace)] = one
    return list(found.values())


def no_longer_rendered(found: list[Any], rendered: Collection[Identity], namespace: str, name: str) -> list[Any]:
    """Return the objects that a deploy removes; earlier settings stay for the revisions that read them."""
    return [
        one
        for one in found
        if identity(one, namespace) not in rendered
        and not (kind(one) == "ConfigMap" and is_hashed(text(one, "metadata", "name"), name))
    ]


def unread_settings(kubectl: Kubectl, found: list[Any], documents: list[Object], name: str) -> list[Any]:
    """Return the earlier settings of the service that no revision of its Deployment reads any more."""
    if not any(kind(one) == "ConfigMap" for one in found):
        return []
    read = {text(one, "metadata", "name") for one in documents if kind(one) == "ConfigMap"}
    history = items(kubectl.read("get", "replicasets.apps", "-l", f"{INSTANCE}={name}"), "items")
    if not history:
        return []  # nobody can say what the revisions read
    for one in history:
        read |= set(_configs_in(mapping(one, "spec", "template", "spec")))
    return [
        one
        for one in found
        if kind(one) == "ConfigMap"
        and is_hashed(text(one, "metadata", "name"), name)
        and text(one, "metadata", "name") not in read
    ]


def _configs_in(spec: Any) -> list[str]:
    """Return the names of the ConfigMaps that are named anywhere in a pod's spec."""
    if isinstance(spec, list):
        return [name for one in spec for name in _configs_in(one)]
    if not hasattr(spec, "items"):
        return []
    own = [
        text(inner, "name") for key, inner in spec.items() if key in ("configMap", "configMapRef", "configMapKeyRef")
    ]
    return own + [name for inner in spec.values() for name in _configs_in(inner)]


def remove(kubectl: Kubectl, things: list[Any]) -> None:
    """Delete objects, without waiting for what they own to be gone.

    Raises:
        ToolError: the cluster refuses.
    """
    if things:
        text_of = as_stream(bare(one) for one in things)
        kubectl.must(
            "the cluster refused to remove objects",
            "delete",
            "--ignore-not-found",
            "--wait=false",
            "-f",
            "-",
            stdin=text_of,
        )
