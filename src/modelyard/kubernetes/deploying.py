"""Deploy what the `kubernetes` target rendered, and say what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, ToolError
from modelyard.kubernetes.kubectl import Kubectl, last_words
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.objects import Bundle, Object, get, items, label, mapping, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIELD_MANAGER = "modelyard"


@dataclass(frozen=True)
class NeededSecret:
    """A Secret that the objects name: its name, its keys, and how it is made (`generic`, `tls`, `docker-registry`)."""

    name: str
    keys: tuple[str, ...]
    kind: str

    def command(self, kubectl: Kubectl) -> str:
        """Return the command that makes it, for a person to fill in."""
        if self.kind == "tls":
            options = ["--cert=tls.crt", "--key=tls.key"]
        elif self.kind == "docker-registry":
            options = ["--docker-server=HOST", "--docker-username=USER", "--docker-password=PASSWORD"]
        else:
            options = [f"--from-file={key}=./{key}" for key in self.keys]
        return kubectl.shown("create", "secret", self.kind, self.name, *options)


def deploy(
    manifests: Path,
    *,
    project: Path,
    say: Callable[[str], None] = print,
    **params: Any,
) -> None:
    """Apply the objects in `manifests` with the user's kubectl and wait until they run.

    Args:
        manifests: the folder that the `kubernetes` target made.
        project: the project's folder; the messages name files relative to it.
        say: takes each line about what is done.
        params: the target's parameters, of which `kube_context`, `rollout_timeout_s` and `force_conflicts` count here.

    Raises:
        ToolError: kubectl, a Secret or the namespace is missing, or the cluster does not answer or says no.
        StageFailed: the objects were applied but the pods do not get ready; the message says why, pod by pod.
    """
    documents = objects_in(read_folder(manifests))
    kubectl = Kubectl.find(str(params.get("kube_context") or ""), _namespace(documents))
    apply = ["apply", "--server-side", f"--field-manager={FIELD_MANAGER}"]
    apply += ["--force-conflicts"] if params.get("force_conflicts") else []
    say(f"cluster answers: {_reach(kubectl)}")
    _prepare_namespace(kubectl, apply, manifests, documents, say)
    _check_secrets(kubectl, documents, say)
    done = _accepted(kubectl, "the cluster refused the objects", *apply, "-k", str(manifests))
    for line in done.strip().splitlines():
        say(line)
    for thing in Bundle(documents).of("Deployment"):
        _wait(kubectl, thing, int(params.get("rollout_timeout_s") or 300), say)
    say(f"deployed {_shown_folder(manifests, project)}")


def needed_secrets(documents: list[Object]) -> list[NeededSecret]:
    """Return the Secrets that the objects name and that must be there before their pods can start."""
    found: dict[str, NeededSecret] = {}
    for one in _secrets(Bundle(documents)):
        found.setdefault(one.name, one)
    return list(found.values())


def _secrets(bundle: Bundle) -> Iterator[NeededSecret]:
    for pod in bundle.pods:
        for volume in items(pod.spec, "volumes"):
            secret = mapping(volume, "secret")
            if secret and not secret.get("optional"):
                keys = tuple(text(item, "key") for item in items(secret, "items"))
                yield NeededSecret(text(secret, "secretName"), keys, "tls" if "tls.crt" in keys else "generic")
        for reference in items(pod.spec, "imagePullSecrets"):
            yield NeededSecret(text(reference, "name"), (".dockerconfigjson",), "docker-registry")
    for ingress in bundle.of("Ingress"):
        for entry in items(ingress, "spec", "tls"):
            yield NeededSecret(text(entry, "secretName"), ("tls.crt", "tls.key"), "tls")


def _namespace(documents: list[Object]) -> str:
    return next((found for one in documents if (found := text(one, "metadata", "namespace"))), "")


def _accepted(kubectl: Kubectl, what: str, *arguments: str) -> str:
    try:
        return kubectl.must(what, *arguments)
    except ToolError as exc:
        if "--force-conflicts" not in str(exc):
            raise
        msg = f"{exc}\n  to take the fields over, set force_conflicts = true"
        raise ToolError(msg) from exc


def _reach(kubectl: Kubectl) -> str:
    done = kubectl.run("version", "--request-timeout=15s", "-o", "json")
    if done.returncode != 0:
        msg = (
            f"the cluster does not answer: {last_words(done)}\n"
            "  see `kubectl config get-contexts`; choose one with `kube_context` or `kubectl config use-context`"
        )
        raise ToolError(msg)
    return _server_version(done.stdout)


def _server_version(answer: str) -> str:
    import json

    return f"Kubernetes {get(json.loads(answer), 'serverVersion', 'gitVersion') or '(unknown version)'}"


def _prepare_namespace(
    kubectl: Kubectl, apply: list[str], manifests: Path, documents: list[Object], say: Callable[[str], None]
) -> None:
    own = Bundle(documents).of("Namespace")
    if own:
        file = next(name for name, objects in read_folder(manifests).items() if own[0] in objects)
        say(_accepted(kubectl, "the cluster refused the namespace", *apply, "-f", str(manifests / file)).strip())
    elif kubectl.namespace and _missing(kubectl.run("get", "namespace", kubectl.namespace, "-o", "name")):
        msg = (
            f"namespace {kubectl.namespace!r} is not there\n"
            f"  create it: kubectl create namespace {kubectl.namespace}   (or set create_namespace = true)"
        )
        raise ToolError(msg)


def _missing(done: Any) -> bool:
    return done.returncode != 0 and "(NotFound)" in done.stderr


def _check_secrets(kubectl: Kubectl, documents: list[Object], say: Callable[[str], None]) -> None:
    lacking = []
    for secret in needed_secrets(documents):
        done = kubectl.run(
            "get", "secret", secret.name, "-o", "go-template={{range $key, $value := .data}}{{$key}} {{end}}"
        )
        if _missing(done):
            lacking.append(f"Secret {secret.name!r} is not there\n  {secret.command(kubectl)}")
        elif done.returncode != 0:
            say(f"warning: cannot look for Secret {secret.name!r}: {last_words(done)}")
        elif absent := [key for key in secret.keys if key not in done.stdout.split()]:
            again = f"kubectl delete secret {secret.name} && {secret.command(kubectl)}"
            lacking.append(f"Secret {secret.name!r} lacks {', '.join(absent)}\n  {again}")
    if lacking:
        msg = "\n".join(lacking)
        raise ToolError(msg)


def _wait(kubectl: Kubectl, thing: Object, timeout_s: int, say: Callable[[str], None]) -> None:
    name = f"deployment/{text(thing, 'metadata', 'name')}"
    say(f"waiting up to {timeout_s} s for {name}")
    done = kubectl.run("rollout", "status", name, f"--timeout={timeout_s}s")
    if done.returncode == 0:
        say(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else f"{name} is rolled out")
        return
    selector = ",".join(f"{key}={value}" for key, value in mapping(thing, "spec", "selector", "matchLabels").items())
    reasons = [last_words(done), *_pod_reasons(kubectl, selector), *_warnings(kubectl, text(thing, "metadata", "name"))]
    msg = (
        f"{label(thing)} did not get ready:\n  " + "\n  ".join(reasons) + "\n"
        f"  look further: {kubectl.shown('logs', '-l', selector, '--tail=50', '--all-containers')}\n"
        f"  go back: {kubectl.shown('rollout', 'undo', name)}"
    )
    raise StageFailed(msg)


def _pod_reasons(kubectl: Kubectl, selector: str) -> Iterator[str]:
    """Say of each pod that is not ready what keeps it."""
    pods = items(kubectl.read("get", "pods", "-l", selector), "items")
    if not pods:
        yield "no pod was made"
    for pod in pods:
        conditions = {text(one, "type"): one for one in items(pod, "status", "conditions")}
        if text(conditions.get("Ready"), "status") == "True":
            continue
        states = [state for one in items(pod, "status", "containerStatuses") for state in _states(one)]
        scheduled = conditions.get("PodScheduled")
        if text(scheduled, "status") == "False":
            states.append(f"{text(scheduled, 'reason')}: {text(scheduled, 'message')}")
        yield f"{label({**pod, 'kind': 'Pod'})}: {'; '.join(states) or text(pod, 'status', 'phase') or 'not ready'}"


def _states(status: Object) -> Iterator[str]:
    waiting, ended = mapping(status, "state", "waiting"), mapping(status, "lastState", "terminated")
    if waiting:
        yield f"{text(waiting, 'reason')}: {text(waiting, 'message')}".rstrip(": ")
    for one in (mapping(status, "state", "terminated"), ended):
        if one:
            yield f"ended with code {one.get('exitCode')} ({text(one, 'reason')}) {text(one, 'message')}".rstrip()
    if get(status, "state", "running") is not None and not status.get("ready"):
        yield f"runs but is not ready, restarts: {status.get('restartCount', 0)}"


def _warnings(kubectl: Kubectl, name: str) -> list[str]:
    events = items(kubectl.read("get", "events", "--field-selector=type=Warning"), "items")
    mine = [one for one in events if _belongs(text(one, "involvedObject", "name"), name)]
    mine.sort(key=lambda one: text(one, "lastTimestamp") or text(one, "eventTime"))
    return [
        f"event {text(one, 'reason')} on {text(one, 'involvedObject', 'name')}: {text(one, 'message')}"
        for one in mine[-6:]
    ]


def _belongs(who: str, name: str) -> bool:
    return who == name or who.startswith(f"{name}-")


def _shown_folder(folder: Path, project: Path) -> str:
    return str(folder.relative_to(project)) if folder.is_relative_to(project) else str(folder)
