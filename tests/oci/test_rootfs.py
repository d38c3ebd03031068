from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci.rootfs import elf_interpreter, unpack

from .test_archive import docker_save

if TYPE_CHECKING:
    from .conftest import Members


def test_unpacks_layers_over_each_other(tmp_path: Path) -> None:
    layers: list[Members] = [
        [("etc", None), ("etc/a", b"old"), ("etc/gone", b""), ("lib", "/usr/lib")],
        [("etc/a", b"new"), ("etc/.wh.gone", b""), ("usr/lib/x", b"lib")],
    ]
    root = unpack(docker_save(tmp_path / "x.tar", layers), tmp_path / "root")
    assert (root.folder / "etc" / "a").read_bytes() == b"new"
    assert not (root.folder / "etc" / "gone").exists()
    assert (root.folder / "lib").readlink() == Path("/usr/lib")
    assert root.host_path("/lib/x") == root.folder / "usr/lib/x"


def test_never_writes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for target in (str(outside), "../outside"):
        layers: list[Members] = [[("evil", target)], [("evil/file", b"x")]]
        archive = docker_save(tmp_path / "x.tar", layers)
        folder = tmp_path / f"root-{len(target)}"
        unpack(archive, folder)
        assert list(outside.iterdir()) == []
        assert list(folder.rglob("file")) != []


def test_refuses_a_path_that_climbs_out(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="leads out"):
        unpack(docker_save(tmp_path / "x.tar", [[("../evil", b"x")]]), tmp_path / "root")
    assert not (tmp_path / "evil").exists()


def test_files_are_the_users_own_and_lose_setuid(tmp_path: Path) -> None:
    from .conftest import tar_bytes

    archive = docker_save(tmp_path / "x.tar", [[("a", b"x")]])
    data = tar_bytes([("a", b"x")], mode=0o4000, uid=0)
    import json

    from modelyard.oci.image import digest

    config = json.dumps({"architecture": "amd64", "rootfs": {"diff_ids": [digest(data)]}}).encode()
    manifest = json.dumps([{"Config": "c.json", "Layers": ["0.tar"]}]).encode()
    archive.write_bytes(tar_bytes([("c.json", config), ("0.tar", data), ("manifest.json", manifest)]))
    root = unpack(archive, tmp_path / "root")
    assert stat.S_IMODE((root.folder / "a").stat().st_mode) == 0o600


def test_reads_the_loader_from_a_program(tmp_path: Path) -> None:
    assert "ld-" in elf_interpreter(Path("/bin/true").resolve())
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert elf_interpreter(tmp_path / "script") == ""
