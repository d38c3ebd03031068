"""Where a deploy goes: the context, the server and the namespace, as a person is told them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.kubernetes.kubectl import is_forbidden, last_words
from modelyard.kubernetes.objects import get, items, mapping, text

if TYPE_CHECKING:
    from modelyard.kubernetes.kubectl import Kubectl


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Attributes:
        context: the kubectl context; empty inside of a pod.
        server: the address of the API.
        version: for instance `v1.36.2`.
        namespace: the one that counts where an object names none.
    """

    context: str
    server: str
    version: str
    namespace: str

    def __str__(self) -> str:
        where = f"context {self.context}, " if self.context else ""
        return f"{where}server {self.server or '(of this pod)'} (Kubernetes {self.version}), namespace {self.namespace}"


def reach(kubectl: Kubectl) -> Cluster:
    """Return the cluster that `kubectl` talks to; one that does not tell its version to everybody does answer.

    Raises:
        ToolError: it does not answer.
    """
    done = kubectl.run("version", "--request-timeout=15s", "-o", "json")
    if done.returncode != 0 and not is_forbidden(done.stderr):
        msg = (
            f"the cluster does not answer: {last_words(done)}\n"
            "  see `kubectl config get-contexts`; choose one with `kube_context` or `kubectl config use-context`"
        )
        raise ToolError(msg)
    view = kubectl.read("config", "view", "--minify")
    known: Any = next(iter(items(view, "contexts")), {})
    server = text(next(iter(items(view, "clusters")), {}), "cluster", "server")
    version = (
        get(json.loads(done.stdout or "{}"), "serverVersion", "gitVersion") or "of a version that it does not tell"
    )
    namespace = kubectl.namespace or text(mapping(known, "context"), "namespace") or "default"
    return Cluster(text(known, "name"), server, version, namespace)
