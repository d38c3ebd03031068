"""The lock: a JSON file that pins the exact Debian packages of a base. It names no mirror."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.files.atomic import replacing
from modelyard.files.json import decode, read_bytes
from modelyard.oci.packages import LayerName, Package, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT = 1
FIELDS = ("name", "version", "architecture", "sha256", "size_bytes", "layer")


@dataclass(frozen=True)
class Lock:
    """Exact packages, and what they were resolved for.

    Attributes:
        suite: codename of the distribution's release, for instance `bookworm`.
        architecture: Debian's name, for instance `amd64`.
        extra: packages asked for beyond the profile, sorted.
        packages: sorted by name.
    """

    suite: str
    architecture: str
    profile: Profile
    extra: tuple[str, ...]
    packages: tuple[Package, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what the lock file holds."""
        packages = [{field: getattr(package, field) for field in FIELDS} for package in self.packages]
        head = {"format": FORMAT, "suite": self.suite, "architecture": self.architecture, "profile": self.profile}
        return {**head, "extra": list(self.extra), "packages": packages}

    @classmethod
    def from_json(cls, value: Any) -> Lock:
        """Return the lock that `value` holds; a wrong shape raises KeyError, TypeError or ValueError."""
        if value["format"] != FORMAT:
            msg = f"format {value['format']!r}, known: {FORMAT}"
            raise ValueError(msg)
        packages = tuple(Package(**{field: entry[field] for field in FIELDS}) for entry in value["packages"])
        return cls(value["suite"], value["architecture"], value["profile"], tuple(value["extra"]), packages)

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Read the lock file `path`.

        Raises:
            ToolError: it is missing or not a lock.
        """
        try:
            return cls.from_json(decode(read_bytes(path), dict[str, Any]))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            msg = f"{path}: not a package lock: {exc}\n  write it again"
            raise ToolError(msg) from exc

    def write(self, path: Path) -> None:
        """Write the lock to `path`, all or nothing, one line a field so that a diff can be read."""
        text = json.dumps(self.as_json(), indent=2, sort_keys=True) + "\n"
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")

    def require(self, suite: str, profile: Profile, extra: Sequence[str], file: Path) -> None:
        """Check that the lock was written for these parameters; an empty `suite` stands for any.

        Raises:
            ToolError: it was written for others.
        """
        wanted = (suite or self.suite, profile, tuple(sorted(extra)))
        if wanted != (self.suite, self.profile, self.extra):
            msg = (
                f"{file}: locked for suite {self.suite!r}, profile {self.profile!r}, packages {list(self.extra)}, "
                f"but the stage wants {wanted[0]!r}, {wanted[1]!r}, {list(wanted[2])}\n  write the lock again"
            )
            raise ToolError(msg)

    def of_layer(self, layer: LayerName) -> tuple[Package, ...]:
        """Return the packages of one layer."""
        return tuple(package for package in self.packages if package.layer == layer)
