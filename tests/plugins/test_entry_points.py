from __future__ import annotations

import importlib.metadata
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.plugins.entry_points import entry_points

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write the metadata of a distribution into a folder on the path; of two folders, the one that is named last comes first."""

    def run(folder: str, distribution: str, points: str, kind: str = "dist-info") -> None:
        site = tmp_path / folder
        if not site.exists():
            site.mkdir()
            monkeypatch.syspath_prepend(str(site))
        info = site / f"{distribution.replace('-', '_')}-1.0.{kind}"
        info.mkdir()
        file = info / ("METADATA" if kind == "dist-info" else "PKG-INFO")
        file.write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n\nName: another\n")
        (info / "entry_points.txt").write_text(points)

    return run


def told(group: str) -> list[tuple[str, str, str]]:
    """What is found of `group`, which the standard library finds as well."""
    found = [(p.name, p.value, p.dist.name if p.dist else "") for p in entry_points(group)]
    theirs = importlib.metadata.entry_points(group=group)
    assert sorted(found) == sorted((p.name, p.value, p.dist.name if p.dist else "") for p in theirs)
    return found


def test_the_points_of_a_group_come_with_their_distributions(install: Install) -> None:
    install("a", "some-toys", "[toys]\nball = some.ball\n\n[console_scripts]\nplay = some:main\n")
    install("a", "More.toys", "[console_scripts]\nplay = more:main\n[toys]\ncar = more.car:make\n")
    install("a", "toys", "[other.toys]\nx = y\n")
    assert sorted(told("toys")) == [("ball", "some.ball", "some-toys"), ("car", "more.car:make", "More.toys")]
    assert told("no-toys") == []


def test_of_distributions_with_one_name_the_first_on_the_path_counts(install: Install) -> None:
    install("a", "some-toys", "[toys]\nball = old.ball\n")
    install("b", "some.toys", "[toys]\nball = new.ball\n")
    assert told("toys") == [("ball", "new.ball", "some.toys")]
    install("c", "some_toys", "[console_scripts]\nplay = some:main\n")
    assert told("toys") == []


def test_a_source_tree_that_was_built_beside_what_is_installed_counts_once(install: Install) -> None:
    install("a", "some-toys", "[toys]\nball = some.ball\n")
    install("b", "some-toys", "[toys]\nball = some.ball\n", kind="egg-info")
    assert told("toys") == [("ball", "some.ball", "some-toys")]


def test_a_distribution_in_an_archive_counts(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("a", "some-toys", "[toys]\nball = some.ball\n")
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("more-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
        file.writestr("more-1.0.dist-info/entry_points.txt", "[toys]\ncar = more:car\n")
    monkeypatch.syspath_prepend(str(archive))
    assert sorted(told("toys")) == [("ball", "some.ball", "some-toys"), ("car", "more:car", "more")]


def test_a_distribution_in_an_egg_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "old-1.0-py3.11.egg" / "EGG-INFO"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toys]\ntop = old:top\n")
    monkeypatch.syspath_prepend(str(info.parent))
    assert told("toys") == [("top", "old:top", "old")]


def test_a_distribution_that_an_importer_of_its_own_finds_counts(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("a", "some-toys", "[toys]\nball = some.ball\n")
    monkeypatch.undo()  # its folder is not on the path

    class Finder:
        @staticmethod
        def find_spec(*_: object) -> None:
            return None

        @staticmethod
        def find_distributions(context: importlib.metadata.DistributionFinder.Context) -> list[object]:
            known = importlib.metadata.Distribution.at(tmp_path / "a" / "some_toys-1.0.dist-info")
            return [known] if context.name in (None, "some-toys") else []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert told("toys") == [("ball", "some.ball", "some-toys")]


def test_what_is_installed_is_found() -> None:
    assert ("modelyard", "modelyard.frontend.doit_records:Records", "modelyard") in told("doit.BACKEND")
    assert len(told("console_scripts")) > 10
