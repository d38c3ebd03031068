"""The Secrets that the objects name: modelyard never holds them, so they must be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.kubernetes.kubectl import last_words
from modelyard.kubernetes.objects import Bundle, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object


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

    def lack(self, kubectl: Kubectl, known: Mapping[str, set[str]]) -> str:
        """Say what is missing of it, with the command that makes it; nothing if it is whole."""
        if self.name not in known:
            return f"Secret {self.name!r} is not there\n  {self.command(kubectl)}"
        absent = [key for key in self.keys if key not in known[self.name]]
        again = f"kubectl delete secret {self.name} && {self.command(kubectl)}"
        return f"Secret {self.name!r} lacks {', '.join(absent)}\n  {again}" if absent else ""


def needed_secrets(documents: Sequence[Object]) -> list[NeededSecret]:
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


def check_secrets(kubectl: Kubectl, documents: Sequence[Object], say: Callable[[str], None]) -> None:
    """See that every Secret that the objects name is there, with its keys.

    Raises:
        ToolError: some are not, or lack keys.
    """
    needed = needed_secrets(documents)
    if not needed:
        return
    names = [one.name for one in needed]
    # the keys alone: no password comes here
    keys = "{{range $key, $value := .data}}{{$key}} {{end}}"
    one = f'{{{{.metadata.name}}}} {keys}{{{{"\\n"}}}}'
    template = f"{{{{if .items}}}}{{{{range .items}}}}{one}{{{{end}}}}{{{{else if .metadata.name}}}}{one}{{{{end}}}}"
    done = kubectl.run("get", "secrets", *names, "--ignore-not-found", "-o", f"go-template={template}")
    if done.returncode != 0:
        say(f"warning: cannot look for the Secrets {', '.join(names)}: {last_words(done)}")
        return
    known = {words[0]: set(words[1:]) for line in done.stdout.splitlines() if (words := line.split())}
    if lacking := [lack for one in needed if (lack := one.lack(kubectl, known))]:
        raise ToolError("\n".join(lacking))
