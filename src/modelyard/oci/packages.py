"""Debian packages as facts: which ones an image needs, and which it does without."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from modelyard.errors import ToolError, listing
from modelyard.oci.deb import parse_paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Profile = Literal["slim", "full"]
LayerName = Literal["base", "python"]

BASE_ROOTS: Mapping[Profile, tuple[str, ...]] = {
    "slim": ("base-files", "libc6", "libgcc-s1", "libstdc++6", "zlib1g"),
    "full": (
        "base-files",
        "libc6",
        "libgcc-s1",
        "libstdc++6",
        "zlib1g",
        "libgomp1",
        "ca-certificates",
        "netbase",
        "tzdata",
    ),
}
PYTHON_ROOTS = ("python3-minimal", "libpython3-stdlib")

_TOOLS = ("dpkg", "debconf*", "cdebconf*", "perl*", "tar", "openssl*", "mawk", "gawk", "original-awk", "install-info")
_UNUSED = (
    *("libreadline*", "readline-common", "libncurses*", "libtinfo*", "libsqlite3*", "libdb5*", "libtirpc*", "libnsl*"),
    *(
        "libgssapi*",
        "libkrb5*",
        "libk5crypto*",
        "libcom-err*",
        "libkeyutils*",
        "libcrypt1*",
        "media-types",
        "mime-support",
    ),
    *("tzdata*", "netbase"),
)
DENIED: Mapping[Profile, tuple[str, ...]] = {"slim": (*_TOOLS, *_UNUSED), "full": _TOOLS}
"""Packages that a package manager or a shell needs and a server does not; with them goes what only they need.

`slim` leaves out what inference does not use, too: the modules readline, curses, sqlite3, dbm, nis and crypt do not
import. `ssl`, `ctypes`, `bz2`, `lzma` and `uuid` do.
"""


@dataclass(frozen=True)
class Package:
    """One exact Debian package.

    Attributes:
        sha256: digest of the `.deb`, 64 hex digits.
        size_bytes: size of the `.deb`.
        layer: the layer that it goes into.
        depends: what it needs, each a tuple of alternatives by name.
        provides: other names that it answers to.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    size_bytes: int
    layer: LayerName = "base"
    depends: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    provides: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, paragraph: str) -> Package:
        """Return the package that a paragraph of a `Packages` index describes."""
        fields = parse_paragraph(paragraph)
        needs = ", ".join(fields[name] for name in ("Pre-Depends", "Depends") if fields.get(name))
        return cls(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            sha256=fields["SHA256"],
            size_bytes=int(fields["Size"]),
            depends=tuple(tuple(_names(clause, "|")) for clause in needs.split(",") if clause.strip()),
            provides=tuple(_names(fields.get("Provides", ""), ",")),
        )

    @property
    def exact(self) -> str:
        """`name=version`, as apt takes it."""
        return f"{self.name}={self.version}"

    @property
    def file(self) -> str:
        """A file name for the package that any file system takes."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def _names(text: str, separator: str) -> list[str]:
    return [re.split(r"[\s(:\[]", word.strip(), maxsplit=1)[0] for word in text.split(separator) if word.strip()]


def closure(available: Mapping[str, Package], roots: Iterable[str], denied: Iterable[str]) -> list[str]:
    """Return the names of `roots` and all that they need, without `denied` (patterns) and what only those need, sorted.

    Raises:
        ToolError: a root is not available.
    """
    providers = {alias: package.name for package in available.values() for alias in package.provides}
    patterns, kept, open_names = tuple(denied), set[str](), list(roots)
    for name in open_names:
        if name not in available and name not in providers:
            msg = f"apt: no package {name!r} among those resolved: {listing(available)}\n  correct `packages`"
            raise ToolError(msg)
    while open_names:
        name = open_names.pop()
        package = available[providers.get(name, name) if name not in available else name]
        if package.name in kept:
            continue
        kept.add(package.name)
        open_names.extend(_chosen(package, available, providers, patterns))
    return sorted(kept)


def _chosen(
    package: Package, available: Mapping[str, Package], providers: Mapping[str, str], denied: tuple[str, ...]
) -> list[str]:
    chosen = []
    for alternatives in package.depends:
        present = [name for name in alternatives if name in available or name in providers]
        real = [name if name in available else providers[name] for name in present][:1]
        chosen += [name for name in real if not any(fnmatch.fnmatchcase(name, pattern) for pattern in denied)]
    return chosen
