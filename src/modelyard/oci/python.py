"""The Python of a base: where its interpreter is and which wheels it can take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.oci.lock import Lock

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}
"""Debian's and OCI's names of an architecture, and the kernel's, which wheels use."""


@dataclass(frozen=True)
class BasePython:
    """An interpreter inside an image.

    Attributes:
        executable: absolute path in the image, for instance `/usr/bin/python3`.
        version: major and minor, for instance `(3, 11)`.
        glibc: version of the C library, for instance `(2, 36)`.
        machine: the kernel's name of the architecture, for instance `x86_64`.
    """

    executable: str
    version: tuple[int, int]
    glibc: tuple[int, int]
    machine: str

    @property
    def dotted(self) -> str:
        """The version as `3.11`."""
        return f"{self.version[0]}.{self.version[1]}"

    def platforms(self) -> Iterator[str]:
        """Give the platform tags of wheels that run here, the newest first.

        Source: PEP 600.
        """
        major, minor = self.glibc
        for number in range(minor, 4, -1):
            yield f"manylinux_{major}_{number}_{self.machine}"
            legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}.get(number)
            if legacy:
                yield f"{legacy}_{self.machine}"
        yield f"linux_{self.machine}"

    def check_wheel(self, file: str) -> None:
        """Check that the wheel named `file` runs here.

        Raises:
            ToolError: its Python, C library or machine is another.
        """
        tag = file.removesuffix(".whl").rsplit("-", 3)
        pythons, abis, platforms = (part.split(".") for part in tag[1:])
        compact = f"cp{self.version[0]}{self.version[1]}"
        fits = compact in pythons or "abi3" in abis or any(python.startswith("py3") for python in pythons)
        if not fits or not {"any", *self.platforms()} & set(platforms):
            msg = (
                f"wheel {file!r} does not run on the base: Python {self.dotted}, "
                f"glibc {self.glibc[0]}.{self.glibc[1]}, {self.machine}\n"
                "  pin a version that has a wheel for it, or take another base"
            )
            raise ToolError(msg)


def of_lock(lock: Lock) -> BasePython:
    """Return the Python that the packages of `lock` hold.

    Raises:
        ToolError: there is no `python3.N-minimal`, or no C library, among them.
    """
    versions = {package.name: package.version for package in lock.packages}
    names = [found for name in versions if (found := re.fullmatch(r"python3\.(\d+)-minimal", name))]
    libc = re.match(r"(\d+)\.(\d+)", versions.get("libc6", ""))
    if not names or not libc or lock.architecture not in MACHINES:
        msg = f"base {lock.suite!r}: no Python 3 and glibc for {lock.architecture!r} in it\n  write the lock again"
        raise ToolError(msg)
    glibc = (int(libc[1]), int(libc[2]))
    return BasePython("/usr/bin/python3", (3, int(names[0][1])), glibc, MACHINES[lock.architecture])
