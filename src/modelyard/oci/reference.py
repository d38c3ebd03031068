"""Names of images, as Docker reads them.

Source: distribution/reference; OCI distribution-spec, pulling manifests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from modelyard.contexts import Problem
from modelyard.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER_HUB = "docker.io"
LONGEST = 255
"""Characters that a repository may have, its registry included."""
HOST = (
    r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]+)?"
)
COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
"""What stands between the slashes of a path."""
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"


class Reference(NamedTuple):
    """An image's name in parts: registry host (with port), path and tag."""

    host: str
    path: str
    tag: str

    @property
    def full(self) -> str:
        """Host, path and tag, nothing left out: what containerd names an image."""
        return f"{self.host}/{self.path}:{self.tag}"

    @property
    def familiar(self) -> str:
        """The name as people write it: `docker.io/library/x:1` is `x:1`."""
        path = self.path.removeprefix("library/") if self.host == DOCKER_HUB else f"{self.host}/{self.path}"
        return f"{path}:{self.tag}"


def parse(repository: str, tag: str) -> Reference:
    """Return the parts of `repository` (a name without tag) and `tag`.

    Raises:
        ToolError: one of the two has characters that no registry takes.
    """
    host, path = _parts(repository)
    if not _is_name(repository) or not re.fullmatch(TAG, tag):
        msg = (
            f"image {repository!r}, tag {tag!r}: not a name that a registry takes\n"
            "  lower-case letters, digits and . _ - between slashes; a tag also takes capitals, up to 128 characters"
        )
        raise ToolError(msg)
    return Reference(host, path, tag)


def _parts(repository: str) -> tuple[str, str]:
    """Return the registry's host and the path there."""
    first, slash, rest = repository.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return first, rest
    return DOCKER_HUB, repository if slash else f"library/{repository}"


def _is_name(repository: str) -> bool:
    host, path = _parts(repository)
    components = path.split("/")
    return (
        len(repository) <= LONGEST
        and all(re.fullmatch(COMPONENT, one) for one in components)
        and (host == DOCKER_HUB or bool(re.fullmatch(HOST, host)))
    )


def repository_problem(repository: str) -> Problem | None:
    """Return what keeps `repository` from being an image's name without a tag, or None."""
    if _is_name(repository):
        return None
    for why, better in _corrections(repository):
        if better != repository and _is_name(better):
            return Problem("repository", why, f"allowed: {better!r}")
    why = "no registry takes such a name"
    return Problem(
        "repository", why, "allowed: HOST/PATH or PATH, lower-case letters and digits, with . _ - between them"
    )


def _corrections(repository: str) -> Iterator[tuple[str, str]]:
    """Yield what may be wrong with a repository, and what it would be without that."""
    bare = repository.rpartition("://")[2]
    path = _parts(bare)[1]
    yield "a repository has no scheme", bare
    yield (
        "a repository has no tag and no digest; `tag` is a key of its own",
        re.sub(r"(:[^:/@]+)?(@[^@/]+)?$", "", bare),
    )
    yield "a repository has no capitals", bare.removesuffix(path) + path.lower()


def tag_problem(tag: str) -> Problem | None:
    """Return what keeps `tag` from being an image's tag, or None."""
    if re.fullmatch(TAG, tag):
        return None
    why = "no registry takes such a tag"
    return Problem("tag", why, "allowed: up to 128 letters, digits and . _ -, the first of them a letter, a digit or _")
