"""Names of images, as Docker reads them.

Source: distribution/reference; OCI distribution-spec, pulling manifests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.errors import ToolError

DOCKER_HUB = "docker.io"
PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True)
class Reference:
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
    first, slash, rest = repository.partition("/")
    has_host = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    host, path = (first, rest) if has_host else (DOCKER_HUB, repository)
    if not has_host and not slash:
        path = f"library/{path}"
    if not PATH.fullmatch(path) or not TAG.fullmatch(tag):
        msg = (
            f"image {repository!r}, tag {tag!r}: not a name that a registry takes\n"
            "  lower-case letters, digits and . _ - between slashes; a tag also takes capitals, up to 128 characters"
        )
        raise ToolError(msg)
    return Reference(host, path, tag)
