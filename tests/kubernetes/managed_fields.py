"""Server-side apply as far as a deploy leans on it: who owns which field, conflicts, force, and what goes when nobody does.

Lists are merged by key where the API merges them (`_KEYS`), and are one value elsewhere. Not played: other versions of an
object, lists that are sets, unions, and defaults other than a Deployment's number of pods.
Source: Kubernetes, "Server-Side Apply".
"""

from __future__ import annotations

import copy
import json
from typing import Any

Path = tuple[str, ...]

_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_PORTS = {"template": ("containerPort", "protocol"), "": ("port", "protocol")}
_IDENTITY = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


class ConflictError(Exception):
    """Others own fields that are to get another value."""


def apply(live: dict[str, Any] | None, wanted: dict[str, Any], manager: str, *, force: bool) -> dict[str, Any]:
    """Return the object that an apply of `wanted` under `manager` makes of `live` (None: it is created).

    Raises:
        ConflictError: the message is the API's.
    """
    before = live or {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": {}}
    entries = copy.deepcopy(before["metadata"].get("managedFields", []))
    leaves = {path: value for path, value in flat(wanted).items() if path not in _IDENTITY}
    now = flat(before)
    rivals = _rivals(entries, manager, leaves, now)
    if rivals and not force:
        raise ConflictError(_told(rivals, wanted["apiVersion"]))
    own = _own(entries, manager, wanted["apiVersion"])
    gone = set(paths(own["fieldsV1"])) - set(leaves)
    own["fieldsV1"] = tree(leaves)
    for entry in entries:
        if entry is not own:
            taken = {path for who, path in rivals if who is entry}
            entry["fieldsV1"] = tree([path for path in paths(entry["fieldsV1"]) if path not in taken])
    kept = {path for entry in entries for path in paths(entry["fieldsV1"])}
    result = flat(_without(before)) | flat(wanted)
    result = {path: value for path, value in result.items() if path not in gone or path in kept}
    made = nested(result)
    servers = {key: before["metadata"][key] for key in _SERVERS if key in before["metadata"]}
    made["metadata"] = {**made["metadata"], **servers, "managedFields": [e for e in entries if e["fieldsV1"]]}
    if wanted["kind"] == "Deployment":
        made["spec"].setdefault("replicas", 1)
    return made


def update(live: dict[str, Any], changed: dict[str, Any], manager: str, subresource: str = "") -> dict[str, Any]:
    """Return `changed`, with the fields that differ from `live` owned by `manager`, as an update of it makes it."""
    changed = copy.deepcopy(changed)
    entries = changed["metadata"].setdefault("managedFields", [])
    before, after = flat(_without(live)), flat(_without(changed))
    differing = [path for path, value in after.items() if before.get(path) != value]
    for entry in entries:
        entry["fieldsV1"] = tree([p for p in paths(entry["fieldsV1"]) if p not in differing])
    entry = {"manager": manager, "operation": "Update", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1"}
    more = {"subresource": subresource} if subresource else {}
    entries.append({**entry, **more, "fieldsV1": tree(differing)})
    return changed


def flat(value: Any, where: Path = ()) -> dict[Path, Any]:
    """Return the leaves of an object by their paths, as `fieldsV1` names them."""
    if isinstance(value, dict) and value:
        return {path: leaf for key, inner in value.items() for path, leaf in flat(inner, (*where, f"f:{key}")).items()}
    keys = _list_keys(where)
    if isinstance(value, list) and keys and value:
        found: dict[Path, Any] = {}
        for one in value:
            which = json.dumps({key: one.get(key, "TCP") for key in keys}, sort_keys=True)
            found |= flat(one, (*where, f"k:{which}"))
        return found
    return {where: value}


def nested(leaves: dict[Path, Any]) -> Any:
    """Return the object that has these leaves."""
    return _built({path: value for path, value in leaves.items() if path})


def paths(fields: dict[str, Any], where: Path = ()) -> list[Path]:
    """Return the paths of the leaves of a `fieldsV1`."""
    found = []
    for key, inner in fields.items():
        if key != ".":
            found += paths(inner, (*where, key)) if set(inner) - {"."} else [(*where, key)]
    return found


def tree(leaves: Any) -> dict[str, Any]:
    """Return the `fieldsV1` that has these leaves."""
    made: dict[str, Any] = {}
    for path in leaves:
        inner = made
        for key in path:
            inner = inner.setdefault(key, {})
    return made


def _built(leaves: dict[Path, Any]) -> Any:
    if set(leaves) == {()}:
        return leaves[()]
    groups: dict[str, dict[Path, Any]] = {}
    for path, value in leaves.items():
        if path:  # an empty mapping or list that now has something in it
            groups.setdefault(path[0], {})[path[1:]] = value
    if all(key.startswith("k:") for key in groups):
        return [_built(inner) for inner in groups.values()]
    return {key.removeprefix("f:"): _built(inner) for key, inner in groups.items()}


def _list_keys(where: Path) -> tuple[str, ...]:
    name = where[-1].removeprefix("f:") if where else ""
    if name == "ports":
        return _PORTS["template" if "f:containers" in where else ""] if "f:ingress" not in where else ()
    return _KEYS.get(name, ())


def _without(thing: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its status and what the server alone says of it."""
    rest = {key: value for key, value in thing.items() if key != "status"}
    rest["metadata"] = {key: value for key, value in thing["metadata"].items() if key not in _SERVERS}
    return rest


def _own(entries: list[Any], manager: str, version: str) -> dict[str, Any]:
    for entry in entries:
        if (entry["manager"], entry["operation"]) == (manager, "Apply"):
            found: dict[str, Any] = entry
            return found
    entry = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": {}}
    entries.append(entry)
    return entry


def _rivals(entries: list[Any], manager: str, wanted: dict[Path, Any], now: dict[Path, Any]) -> list[tuple[Any, Path]]:
    others = [entry for entry in entries if (entry["manager"], entry["operation"]) != (manager, "Apply")]
    return [
        (entry, path)
        for entry in others
        for path in paths(entry["fieldsV1"])
        if path in wanted and now.get(path) != wanted[path]
    ]


def _told(rivals: list[tuple[Any, Path]], version: str) -> str:
    of: dict[str, list[str]] = {}
    for entry, path in rivals:
        more = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
        of.setdefault(f'"{entry["manager"]}"{more} using {version}', []).append(_shown(path))
    if len(rivals) == 1:
        who, fields = next(iter(of.items()))
        return f"Apply failed with 1 conflict: conflict with {who}: {fields[0]}"
    lines = [line for who, fields in of.items() for line in (f"conflicts with {who}:", *(f"- {one}" for one in fields))]
    return "\n".join([f"Apply failed with {len(rivals)} conflicts: {lines[0]}", *lines[1:]])


def _shown(path: Path) -> str:
    text = ""
    for key in path:
        if key.startswith("k:"):
            text += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(key[2:]).items()) + "]"
        else:
            text += f".{key.removeprefix('f:')}"
    return text
