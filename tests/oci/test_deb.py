from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci import deb as debs
from modelyard.oci.deb import ar_members, control_fields, data_entries, parse_paragraph

from .conftest import ar_bytes, tar_bytes, write_deb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_reads_control_and_data(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", "liba", [("./usr", None), ("./usr/x", b"data"), ("./usr/y", "x")])
    fields, text, sums = control_fields(deb)
    assert fields["Package"] == "liba"
    assert fields["Description"] == "a longer text"
    assert "Version: 1.0" in text
    assert sums.endswith(b"usr/x\n")
    entries = dict(data_entries(deb))
    assert entries["usr"].kind == "dir"
    assert entries["usr/x"].read() == b"data"
    assert entries["usr/y"].target == "x"


def zst(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    return bytes(zstandard.ZstdCompressor().compress(data))


PACKED = pytest.mark.parametrize(
    ("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress), ("bz2", bz2.compress), ("zst", zst)]
)


@PACKED
def test_reads_compressed_members(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    data = tar_bytes([("./usr/x", b"data")])
    path = tmp_path / "a.deb"
    path.write_bytes(ar_bytes({"debian-binary": b"2.0\n", f"data.tar.{suffix}": pack(data)}))
    assert dict(data_entries(path))["usr/x"].read() == b"data"


@PACKED
def test_a_package_may_unpack_to_so_many_bytes_and_not_one_more(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tar_bytes([("./usr/x", b"data")])
    path = tmp_path / "a.deb"
    path.write_bytes(ar_bytes({f"data.tar.{suffix}": pack(data)}))
    monkeypatch.setattr(debs, "MAX_UNPACKED_BYTES", len(data))
    assert dict(data_entries(path))["usr/x"].read() == b"data"
    monkeypatch.setattr(debs, "MAX_UNPACKED_BYTES", len(data) - 1)
    with pytest.raises(ToolError, match=f"unpacks to more than {len(data) - 1} bytes"):
        list(data_entries(path))


def test_without_zstandard_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(ar_bytes({"data.tar.zst": b"any"}))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ToolError, match=r"a\.deb: compressed with zstd.*\n  python -m pip install zstandard"):
        list(data_entries(path))


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


def test_refuses_a_device_node_that_names_a_file(tmp_path: Path) -> None:
    node = tar_bytes([("./y", b"")], type=tarfile.FIFOTYPE, linkname="./x")
    deb = tmp_path / "a.deb"
    deb.write_bytes(ar_bytes({"data.tar": tar_bytes([("./x", b"data")])[:1024] + node}))
    with pytest.raises(ToolError, match="device node"):
        list(data_entries(deb))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"a\.deb: not a Debian package"),
        (b"PK\x03\x04", r"a\.deb: not a Debian package"),
        (b"!<arch>\n", r"a\.deb: no data\.tar\.\* in it"),
    ],
)
def test_refuses_what_is_not_a_package(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.deb"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=told):
        list(data_entries(path))


@pytest.mark.parametrize("missing", [1, 2000])
def test_refuses_a_package_cut_short(tmp_path: Path, missing: int) -> None:
    deb = write_deb(tmp_path / "a.deb", "a", [("./x", b"data" * 1000)])
    deb.write_bytes(deb.read_bytes()[:-missing])
    with pytest.raises(ToolError, match="ends in the middle"):
        list(data_entries(deb))


def test_paragraph_joins_continued_lines() -> None:
    text = "Depends: a,\n b (>= 1),\n\tc\nHomepage: https://host:80/a\nSize: 3"
    assert parse_paragraph(text) == {"Depends": "a, b (>= 1), c", "Homepage": "https://host:80/a", "Size": "3"}


def test_members_begin_at_even_places_and_their_names_may_end_in_a_slash(tmp_path: Path) -> None:
    members = {"odd/": b"abc", "sixteen-letters.": b"x", "even": b"1234"}
    (tmp_path / "a.deb").write_bytes(ar_bytes(members))
    assert dict(ar_members(tmp_path / "a.deb")) == {"odd": b"abc", "sixteen-letters.": b"x", "even": b"1234"}


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
