from __future__ import annotations

import gzip
import lzma
import tarfile
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci.deb import ar_members, control_fields, data_entries, parse_paragraph

from .conftest import ar_bytes, tar_bytes, write_deb

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_control_and_data(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "liba", [("./usr", None), ("./usr/x", b"data"), ("./usr/y", "x")])
    fields, text, sums = control_fields(deb)
    assert fields["Package"] == "liba"
    assert fields["Description"] == "a longer text"
    assert "Version: 1.0" in text
    assert sums.endswith(b"usr/x\n")
    entries = dict(data_entries(deb))
    assert entries["usr/x"].read() == b"data"
    assert entries["usr/y"].target == "x"


@pytest.mark.parametrize(("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress)])
def test_reads_compressed_members(tmp_path: Path, suffix: str, pack: object) -> None:
    data = tar_bytes([("./usr/x", b"data")])
    path = tmp_path / "a.deb"
    path.write_bytes(ar_bytes({"debian-binary": b"2.0\n", f"data.tar.{suffix}": pack(data)}))  # type: ignore[operator]
    assert dict(data_entries(path))["usr/x"].read() == b"data"


def test_hard_link_becomes_a_second_file(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./x", b"data")])
    linked = tar_bytes([("./x", b"data")])[:1024] + tar_bytes([("./y", b"")], type=tarfile.LNKTYPE, linkname="./x")
    deb.write_bytes(ar_bytes({"data.tar": linked}))
    assert dict(data_entries(deb))["y"].read() == b"data"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_refuses_device_nodes_and_dangling_hard_links(tmp_path: Path, kind: bytes) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./dev/null", b"")], type=kind, linkname="./nowhere")
    with pytest.raises(ToolError, match="device node"):
        list(data_entries(deb))


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"PK\x03\x04"])
def test_refuses_what_is_not_a_package(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(content)
    with pytest.raises(ToolError, match="not a Debian package"):
        list(data_entries(path))


def test_refuses_a_package_cut_short(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./x", b"data" * 1000)])
    deb.write_bytes(deb.read_bytes()[:-2000])
    with pytest.raises(ToolError, match="ends in the middle"):
        list(data_entries(deb))


def test_paragraph_joins_continued_lines() -> None:
    assert parse_paragraph("Depends: a,\n b (>= 1)\nSize: 3") == {"Depends": "a, b (>= 1)", "Size": "3"}


def test_an_empty_member_at_the_end_is_one(tmp_path: Path) -> None:
    """Its header ends where the file does."""
    deb = tmp_path / "a.deb"
    deb.write_bytes(ar_bytes({"debian-binary": b"2.0\n", "last": b""}))
    assert list(ar_members(deb)) == [("debian-binary", b"2.0\n"), ("last", b"")]


@pytest.mark.parametrize("length", [b"many      ", b"-60       ", b"\0" * 10])
def test_a_length_that_is_none_is_told(tmp_path: Path, length: bytes) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./x", b"data")])
    deb.write_bytes(deb.read_bytes().replace(b"4         `", length + b"`", 1))
    with pytest.raises(ToolError, match=r"a\.deb: damaged, or not a Debian package: .*\n  remove the file"):
        control_fields(deb)
