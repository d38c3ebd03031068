"""A cluster's API on loopback, as much of it as `kubectl apply`, `get` and `rollout status` ask for.

It keeps objects in memory and starts nothing: how the pods fare is what a test says. It takes server-side apply only,
refuses what the schema refuses, and answers in the API's own shapes, so that the real `kubectl` talks to it.
Source: Kubernetes API conventions ("Kubernetes API Concepts": server-side apply, watches; "API discovery").
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import yaml

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
    ("apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True),
    ("apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True),
    ("apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", True),
    ("apis/networking.k8s.io/v1", "ingresses", "Ingress", True),
]
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
READY = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
STUCK = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "unavailableReplicas": 2}


@dataclass
class Cluster:
    """What the API knows.

    Attributes:
        objects: path of the object (`api/v1/namespaces/NS/pods/NAME`) -> the object.
        applied: the query of each server-side apply, in order, with the kind that was applied.
        status: the status that each Deployment gets.
        owner: another field manager that owns every field, so that apply without force is a conflict.
        forbidden: plurals that the user may not read.
    """

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=lambda: dict(READY))
    owner: str = ""
    forbidden: tuple[str, ...] = ()
    kubeconfig: Path = Path()

    def add(self, path: str, **content: Any) -> None:
        """Put an object at `path`, for instance `api/v1/namespaces/digits/secrets/digits-auth`."""
        parts = path.split("/")
        group, plural, kind, _ = next(one for one in RESOURCES if path.startswith(one[0]) and one[1] in parts[-2:])
        metadata = {"name": parts[-1], **({"namespace": parts[-3]} if plural != "namespaces" else {})}
        version = group.removeprefix("apis/").removeprefix("api/")
        self.objects[path] = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def kinds(self) -> list[str]:
        """The kinds that were applied, in order."""
        return [kind for kind, _ in self.applied]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: ClassVar[Cluster]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path, query = url.path.strip("/"), {key: values[-1] for key, values in parse_qs(url.query).items()}
        plural = next((part for part in reversed(path.split("/")) if part in {one[1] for one in RESOURCES}), "")
        if plural in self.cluster.forbidden:
            self.fail(403, "Forbidden", f'{plural} is forbidden: User "dev" cannot get resource "{plural}"')
        elif (found := discovery(path)) is not None:
            self.answer(found)
        elif path in self.cluster.objects:
            self.answer(self.cluster.objects[path])
        elif path.endswith(f"/{plural}") and plural:
            self.list(path, query)
        else:
            self.fail(404, "NotFound", f'{plural} "{path.rpartition("/")[2]}" not found')

    def do_PATCH(self) -> None:
        url = urlsplit(self.path)
        path, query = url.path.strip("/"), {key: values[-1] for key, values in parse_qs(url.query).items()}
        body = yaml.safe_load(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Content-Type"] != "application/apply-patch+yaml":
            self.fail(415, "UnsupportedMediaType", "this cluster takes server-side apply only")
        elif self.cluster.owner and query.get("force") != "true":
            self.fail(409, "Conflict", f'Apply failed with 1 conflict: conflict with "{self.cluster.owner}": .spec')
        elif problem := schema_problem(body):
            self.fail(422, "Invalid", problem)
        else:
            self.cluster.applied.append((body["kind"], query))
            body["metadata"] |= {"generation": 1, "resourceVersion": str(len(self.cluster.applied)), "uid": path}
            if body["kind"] == "Deployment":
                body["status"] = self.cluster.status
            created = path not in self.cluster.objects
            self.cluster.objects[path] = body
            self.answer(body, 201 if created else 200)

    def list(self, path: str, query: dict[str, str]) -> None:
        inside = [one for key, one in self.cluster.objects.items() if key.rpartition("/")[0] == path]
        inside = [one for one in inside if matches(one, query)]
        if query.get("watch"):
            events = [{"type": "MODIFIED", "object": one} for one in inside]
            if query.get("sendInitialEvents") == "true":  # as kubectl asks since 1.35, in the place of a list before it
                events.append({"type": "BOOKMARK", "object": end_of_list(path)})
            self.watch(events, float(query.get("timeoutSeconds", "30")))
        else:
            group, _, kind, _ = next(
                one for one in RESOURCES if path.startswith(one[0]) and path.endswith(f"/{one[1]}")
            )
            version = group.removeprefix("apis/").removeprefix("api/")
            self.answer(
                {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": inside}
            )

    def watch(self, events: list[dict[str, Any]], timeout_s: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for one in events:
                event = json.dumps(one).encode() + b"\n"
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            time.sleep(min(timeout_s, 2))
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

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


def end_of_list(path: str) -> dict[str, Any]:
    """Return the object of the bookmark behind the objects that are there already.

    Source: kubernetes.io/docs/reference/using-api/api-concepts, "Streaming lists".
    """
    group, _, kind, _ = next(one for one in RESOURCES if path.startswith(one[0]) and path.endswith(f"/{one[1]}"))
    metadata = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
    return {"apiVersion": group.removeprefix("apis/").removeprefix("api/"), "kind": kind, "metadata": metadata}


def matches(thing: dict[str, Any], query: dict[str, str]) -> bool:
    """Tell whether an object has the fields and labels that a list asks for."""
    fields = dict(one.split("=") for one in query.get("fieldSelector", "").split(",") if one)
    labels = dict(one.split("=") for one in query.get("labelSelector", "").split(",") if one)
    known = {"metadata.name": thing["metadata"]["name"], "type": thing.get("type")}
    return all(known.get(key) == value for key, value in fields.items()) and (
        labels.items() <= thing["metadata"].get("labels", {}).items()
    )


def schema_problem(body: dict[str, Any]) -> str:
    """Say what the schema of the version has against an object."""
    try:
        import kubernetes_validate

        kubernetes_validate.validate(body, "1.32", strict=True)
    except ModuleNotFoundError:
        return ""
    except kubernetes_validate.ValidationError as exc:
        return str(exc.message)
    return ""


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
    threading.Thread(target=server.serve_forever, daemon=True).start()
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
