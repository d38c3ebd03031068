"""Who set which field of a live object, and what modelyard takes back of its own objects.

What a person did by hand with kubectl (`set image`, `edit`, `rollout undo`) is owned by managers of other names. As long as
they are, fields that are no longer rendered would stay. A deploy takes them into its own name; annotations and labels stay a
person's, and what a controller set (an autoscaler's replicas) stays the controller's.

Source: Kubernetes, "Server-Side Apply": field management, transferring ownership.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.applying import FIELD_MANAGER
from modelyard.kubernetes.kubectl import last_words
from modelyard.kubernetes.objects import items, kind, label, mapping, text

if TYPE_CHECKING:
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

BY_HAND = re.compile(r"kubectl(-.*)?|before-first-apply")
FORMER = "modelyard"
"""What earlier versions of modelyard applied under."""
RECORDER, REPLICAS = "modelyard-record", "modelyard-replicas"
"""What modelyard writes under beside the objects that it renders: what was deployed, and the pods' number."""
_TRIES = 5
_PERSONS = ("f:annotations", "f:labels")


def may_be_taken(manager: str) -> bool:
    """Tell whether a deploy takes over fields of its own objects from `manager` without being asked."""
    return bool(BY_HAND.fullmatch(manager)) or manager in (FORMER, RECORDER, REPLICAS)


def set_by_hand(live: Object) -> list[str]:
    """Return the managers whose fields of a live object of ours a deploy takes back, in order."""
    if kind(live) == "Namespace":
        return []
    return [text(one, "manager") for one in items(live, "metadata", "managedFields") if _takes(one)]


def take_back(kubectl: Kubectl, live: Object) -> None:
    """Take the fields that were set by hand into the name under which modelyard applies; no value changes.

    A controller may write its status meanwhile: the object is read again then.

    Raises:
        ToolError: the API refuses.
    """
    words = [_resource(live), text(live, "metadata", "name")]
    for left in reversed(range(_TRIES)):
        entries = merged(items(live, "metadata", "managedFields"))
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": text(live, "metadata", "resourceVersion")},
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        ]
        done = kubectl.run("patch", *words, "--type=json", f"-p={json.dumps(patch)}")
        if done.returncode == 0:
            return
        if not left:
            msg = f"the cluster refused to hand over fields of {label(live)}: {last_words(done)}\n  deploy again"
            raise ToolError(msg)
        live = kubectl.read("get", *words, "--show-managed-fields") or live
        if not set_by_hand(live):
            return


def _resource(live: Object) -> str:
    group = text(live, "apiVersion").rpartition("/")[0]
    return f"{text(live, 'kind').lower()}.{group}".rstrip(".")


def merged(entries: list[Any]) -> list[Any]:
    """Return the entries of `managedFields` with those that are taken back put into the one of `FIELD_MANAGER`."""
    kept = copy.deepcopy(entries)
    taken = [one for one in kept if _takes(one)]
    mine = next((one for one in kept if one.get("manager") == FIELD_MANAGER and one.get("operation") == "Apply"), None)
    if mine is None:
        mine = {**taken[0], "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {}}
        kept.append(mine)
    for one in taken:
        whole = one.get("operation") == "Apply"
        fields = one["fieldsV1"]
        _merge(mine["fieldsV1"], fields if whole else _without_persons(fields))
        one["fieldsV1"] = {} if whole else _persons(fields)
    return [one for one in kept if one["fieldsV1"]]


def owners(live: Object, *path: str) -> set[str]:
    """Return the managers that own the field at `path` of a live object, for instance `spec`, `replicas`."""
    keys = [f"f:{key}" for key in path]
    entries = items(live, "metadata", "managedFields")
    return {text(one, "manager") for one in entries if _has(mapping(one, "fieldsV1"), keys)}


def _takes(entry: Object) -> bool:
    if entry.get("subresource"):
        return False
    if entry.get("operation") == "Apply":
        return text(entry, "manager") == FORMER
    return bool(BY_HAND.fullmatch(text(entry, "manager"))) and bool(_without_persons(mapping(entry, "fieldsV1")))


def _has(fields: Any, keys: list[str]) -> bool:
    for key in keys:
        if key not in fields:
            return False
        fields = fields[key]
    return True


def _without_persons(fields: Any) -> dict[str, Any]:
    """Return a set of fields without annotations and labels, which may be a person's own."""
    found = {}
    for key, inner in fields.items():
        rest = _without_persons(inner)
        if key not in _PERSONS and (rest or not inner):
            found[key] = rest
    return found


def _persons(fields: Any) -> dict[str, Any]:
    """Return what `_without_persons` leaves out."""
    found = {}
    for key, inner in fields.items():
        rest = copy.deepcopy(inner) if key in _PERSONS else _persons(inner)
        if rest:
            found[key] = rest
    return found


def _merge(into: dict[str, Any], more: Any) -> None:
    for key, inner in more.items():
        _merge(into.setdefault(key, {}), inner)
