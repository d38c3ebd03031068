"""Debian packages through the host's own apt, as an ordinary user and without touching the host.

apt runs with a private state folder and an empty list of installed packages, so that it resolves
for an empty system; it checks the archive's signatures with the host's keys. Nothing is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from modelyard.errors import ToolError
from modelyard.files.hashing import hash_file
from modelyard.oci.cache import FileCache
from modelyard.oci.lock import Lock
from modelyard.oci.packages import BASE_ROOTS, DENIED, PYTHON_ROOTS, Package, Profile, closure
from modelyard.oci.sources import apt_settings, host_suite, write_sources

Report = Callable[[float, str], None]
"""Takes percent done (0 to 100) and a short text."""

# `#clear` undoes hooks of the host that would run as root on the host's own folders.
CONFIG = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
Dir::State "{folder}/state/";
Dir::State::Lists "{folder}/lists/";
Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/extended_states";
Dir::Cache "{folder}/cache/";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources.list.d/";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
"""


def _quiet(percent: float, note: str) -> None:
    """Report to nobody."""


class Apt:
    """apt with its state in a folder of ours, for one suite."""

    def __init__(self, folder: Path, suite: str) -> None:
        _require_apt()
        self.folder = folder
        self.architecture = apt_settings("APT::Architecture")["APT::Architecture"]
        for name in ("lists/partial", "state", "cache/archives/partial", "sources.list.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_bytes(b"")
        (folder / "apt.conf").write_text(CONFIG.format(folder=folder, architecture=self.architecture), encoding="utf-8")
        write_sources(folder / "sources.list.d", suite)

    def update(self, report: Report = _quiet) -> None:
        """Fetch the lists of packages; apt checks their signatures."""
        self._run(["apt-get", "-qq", "update"], "package lists", report)

    def resolve(self, roots: Sequence[str]) -> dict[str, Package]:
        """Return `roots` and everything that they depend on, by name."""
        text = self._run(["apt-get", "-qq", "--simulate", "--yes", "install", *roots], "resolve")
        exact = [f"{name}={version}" for name, version in re.findall(r"^Inst (\S+) \((\S+) ", text, re.MULTILINE)]
        shown = self._run(["apt-cache", "show", *exact], "resolve")
        packages = [Package.parse(paragraph) for paragraph in re.split(r"\n\n+", shown.strip())]
        return {package.name: package for package in packages}

    def download(self, packages: Sequence[Package], folder: Path, report: Report = _quiet) -> list[Path]:
        """Fetch exactly `packages` to `folder` and return the files."""
        self._run(["apt-get", "-qq", "download", *(p.exact for p in packages)], "packages", report, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def _run(self, command: list[str], what: str, report: Report = _quiet, cwd: Path | None = None) -> str:
        full = [command[0], "-c", str(self.folder / "apt.conf"), "-o", "APT::Status-Fd=1", *command[1:]]
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen(
                full, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=cwd, env=environment
            ) as process:
                assert process.stdout is not None
                lines = [line for line in process.stdout if not _is_status(line, what, report)]
            errors.seek(0)
            return _answer(process.returncode, "".join(lines), errors.read())


def _is_status(line: str, what: str, report: Report) -> bool:
    found = re.match(r"(?:dl|pm)status:[^:]*:([\d.]+):", line)
    if found:
        report(float(found[1]), what)
    return found is not None


def _answer(code: int, output: str, errors: str) -> str:
    if code == 0:
        return output
    reason = "\n  ".join(line for line in errors.splitlines() if line.startswith("E:")) or errors.strip()
    msg = f"apt: {reason}\n  check the host's package sources and network, or name an image archive with `base_image`"
    raise ToolError(msg)


def lacking() -> list[str]:
    """Return those of apt's programs that this host has not got."""
    return [name for name in ("apt-get", "apt-cache", "apt-config") if not shutil.which(name)]


def _require_apt() -> None:
    missing = lacking()
    if missing:
        msg = (
            f"apt: this host has no {missing[0]!r}, so it cannot make a base of Debian packages\n"
            "  set `base_image` to an image archive or OCI layout, as `skopeo copy` and `docker save` write them"
        )
        raise ToolError(msg)


def resolve(suite: str, profile: Profile, extra: Sequence[str], folder: Path, report: Report = _quiet) -> Lock:
    """Return the exact packages that an image of `suite` needs today; `extra` are further packages.

    `folder` is for apt's private state; `fetch` takes it to spare a second look at the mirrors.
    An empty `suite` is the host's own.
    """
    name = suite or host_suite()
    apt = Apt(folder, name)
    apt.update(report)
    available = apt.resolve([*BASE_ROOTS[profile], *PYTHON_ROOTS, *extra])
    base = closure(available, [*BASE_ROOTS[profile], *extra], DENIED[profile])
    both = closure(available, [*base, *PYTHON_ROOTS], DENIED[profile])
    packages = [replace(available[p], layer="base" if p in base else "python") for p in both]
    return Lock(name, apt.architecture, profile, tuple(sorted(extra)), tuple(packages))


def fetch(lock: Lock, cache: FileCache, folder: Path, report: Report = _quiet) -> dict[str, Path]:
    """Return the `.deb` of each package of `lock` by name, from the cache or the host's mirrors, digests checked.

    `folder` is for apt's private state; one that `resolve` has used is used on.

    Raises:
        ToolError: the mirrors no longer have a package, or gave other bytes than the lock names.
    """
    found = {package.name: cache.get(package.sha256, package.file) for package in lock.packages}
    missing = [package for package in lock.packages if found[package.name] is None]
    if missing:
        found |= _fetch_missing(missing, lock, cache, folder, report)
    return {name: path for name, path in found.items() if path is not None}


def _fetch_missing(
    missing: Sequence[Package], lock: Lock, cache: FileCache, folder: Path, report: Report
) -> dict[str, Path]:
    fresh = not (folder / "apt.conf").exists()
    apt = Apt(folder, lock.suite)
    if fresh:
        apt.update(report)
    with tempfile.TemporaryDirectory(prefix="downloads-", dir=folder) as downloads:
        try:
            files = apt.download(missing, Path(downloads), report)
        except ToolError as exc:
            msg = f"apt: a locked package cannot be had: {exc}\n  if the mirrors have moved on, write the lock again"
            raise ToolError(msg) from exc
        return _checked(missing, files, cache)


def _checked(missing: Iterable[Package], files: Iterable[Path], cache: FileCache) -> dict[str, Path]:
    by_digest = {hash_file(path): path for path in files}
    kept = {}
    for package in missing:
        if package.sha256 not in by_digest:
            msg = (
                f"apt: {package.exact} from the mirror is not the file with the locked sha256 {package.sha256}\n"
                "  if the mirrors have moved on, write the lock again"
            )
            raise ToolError(msg)
        kept[package.name] = cache.put(by_digest[package.sha256], package.sha256, package.file)
    return kept


def write_lock(
    path: Path, suite: str = "", profile: Profile = "slim", packages: Sequence[str] = (), report: Report = _quiet
) -> Lock:
    """Resolve today's packages and write them to the lock file `path`; see `resolve`."""
    with tempfile.TemporaryDirectory(prefix="modelyard-apt-") as temporary:
        lock = resolve(suite, profile, packages, Path(temporary), report)
    lock.write(path)
    return lock
