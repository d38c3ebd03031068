from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci import apt
from modelyard.oci.base import ImageBase, Wanted

from .test_archive import docker_save
from .test_lock import lock

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.oci.lock import Lock

    from .conftest import Members


def quiet(percent: float, note: str) -> None:
    pass


def resolver(monkeypatch: pytest.MonkeyPatch, answers: list[Lock | ToolError]) -> list[Lock | ToolError]:
    """Let `apt.resolve` give `answers` one after the other."""

    def resolve(*_: object) -> Lock:
        answer = answers.pop(0)
        if isinstance(answer, ToolError):
            raise answer
        return answer

    monkeypatch.setattr(apt, "resolve", resolve)
    return answers


def test_mirrors_are_asked_again_only_when_the_answer_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = resolver(monkeypatch, [lock(), lock()])
    wanted = Wanted("bookworm", "slim", ())
    for _ in range(3):
        assert wanted.resolve(tmp_path, tmp_path, quiet) == lock()
    assert len(left) == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    wanted.resolve(tmp_path, tmp_path, quiet)
    assert left == []


def test_an_old_answer_serves_when_the_mirrors_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, [lock(), ToolError("apt: no network")])
    said: list[str] = []
    wanted = Wanted("bookworm", "slim", (), log=said.append)
    wanted.resolve(tmp_path, tmp_path, quiet)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert wanted.resolve(tmp_path, tmp_path, quiet) == lock()
    assert "no network" in said[0]


def test_no_answer_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, [ToolError("apt: no network")])
    with pytest.raises(ToolError, match="no network"):
        Wanted("bookworm", "slim", ()).resolve(tmp_path, tmp_path, quiet)


def test_a_lock_file_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, [])
    lock().write(tmp_path / "base.lock")
    assert Wanted("", "slim", ("curl",), tmp_path / "base.lock").resolve(tmp_path, tmp_path, quiet) == lock()


LIBC = b"\x7fELF..GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"


def test_python_of_an_image_is_found_through_its_links(tmp_path: Path) -> None:
    layers: list[Members] = [
        [("usr/lib/x86_64-linux-gnu/libc.so.6", LIBC), ("lib", "usr/lib")],
        [("usr/bin/python3.11", b"elf"), ("usr/bin/python3", "python3.11")],
    ]
    base = ImageBase(docker_save(tmp_path / "x.tar", layers))
    assert (base.python.executable, base.python.version, base.python.glibc) == ("/usr/bin/python3", (3, 11), (2, 36))
    assert len(base.history) == 2


@pytest.mark.parametrize(
    "members", [[("libc.so.6", LIBC)], [("usr/bin/python3.11", b""), ("usr/bin/python3", "python3.11")]]
)
def test_an_image_without_python_or_glibc_is_refused(tmp_path: Path, members: Members) -> None:
    with pytest.raises(ToolError, match="no python3 with glibc"):
        ImageBase(docker_save(tmp_path / "x.tar", [members]))
