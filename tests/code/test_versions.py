from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.code.versions import distributions_with, installed_version, tool_version, versions_by_name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, before all others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    versions_by_name.cache_clear()
    yield tmp_path
    versions_by_name.cache_clear()


def test_all_that_is_installed_has_the_version_that_its_metadata_says() -> None:
    versions_by_name.cache_clear()
    for one in importlib.metadata.distributions():
        assert installed_version(one.name) == importlib.metadata.version(one.name), one.name


@pytest.mark.parametrize("asked", ["Tiny.Lib", "tiny_lib", "tiny-lib"])
def test_a_name_is_found_however_it_is_written(site: Path, asked: str) -> None:
    (site / "tiny_lib-1.2.dist-info").mkdir()
    assert installed_version(asked) == "1.2"


def test_a_folder_that_does_not_tell_is_read(site: Path) -> None:
    (site / "tiny.egg-info").mkdir()
    (site / "tiny.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 3.4\n")
    assert installed_version("tiny") == "3.4"


def test_the_nearest_on_the_path_counts_and_what_is_no_folder_is_passed_over(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "pip-0.0.1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(site / "none"), str(site / "some.zip"), *sys.path])
    assert installed_version("pip") == "0.0.1"


def test_who_holds_a_module_is_found_as_the_standard_library_finds_it() -> None:
    owners = importlib.metadata.packages_distributions()
    for top in ("google", "numpy", "pytest", "yaml", *sorted(owners)[::40]):
        assert set(distributions_with(top)) == set(owners.get(top, ())), top


@pytest.mark.parametrize(
    "record", ["lib/__init__.py,,\n", "lib.py,sha256=x,5\n", "lib.cpython-311-x86_64-linux-gnu.so,,\n"]
)
def test_a_module_is_held_by_what_lists_it(site: Path, record: str) -> None:
    for name, file, text in (
        ("Told", "top_level.txt", "lib\nother\n"), ("Listed", "RECORD", f"other/lib.py,,\n{record}"),
        ("Near", "RECORD", "libs/__init__.py,,\nlib-data/x,,\n"), ("Hidden", "top_level.txt", "other\n"),
    ):  # fmt: skip
        info = site / f"{name.lower()}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / file).write_text(text)
    (site / "hidden-1.0.dist-info" / "RECORD").write_text("lib/__init__.py,,\n")

    assert sorted(distributions_with("lib")) == ["Listed", "Told"]


def test_what_is_not_installed_is_said(site: Path) -> None:
    assert tool_version("no-such-distribution") == "not installed"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        installed_version("no-such-distribution")
