"""The lowest layers of an image: Debian packages, or the layers of an image that someone else made."""

from __future__ import annotations

import functools
import platform
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.errors import ToolError
from modelyard.oci import apt
from modelyard.oci.archive import read_image
from modelyard.oci.cache import FileCache, sha256_json
from modelyard.oci.debian import base_tree, packages_tree
from modelyard.oci.listing import DEFAULT_PATH, Listing, find_python, image_environment
from modelyard.oci.lock import Lock
from modelyard.oci.python import BasePython, of_lock
from modelyard.oci.seal import read_sealed, write_sealed
from modelyard.oci.sources import host_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from modelyard.oci.layers import Layer, LayerCache
    from modelyard.oci.packages import Package, Profile
    from modelyard.oci.tree import Entry, Tree

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}
"""From the kernel's name of an architecture to OCI's."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class Base(Protocol):
    """What a builder must know of a base before and after it makes its layers."""

    @property
    def name(self) -> str:
        """The base, for people and labels."""
        ...

    @property
    def digest(self) -> str:
        """What stands for all of the base: `sha256:...`."""
        ...

    @property
    def python(self) -> BasePython:
        """The base's Python."""
        ...

    @property
    def architecture(self) -> str:
        """OCI's name of the processor that the base is for, for instance `amd64`."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that the base brings."""
        ...

    @property
    def parts(self) -> Mapping[str, str]:
        """What the base is made of: name -> version or digest."""
        ...

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """History entries of the base's own layers; empty if they are made here."""
        ...

    def layers(self, cache: LayerCache, report: apt.Report) -> list[Layer]:
        """Return the base's layers, the lowest first."""
        ...

    def lower(self, path: str) -> Entry | None:
        """Return what the base has at `path`, without content."""
        ...


@dataclass(frozen=True)
class DebianBase:
    """A base of Debian packages, exactly those of `lock`; `folder` is for apt's private state."""

    lock: Lock
    downloads: FileCache
    folder: Path
    history: Sequence[Mapping[str, Any]] = ()

    @property
    def name(self) -> str:
        """The suite, for people and labels."""
        return f"debian:{self.lock.suite}"

    @property
    def digest(self) -> str:
        """Digest of the lock: it stands for every package."""
        return f"sha256:{sha256_json(self.lock.as_json())}"

    @property
    def python(self) -> BasePython:
        """The Python among the packages."""
        return of_lock(self.lock)

    @property
    def architecture(self) -> str:
        """That of the packages."""
        return ARCHITECTURES[self.python.machine]

    @property
    def environment(self) -> Mapping[str, str]:
        """`PATH`, and where the certificates are, if there are any."""
        has_certificates = any(package.name == "ca-certificates" for package in self.lock.packages)
        return {"PATH": DEFAULT_PATH} | ({"SSL_CERT_FILE": CERTIFICATES} if has_certificates else {})

    @property
    def parts(self) -> Mapping[str, str]:
        """Package -> version."""
        return {package.name: package.version for package in self.lock.packages}

    def layers(self, cache: LayerCache, report: apt.Report) -> list[Layer]:
        """Return the layers `base` and `python`; packages are fetched only if the cache lacks a layer."""
        base, python = self.lock.of_layer("base"), self.lock.of_layer("python")

        @functools.cache
        def debs() -> dict[str, Path]:
            return apt.fetch(self.lock, self.downloads, self.folder, report)

        @functools.cache
        def lower() -> Tree:
            return base_tree(debs()[package.name] for package in base)

        def upper() -> Tree:
            return packages_tree((debs()[package.name] for package in python), lower())

        lowest = cache.layer("base", ["base", _digests(base)], lower)
        return [lowest, cache.layer("python", ["python", _digests(base), _digests(python)], upper)]

    def lower(self, path: str) -> Entry | None:  # noqa: ARG002 - see Base
        """Return nothing: folders of ours have the mode that Debian's have."""
        return None


def _digests(packages: Sequence[Package]) -> list[tuple[str, str]]:
    return [(package.name, package.sha256) for package in packages]


class ImageBase:
    """A base that someone else made: its layers are copied as they are.

    It must have `program`, the absolute path of a server; or Python, when that is empty.
    """

    def __init__(self, path: Path, program: str = "") -> None:
        self._image = read_image(path, ARCHITECTURES.get(platform.machine(), ""))
        self._listing = Listing(self._image)
        self.name = path.name
        self.digest = self._image.digest
        self.architecture = str(self._image.config.get("architecture"))
        self._require(program)
        self.environment = image_environment(self._image)
        self.parts: Mapping[str, str] = {path.name: self._image.digest}
        self.history = _whole_history(self._image.config, len(self._image.layers))

    @functools.cached_property
    def python(self) -> BasePython:
        """The Python that the image's `PATH` leads to."""
        return find_python(self._listing)

    def _require(self, program: str) -> None:
        if not program:
            _ = self.python  # told now, before anything is made
        elif self._listing.resolve(program) is None:
            msg = f"base {self.name!r} has no {program}, which starts the server\n  take an image that has it"
            raise ToolError(msg)

    def layers(self, cache: LayerCache, report: apt.Report) -> list[Layer]:  # noqa: ARG002 - see Base
        """Return the layers of the image."""
        return list(self._image.layers)

    def lower(self, path: str) -> Entry | None:
        """Return what the image has at `path`, without content."""
        return self._listing.lower(path)


def _whole_history(config: Mapping[str, Any], layers: int) -> list[Mapping[str, Any]]:
    found = list(config.get("history") or [])
    whole = sum(not entry.get("empty_layer") for entry in found) == layers
    return found if whole else [{"comment": f"base-{number}"} for number in range(layers)]


@dataclass(frozen=True)
class Wanted:
    """Which Debian packages a base is to have; a resolution older than `max_age_h` is made again."""

    suite: str
    profile: Profile
    extra: tuple[str, ...]
    lock_file: Path | None = None
    max_age_h: int = 24
    log: Callable[[str], None] = field(default=lambda _: None)

    def resolve(self, cache: Path, folder: Path, report: apt.Report) -> Lock:
        """Return the exact packages: those of the lock file, else what the mirrors have or had a short while ago."""
        if self.lock_file is not None:
            lock = Lock.read(self.lock_file)
            lock.require(self.suite, self.profile, self.extra, self.lock_file)
            return lock
        name = sha256_json([self.suite or host_suite(), self.profile, sorted(self.extra)])
        return self._recent(cache / "apt" / f"{name}.json", folder, report)

    def _recent(self, file: Path, folder: Path, report: apt.Report) -> Lock:
        known, at_s = _remembered(file)
        if known is not None and time.time() - at_s < self.max_age_h * 3600:
            return known
        try:
            lock = apt.resolve(self.suite, self.profile, self.extra, folder, report)
        except ToolError as exc:
            if known is None:
                raise
            self.log(f"the packages of an earlier build are taken: {exc}")
            return known
        write_sealed(file, {"at": int(time.time()), "lock": lock.as_json()})
        return lock


def _remembered(file: Path) -> tuple[Lock | None, int]:
    """Return the packages that apt has found in the signed index, and when, if one of this user's builds says so."""
    value = read_sealed(file)
    try:
        return Lock.from_json(value["lock"]), int(value["at"])
    except (KeyError, TypeError, ValueError):
        return None, 0


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for apt's private state, gone at the end."""
    return tempfile.TemporaryDirectory(prefix="modelyard-apt-")
