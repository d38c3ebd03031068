"""A cluster's API on loopback, as much of it as a deploy asks for, so that the real `kubectl` talks to it.

It keeps objects in memory, refuses what the schema refuses, merges fields by their managers (`managed_fields`), takes dry
runs, counts generations, and has a controller that makes a ReplicaSet and pods of a Deployment at once. How the pods fare is
what a test says. It starts nothing, checks nobody's rights but those that a test takes away, and has no other defaults
than a Deployment's number of pods: what only a real API says is left to the tests that take a cluster.
Source: Kubernetes API conventions ("Kubernetes API Concepts": server-side apply, dry run, watches; "API discovery").
"""

from __future__ import annotations

import copy
import functools
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import yaml
from tests.kubernetes import knative_controllers, managed_fields
from tests.kubernetes.deployment_controller import reconcile

from modelyard.kubernetes.schema import schema_findings

# path of the group, plural, kind, namespaced
RESOURCES = [
    ("api/v1", "namespaces", "Namespace", False),
    ("api/v1", "pods", "Pod", True),
    ("api/v1", "secrets", "Secret", True),
    ("api/v1", "configmaps", "ConfigMap", True),
    ("api/v1", "services", "Service", True),
    ("api/v1", "serviceaccounts", "ServiceAccount", True),
    ("api/v1", "events", "Event", True),
    ("apis/apps/v1", "deployments", "Deployment", True),
    ("apis/apps/v1", "replicasets", "ReplicaSet", True),
    ("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True),
    ("apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True),
    ("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", True),
    ("apis/networking.k8s.io/v1", "ingresses", "Ingress", True),
    ("apis/batch/v1", "jobs", "Job", True),
    ("apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject", True),
    ("apis/keda.sh/v1alpha1", "scaledjobs", "ScaledJob", True),
    ("apis/keda.sh/v1alpha1", "triggerauthentications", "TriggerAuthentication", True),
    ("apis/serving.knative.dev/v1", "services", "Service", True),
    ("apis/eventing.knative.dev/v1", "triggers", "Trigger", True),
    ("apis/gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute", True),
    ("apis/gateway.networking.k8s.io/v1", "backendtlspolicies", "BackendTLSPolicy", True),
]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass
class Cluster:
    """What the API knows.

    Attributes:
        objects: path of the object (`api/v1/namespaces/NS/pods/NAME`) -> the object.
        written: each write that was no dry run, in order: method, kind and query.
        statuses: the status of each new pod, by the beginning of a word in its images; any other gets ready.
        refusal: why the controller can make no pods; empty: it can.
        conditions: what Knative's controllers say of objects of a kind; without it, that they are ready.
        lacks: groups and versions that the API does not know.
        forbidden: plurals, and paths, that the user may not read.
        role_in: the namespace outside of which the user may do nothing, the namespace itself included; empty: there is none.
        reads_namespaces: whether that user may read namespaces all the same.
        asked: verb, group and plural of all that was asked for and is in a namespace.
        replicas: every number of pods that a Deployment was given, in order.
    """

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusal: str = ""
    conditions: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    role_in: str = ""
    reads_namespaces: bool = False
    asked: set[tuple[str, str, str]] = field(default_factory=set)
    replicas: list[int] = field(default_factory=list)
    kubeconfig: Path = Path()
    lock: threading.RLock = field(default_factory=threading.RLock)
    _version: int = 0

    def add(self, path: str, **content: Any) -> None:
        """Put an object at `path`, for instance `api/v1/namespaces/digits/secrets/digits-auth`."""
        group, plural, kind, _ = resource(path)
        parts = path.split("/")
        metadata = {"name": parts[-1], **({"namespace": parts[-3]} if plural != "namespaces" else {})}
        version = group.removeprefix("apis/").removeprefix("api/")
        self.put(path, {"apiVersion": version, "kind": kind, "metadata": metadata, **content})

    def put(self, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Store an object, as new if it differs from what is there, and let the controller do its part."""
        with self.lock:
            return self._put(path, thing)

    def _put(self, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        before = self.objects.get(path)
        thing = self.stamped(path, thing)
        if thing is before:
            return thing
        self.objects[path] = thing
        if thing["kind"] == "Deployment":
            self.replicas.append(thing["spec"]["replicas"])
            reconcile(self, path)
        if ".knative.dev/" in thing["apiVersion"]:
            knative_controllers.reconcile(self, path)
        return thing

    def stamped(self, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Return an object with what the server says of it: that which is there, if nothing differs."""
        before = self.objects.get(path, {"metadata": {}})
        if path in self.objects and _content(before) == _content(thing):
            return before
        self._version += 1
        counted = before["metadata"].get("generation", 0) + (before.get("spec") != thing.get("spec"))
        stamps = {"generation": max(counted, 1), "resourceVersion": str(self._version), "uid": path}
        return {**thing, "metadata": {**thing["metadata"], **stamps}}

    def take(self, other: Cluster) -> None:
        """Have what another cluster has, and what was done there."""
        with self.lock:
            for name in ("objects", "written", "asked", "replicas", "_version"):
                setattr(self, name, copy.deepcopy(getattr(other, name)))

    def get(self, kind: str, name: str = "digits") -> dict[str, Any] | None:
        """Return an object of the namespace `digits`, or None."""
        found = [o for o in self.objects.values() if (o["kind"], o["metadata"]["name"]) == (kind, name)]
        return found[0] if found else None

    def names(self, kind: str) -> list[str]:
        """Return the names of the objects of a kind, in order."""
        return sorted(one["metadata"]["name"] for one in self.objects.values() if one["kind"] == kind)

    def by_hand(self, path: str, manager: str, *where: str | int, value: Any, subresource: str = "") -> None:
        """Set a field of an object as a person or a controller does, under `manager`."""
        changed = copy.deepcopy(self.objects[path])
        inner: Any = changed
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        self.put(path, managed_fields.update(self.objects[path], changed, manager, subresource))

    def kinds(self) -> list[str]:
        """The kinds that were written, in order."""
        return [kind for _, kind, _ in self.written]


def _content(thing: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its status and what the server stamps onto it."""
    stamps = ("generation", "resourceVersion", "uid")
    metadata = {key: value for key, value in thing["metadata"].items() if key not in stamps}
    return {**{key: value for key, value in thing.items() if key != "status"}, "metadata": metadata}


def plural_of(path: str) -> str:
    """Return the plural of the kind of the objects at `path`; empty: it is none of an object."""
    return next((part for part in reversed(path.split("/")) if part in {one[1] for one in RESOURCES}), "")


def resource(path: str) -> tuple[str, str, str, bool]:
    """Return what kind of object is at `path`."""
    parts = path.split("/")
    return next(one for one in RESOURCES if path.startswith(one[0]) and one[1] in parts[-2:])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body that is written after its headers waits for their ACK, 40 ms
    cluster: ClassVar[Cluster]

    def log_message(self, *_: object) -> None:
        pass

    def asked(self) -> tuple[str, dict[str, str]]:
        url = urlsplit(self.path)
        return url.path.strip("/"), {key: values[-1] for key, values in parse_qs(url.query).items()}

    def body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        return yaml.load(self.rfile.read(length), Loader=LOADER) if length else None

    def do_GET(self) -> None:
        path, query = self.asked()
        plural = plural_of(path)
        self.note("list" if path.endswith(f"/{plural}") else "get", path)
        readable = self.cluster.reads_namespaces and plural == "namespaces"
        if any(path.startswith(f"apis/{one}") for one in self.cluster.lacks):
            self.fail(404, "NotFound", "the server could not find the requested resource")
        elif {plural, path} & {*self.cluster.forbidden} or (self.is_outside(path) and not readable):
            self.forbid(path, "get")
        elif (found := discovery(path)) is not None:
            self.answer(found)
        elif path in self.cluster.objects:
            self.answer(self.cluster.objects[path])
        elif path.endswith(f"/{plural}") and plural:
            self.list(path, query)
        else:
            self.fail(404, "NotFound", f'{plural} "{path.rpartition("/")[2]}" not found')

    def do_PATCH(self) -> None:
        path, query = self.asked()
        body = self.body()
        self.note("patch", path)
        if self.is_outside(path):
            self.forbid(path, "patch")
        elif (namespace := self.namespace_of(path)) not in self.cluster.objects and namespace:
            self.fail(404, "NotFound", f'namespaces "{namespace.rpartition("/")[2]}" not found')
        elif self.headers["Content-Type"] == "application/apply-patch+yaml":
            self.apply(path, query, body)
        elif self.headers["Content-Type"] == "application/json-patch+json":
            self.json_patch(path, query, body)
        else:
            self.fail(415, "UnsupportedMediaType", "this cluster takes server-side apply and JSON patches only")

    def note(self, verb: str, path: str) -> None:
        """Note what right was needed."""
        if "/namespaces/" in path and (plural := plural_of(path)) not in ("", "namespaces"):
            parts = path.split("/")
            self.cluster.asked.add((verb, parts[1] if parts[0] == "apis" else "", plural))

    def is_outside(self, path: str) -> bool:
        """Tell whether a path is of no object in the namespace that the user's Role is for."""
        role = self.cluster.role_in
        return bool(role) and discovery(path) is None and f"/namespaces/{role}/" not in path

    def forbid(self, path: str, verb: str) -> None:
        what = plural_of(path)
        self.fail(403, "Forbidden", f'{what} is forbidden: User "dev" cannot {verb} resource "{what}"')

    def namespace_of(self, path: str) -> str:
        found = re.search(r"/namespaces/([^/]+)/", path)
        return f"api/v1/namespaces/{found[1]}" if found else ""

    def apply(self, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        with self.cluster.lock:
            live = self.cluster.objects.get(path)
            try:
                made = managed_fields.apply(live, body, query["fieldManager"], force=query.get("force") == "true")
            except managed_fields.ConflictError as exc:
                self.fail(409, "Conflict", str(exc))
                return
            if problem := schema_problem(plain(made)) or immutable_problem(live, made):
                self.fail(422, "Invalid", problem)
                return
            if live is None:
                self.note("create", path)
            if query.get("dryRun") == "All":
                self.answer(self.cluster.stamped(path, made), 200 if live else 201)
                return
            self.cluster.written.append(("apply", body["kind"], query))
            self.answer(self.cluster.put(path, made), 200 if live else 201)

    def json_patch(self, path: str, query: dict[str, str], body: list[dict[str, Any]]) -> None:
        thing = copy.deepcopy(self.cluster.objects[path])
        for one in body:
            keys = one["path"].strip("/").split("/")
            inner = thing
            for key in keys[:-1]:
                inner = inner[key]
            if one["op"] == "test" and inner.get(keys[-1]) != one["value"]:
                self.fail(422, "Invalid", f"the server rejected our request: testing path {one['path']} failed")
                return
            inner[keys[-1]] = one["value"]
        self.cluster.written.append(("patch", thing["kind"], query))
        self.answer(self.cluster.put(path, thing))

    def do_DELETE(self) -> None:
        path, query = self.asked()
        self.body()
        self.note("delete", path)
        with self.cluster.lock:
            gone = self.cluster.objects.pop(path, None)
            if gone is None:
                self.fail(404, "NotFound", f'"{path.rpartition("/")[2]}" not found')
                return
            self.cluster.written.append(("delete", gone["kind"], query))
            if gone["kind"] == "Deployment":
                reconcile(self.cluster, path)
            self.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    def list(self, path: str, query: dict[str, str]) -> None:
        group, _, kind, _ = next(one for one in RESOURCES if path.startswith(one[0]) and path.endswith(f"/{one[1]}"))
        version = group.removeprefix("apis/").removeprefix("api/")
        with self.cluster.lock:
            inside = [one for key, one in self.cluster.objects.items() if key.rpartition("/")[0] == path]
        items = [one for one in inside if matches(one, query)]
        self.answer(
            {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": items}
        )

    def answer(self, value: object, code: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.answer({**status, "message": message, "reason": reason, "code": code}, code)


def plain(thing: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what the schema of a manifest does not ask about."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    return {**{key: value for key, value in thing.items() if key != "status"}, "metadata": metadata}


def immutable_problem(live: dict[str, Any] | None, made: dict[str, Any]) -> str:
    """Say that a ConfigMap that cannot be changed would be."""
    if live and live.get("immutable") and live.get("data") != made.get("data"):
        return "data: Forbidden: field is immutable when `immutable` is set"
    return ""


def matches(thing: dict[str, Any], query: dict[str, str]) -> bool:
    """Tell whether an object has the fields and labels that a list asks for."""
    fields = dict(one.split("=") for one in query.get("fieldSelector", "").split(",") if one)
    labels = dict(one.split("=") for one in query.get("labelSelector", "").split(",") if one)
    known = {"metadata.name": thing["metadata"]["name"], "type": thing.get("type")}
    return all(known.get(key) == value for key, value in fields.items()) and (
        labels.items() <= thing["metadata"].get("labels", {}).items()
    )


def schema_problem(body: dict[str, Any]) -> str:
    """Say what the schema of the version has against an object; an empty text where no schema can be asked."""
    return _problem_of(json.dumps(body))


@functools.cache
def _problem_of(body: str) -> str:
    return "; ".join(finding.message for finding in schema_findings([json.loads(body)], "1.32"))


def discovery(path: str) -> dict[str, Any] | None:
    """Return what the API says of itself at `path`, or None."""
    groups = sorted({one[0] for one in RESOURCES})
    if path == "version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "linux/amd64"}
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "apis":
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(one) for one in groups if one != "api/v1"],
        }
    if path in groups:
        version = path.removeprefix("apis/").removeprefix("api/")
        return {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [_resource(o) for o in RESOURCES if o[0] == path],
        }
    if path == "openapi/v3":
        return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}"} for one in groups}}
    found = re.fullmatch(r"openapi/v3/(.+)", path)
    return _openapi(found[1]) if found and found[1] in groups else None


def _group(path: str) -> dict[str, Any]:
    _, name, version = path.split("/")
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resource(one: tuple[str, str, str, bool]) -> dict[str, Any]:
    _, plural, kind, namespaced = one
    return {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": VERBS}


def _openapi(path: str) -> dict[str, Any]:
    """Say that PATCH takes `fieldValidation`: kubectl asks before it lets the server check the fields."""
    group, version = ("", "v1") if path == "api/v1" else tuple(path.split("/")[1:])
    paths = {}
    for where, plural, kind, namespaced in RESOURCES:
        if where == path:
            of = {"group": group, "version": version, "kind": kind}
            parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
            url = f"/{path}/{'namespaces/{namespace}/' if namespaced else ''}{plural}/{{name}}"
            paths[url] = {"patch": {"x-kubernetes-group-version-kind": of, "parameters": parameters, "responses": {}}}
    return {"openapi": "3.0.0", "info": {"title": "stub", "version": "v1.32.4"}, "paths": paths}


def serve(folder: Path) -> tuple[Cluster, ThreadingHTTPServer]:
    """Start the API on a free port and write a kubeconfig for it into `folder`; shut the server down when done."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "stub",
        "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "dev", "user": {}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "dev", "namespace": "digits"}}],
    }
    cluster.kubeconfig = folder / "kubeconfig"
    cluster.kubeconfig.write_text(json.dumps(config))
    return cluster, server
