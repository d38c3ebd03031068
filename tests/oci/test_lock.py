from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard.oci.lock import Lock
from modelyard.oci.packages import Package
from modelyard.oci.python import of_lock


def lock() -> Lock:
    names = (("libc6", "2.36-9", "base"), ("python3.11-minimal", "3.11.2-6", "python"))
    packages = tuple(Package(name, version, "amd64", "0" * 64, 7, layer) for name, version, layer in names)  # type: ignore[arg-type]
    return Lock("bookworm", "amd64", "slim", ("curl",), packages)


def test_comes_back_as_it_was_written(tmp_path: Path) -> None:
    lock().write(tmp_path / "base.lock")
    assert Lock.read(tmp_path / "base.lock") == lock()
    assert "http" not in (tmp_path / "base.lock").read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "suite": "x"}', '{"a":' * 100_000])
def test_damaged_lock_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.lock").write_text(text)
    with pytest.raises(ToolError, match="not a package lock"):
        Lock.read(tmp_path / "base.lock")


def test_other_parameters_than_the_locked_ones_are_an_error() -> None:
    lock().require("", "slim", ["curl"], Path("base.lock"))
    for wanted in (("trixie", "slim", ["curl"]), ("", "full", ["curl"]), ("", "slim", [])):
        with pytest.raises(ToolError, match="write the lock again"):
            lock().require(*wanted, Path("base.lock"))


def test_python_of_the_lock() -> None:
    python = of_lock(lock())
    assert (python.version, python.glibc, python.machine) == ((3, 11), (2, 36), "x86_64")
