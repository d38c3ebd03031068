from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.files.hashing import hash_file
from modelyard.oci import wheels
from modelyard.oci.cache import FileCache
from modelyard.oci.python import BasePython

from .conftest import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = BasePython("/usr/bin/python3", (3, 11), (2, 36), "x86_64")


def quiet(percent: float, note: str) -> None:
    pass


def test_unpacks_without_traces_of_this_host(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": b"x = 1\n",
        "pkg/__pycache__/__init__.cpython-311.pyc": b"\0",
        "pkg-1.data/scripts/tool": b"#!python\nprint(1)\n",
        "pkg-1.data/purelib/more.py": b"",
        "pkg-1.dist-info/METADATA": b"Name: pkg\n",
    }
    wheel = write_wheel(tmp_path / "pkg-1-py3-none-any.whl", files)
    tree = wheels.site_tree([wheel], "/app/site", "/usr/bin/python3", print)
    found = {path for path, entry in tree if entry.kind == "file"}
    names = ["pkg/__init__.py", "bin/tool", "more.py", "pkg-1.dist-info/METADATA", "pkg-1.dist-info/RECORD"]
    assert found == {f"app/site/{name}" for name in names}
    assert tree["app/site/bin/tool"].read().startswith(b"#!/usr/bin/python3\n")
    assert tree["app/site/bin/tool"].mode == 0o755


def test_record_names_the_moved_files_as_they_are_now(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "pkg-1-py3-none-any.whl", {"pkg-1.data/scripts/tool": b"#!python\n", "m.py": b"1"})
    tree = wheels.site_tree([wheel], "s", "/usr/bin/python3", print)
    rows = {row[0]: row for row in csv.reader(io.StringIO(tree["s/pkg-1.dist-info/RECORD"].read().decode()))}
    script = tree["s/bin/tool"].read()
    assert rows["bin/tool"][2] == str(len(script))
    assert "pkg-1.data/scripts/tool" not in rows
    assert rows["m.py"][2] == "1"


def test_record_is_the_wheels_own_when_nothing_moved(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "pkg-1-py3-none-any.whl", {"m.py": b"1"})
    tree = wheels.site_tree([wheel], "s", "/usr/bin/python3", print)
    assert tree["s/pkg-1.dist-info/RECORD"].read().endswith(b"RECORD,,\n")


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "a/.wh.b", "pkg-1.data/purelib/../../evil"])
def test_refuses_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    wheel = write_wheel(tmp_path / "pkg-1-py3-none-any.whl", {name: b""})
    with pytest.raises(ToolError):
        wheels.site_tree([wheel], "app/site", "/usr/bin/python3", print)


def test_two_wheels_with_one_file_are_told(tmp_path: Path) -> None:
    made = [write_wheel(tmp_path / f"{n}-1-py3-none-any.whl", {"LICENSE": n.encode(), "same": b""}) for n in ("a", "b")]
    said: list[str] = []
    tree = wheels.site_tree(made, "s", "/usr/bin/python3", said.append)
    assert tree["s/LICENSE"].read() == b"b"
    assert len(said) == 1
    assert "s/LICENSE" in said[0]


def local_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str = "pkg-1-py3-none-any.whl") -> str:
    """Put a wheel where pip finds it without a network, and return its requirement."""
    (tmp_path / "links").mkdir(exist_ok=True)
    metadata = b"Metadata-Version: 2.1\nName: pkg\nVersion: 1\n"
    tags = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {"pkg.py": b"", "pkg-1.dist-info/METADATA": metadata, "pkg-1.dist-info/WHEEL": tags}
    wheel = write_wheel(tmp_path / "links" / file, content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    return f"pkg==1 --hash=sha256:{hash_file(wheel)}"


def test_fetches_once_and_checks_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = local_line(tmp_path, monkeypatch)
    cache = FileCache(tmp_path / "cache")
    first = wheels.fetch([line], PYTHON, cache, quiet)
    assert [path.name for path in first] == ["pkg-1-py3-none-any.whl"]
    monkeypatch.setattr(wheels, "_run_pip", lambda *_: pytest.fail("pip was run although the cache has the wheel"))
    assert wheels.fetch([line], PYTHON, cache, quiet) == first


def test_a_damaged_wheel_in_the_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = local_line(tmp_path, monkeypatch)
    cache = FileCache(tmp_path / "cache")
    (path,) = wheels.fetch([line], PYTHON, cache, quiet)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    assert wheels.fetch([line], PYTHON, cache, quiet) == [path]
    assert path.read_bytes() == whole


def test_another_hash_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local_line(tmp_path, monkeypatch)
    line = f"pkg==1 --hash=sha256:{hashlib.sha256(b'other').hexdigest()}"
    with pytest.raises(ToolError, match="pip download"):
        wheels.fetch([line], PYTHON, FileCache(tmp_path / "cache"), quiet)


def test_a_line_without_a_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local_line(tmp_path, monkeypatch)
    with pytest.raises(ToolError, match="hash"):
        wheels.fetch(["pkg==1"], PYTHON, FileCache(tmp_path / "cache"), quiet)


def test_a_wheel_for_a_newer_c_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = local_line(tmp_path, monkeypatch, "pkg-1-cp311-cp311-manylinux_2_39_x86_64.whl")
    with pytest.raises(ToolError, match="pip download"):
        wheels.fetch([line], PYTHON, FileCache(tmp_path / "cache"), quiet)
