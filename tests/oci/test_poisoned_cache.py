"""A cache that somebody has changed, file and note together: nothing of it reaches an image.

`.modelyard/cache` is restored by CI and travels with a copied project. A wheel is held to the hashes of its requirement,
a package to the lock or to what apt found in the signed index, a layer to the digest that it had when it was made.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard.oci import apt, wheels
from modelyard.oci.base import Wanted
from modelyard.oci.cache import FileCache, canonical_json
from modelyard.oci.layers import LayerCache
from modelyard.oci.packages import Package
from modelyard.oci.tree import Entry, Tree

from .conftest import write_wheel
from .test_base import quiet, resolver
from .test_lock import lock
from .test_wheels import PYTHON, local_line


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("index", ["altered", "whole"])
def test_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    line, cache = local_line(tmp_path, monkeypatch), FileCache(tmp_path / "cache")
    (good,) = wheels.fetch([line], PYTHON, cache, quiet)
    whole = good.read_bytes()
    evil = write_wheel(tmp_path / good.name, {"pkg.py": b"evil"}).read_bytes()
    if index == "whole":
        good.write_bytes(evil)
    else:
        place = cache.path(sha256(evil), good.name)
        place.parent.mkdir()
        place.write_bytes(evil)
        (note,) = (tmp_path / "cache" / "resolved").iterdir()
        note.write_bytes(canonical_json([(good.name, sha256(evil))]))
    assert [path.read_bytes() for path in wheels.fetch([line], PYTHON, cache, quiet)] == [whole]


NO_INDEXES = [{"a": 1}, [1], [["a"]], "text", [["../../evil.whl", "0" * 64]], [["a.whl", "../x"], ["b.whl", "y"]], 7]


def test_an_index_of_wheels_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, cache = local_line(tmp_path, monkeypatch), FileCache(tmp_path / "cache")
    first = wheels.fetch([line], PYTHON, cache, quiet)
    (note,) = (tmp_path / "cache" / "resolved").iterdir()
    for index in NO_INDEXES:
        note.write_text(json.dumps(index))
        assert wheels.fetch([line], PYTHON, cache, quiet) == first, index


def test_a_wheel_more_or_less_than_the_requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, cache = local_line(tmp_path, monkeypatch), FileCache(tmp_path / "cache")
    (good,) = wheels.fetch([line], PYTHON, cache, quiet)
    evil = write_wheel(tmp_path / "evil-1-py3-none-any.whl", {"evil.py": b""})
    cache.put(evil, sha256(evil.read_bytes()), evil.name)
    (note,) = (tmp_path / "cache" / "resolved").iterdir()
    note.write_bytes(canonical_json([(good.name, good.parent.name), (evil.name, sha256(evil.read_bytes()))]))
    assert wheels.fetch([line], PYTHON, cache, quiet) == [good]


def test_a_package_of_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is the project's; without the mirrors a package that is another one ends the build."""
    package = Package("x", "1", "amd64", sha256(b"good"), 4)
    locked, cache = replace(lock(), packages=(package,)), FileCache(tmp_path / "debs")
    (tmp_path / "x.deb").write_bytes(b"good")
    place = cache.put(tmp_path / "x.deb", package.sha256, package.file)
    assert apt.fetch(locked, cache, tmp_path) == {"x": place}
    place.write_bytes(b"evil")
    asked: list[Package] = []

    def fetch_missing(missing: list[Package], *_: object) -> dict[str, Path]:
        asked.extend(missing)
        msg = "no network"
        raise ToolError(msg)

    monkeypatch.setattr(apt, "_fetch_missing", fetch_missing)
    with pytest.raises(ToolError, match="no network"):
        apt.fetch(locked, cache, tmp_path)
    assert asked == [package]


@pytest.mark.parametrize("seal", [True, False])
def test_a_package_and_the_note_of_what_apt_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: bool) -> None:
    left = resolver(monkeypatch, [lock(), lock()])
    wanted = Wanted("bookworm", "slim", ())
    wanted.resolve(tmp_path, tmp_path, quiet)
    (note,) = (tmp_path / "apt").iterdir()
    found = json.loads(note.read_bytes())
    found["value"]["lock"]["packages"][0]["sha256"] = sha256(b"evil")
    note.write_text(json.dumps(found if seal else found["value"]))
    assert wanted.resolve(tmp_path, tmp_path, quiet) == lock()
    assert left == [], "the mirrors were asked again"


@pytest.mark.parametrize("note", ["altered", "whole"])
def test_a_layer(tmp_path: Path, note: str) -> None:
    def tree() -> Tree:
        made = Tree()
        made.add("a", Entry.file(b"good"))
        return made

    def other() -> Tree:
        made = Tree()
        made.add("a", Entry.file(b"evil"))
        return made

    cache = LayerCache(tmp_path / "layers", "gzip", 1)
    good = cache.layer("x", ["in"], tree)
    (blob,) = (tmp_path / "layers").glob("*.blob")
    evil = LayerCache(tmp_path / "other", "gzip", 1).layer("x", ["in"], other)
    with evil.blob() as stream:
        blob.write_bytes(stream.read())
    if note == "altered":
        file = blob.with_suffix(".json")
        value = {
            "media_type": evil.media_type,
            "digest": evil.digest,
            "diff_id": evil.diff_id,
            "size_bytes": evil.size_bytes,
        }
        file.write_text(json.dumps({**json.loads(file.read_bytes()), "value": value}))
    again = cache.layer("x", ["in"], tree)
    assert (again.digest, again.diff_id) == (good.digest, good.diff_id)
    with again.blob() as stream:
        assert f"sha256:{sha256(stream.read())}" == good.digest
