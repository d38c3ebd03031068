"""Server-side apply, tried and done: one field manager, which is that of `kubectl apply --server-side`, too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.identity import Identity, as_stream, from_list, identity
from modelyard.kubernetes.kubectl import last_words
from modelyard.kubernetes.objects import label

if TYPE_CHECKING:
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

FIELD_MANAGER = "kubectl"
"""What `kubectl apply --server-side` writes under, so that either way goes on where the other ended."""

_CONFLICT = re.compile(
    r'conflicts? with "([^"]+)"(?: with subresource "[^"]+")?(?: using [^\s:]+)?(?: at \S+)?:((?: \.\S+)|(?:\n\s*- \.\S+)+)'
)
_ADVICE = re.compile(r"\s*Please review the fields above.*", re.DOTALL)
"""What kubectl says about its own options, behind a conflict."""


@dataclass(frozen=True)
class Conflict:
    """Fields of an object that another manager has set to something else."""

    manager: str
    fields: tuple[str, ...]


@dataclass
class Attempt:
    """What the API answered: each object as it is then, and of those that it refuses, why."""

    results: dict[Identity, Any] = field(default_factory=dict)
    refused: dict[Identity, str] = field(default_factory=dict)


def attempt(kubectl: Kubectl, documents: list[Object], namespace: str, *, force: bool = False) -> Attempt:
    """Return what an apply would make of `documents`, which the API checks whole; nothing is changed."""
    found = Attempt()
    if not documents:
        return found
    options = ["--dry-run=server", *(["--force-conflicts"] if force else [])]
    done = kubectl.run(*_apply(*options), stdin=as_stream(documents))
    found.results = {identity(one, namespace): one for one in from_list(done.stdout)}
    if done.returncode == 0:
        return found
    for document in documents:  # kubectl does not say which object a refusal is about
        which = identity(document, namespace)
        if which in found.results:
            continue
        alone = kubectl.run(*_apply(*options), stdin=as_stream([document]))
        if alone.returncode == 0:
            found.results[which] = from_list(alone.stdout)[0]
        else:
            found.refused[which] = _ADVICE.sub("", last_words(alone))
    return found


def apply(kubectl: Kubectl, documents: list[Object]) -> list[Any]:
    """Apply `documents`, each of which was tried, and return them as they are then.

    Raises:
        ToolError: the API refuses one all the same.
    """
    if not documents:
        return []
    names = ", ".join(label(one) for one in documents)
    done = kubectl.run(*_apply("--force-conflicts"), stdin=as_stream(documents))
    if done.returncode != 0:
        msg = f"the cluster refused what it took in a dry run ({names}): {last_words(done)}\n  deploy again"
        raise ToolError(msg)
    return from_list(done.stdout)


def apply_fields(kubectl: Kubectl, document: Object, manager: str) -> None:
    """Set some fields of an object that is there, under a manager of their own.

    Raises:
        ToolError: the API refuses them.
    """
    words = ["apply", "--server-side", f"--field-manager={manager}", "--force-conflicts", "-f", "-"]
    kubectl.must(f"the cluster refused fields of {label(document)}", *words, stdin=as_stream([document]))


def conflicts(refusal: str) -> list[Conflict]:
    """Return the conflicts that a refusal of kubectl's is about; none if it is about something else."""
    found = _CONFLICT.findall(refusal)
    return [Conflict(who, tuple(re.findall(r"\.\S+", fields))) for who, fields in found]


def refuse(refused: dict[Identity, str]) -> None:
    """Say what the API refuses, if it refuses any.

    Args:
        refused: of each object that it refuses, why.

    Raises:
        ToolError: it refuses one.
    """
    if not refused:
        return
    lines = [f"{which.kind.rpartition('/')[2]}/{which.name}: {why}" for which, why in refused.items()]
    owned = any(conflicts(why) for why in refused.values())
    more = "to take fields over from others, set force_conflicts = true" if owned else "mend what was rendered"
    msg = "the cluster refuses the objects, and nothing was applied:\n  " + "\n  ".join(lines) + f"\n  {more}"
    raise ToolError(msg)


def _apply(*options: str) -> list[str]:
    manager = f"--field-manager={FIELD_MANAGER}"
    return ["apply", "--server-side", manager, *options, "-o", "json", "--show-managed-fields", "-f", "-"]
