from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci import apt
from modelyard.oci.cache import FileCache
from modelyard.oci.packages import Package
from modelyard.oci.python import of_lock

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.oci.lock import Lock

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this host has no apt")


def test_a_host_without_apt_is_told_about_base_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"no 'apt-get'.*\n.*base_image"):
        apt.Apt(tmp_path, "bookworm")


def test_another_file_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"other bytes")
    package = Package("x", "1", "amd64", "0" * 64, 7)
    with pytest.raises(ToolError, match=r"x=1 .* is not the file"):
        apt._checked([package], [tmp_path / "x.deb"], FileCache(tmp_path / "cache"))


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Lock:
    folder = tmp_path_factory.mktemp("apt")
    return apt.write_lock(folder / "base.lock", packages=("netbase",))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of apt's lists, which are fetched when they are first asked for."""
    return tmp_path_factory.mktemp("state") / "apt"


@needs_apt
@pytest.mark.network
def test_resolves_python_and_leaves_out_the_package_manager(locked: Lock) -> None:
    names = {package.name for package in locked.packages}
    assert {"libc6", "libstdc++6", "base-files", "netbase", "python3-minimal", "zlib1g"} <= names
    assert not {"dpkg", "tar", "perl-base", "debconf", "bash"} & names
    assert any(name.startswith("libssl3") for name in names)
    assert of_lock(locked).version >= (3, 9)
    assert {package.layer for package in locked.packages} == {"base", "python"}


@needs_apt
@pytest.mark.network
def test_fetches_the_locked_packages_once(
    locked: Lock, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = dataclasses.replace(locked, packages=tuple(p for p in locked.packages if p.name in ("netbase", "zlib1g")))
    cache = FileCache(tmp_path / "cache")
    found = apt.fetch(some, cache, state)
    assert sorted(found) == ["netbase", "zlib1g"]
    monkeypatch.setattr(apt, "_fetch_missing", lambda *_: pytest.fail("asked the mirrors although the cache has all"))
    assert apt.fetch(some, cache, state) == found


@needs_apt
@pytest.mark.network
def test_a_version_that_the_mirrors_no_longer_have_is_told(locked: Lock, tmp_path: Path, state: Path) -> None:
    old = dataclasses.replace(locked.packages[0], version="0.0.1", sha256="0" * 64)
    with pytest.raises(ToolError, match="write the lock again"):
        apt.fetch(dataclasses.replace(locked, packages=(old,)), FileCache(tmp_path / "cache"), state)


@needs_apt
@pytest.mark.network
def test_an_unknown_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no-such-package"):
        apt.write_lock(tmp_path / "base.lock", packages=("no-such-package",))
