from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.errors import ToolError
from modelyard.oci.archive import read_image
from modelyard.oci.listing import Listing

from .test_archive import docker_save

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Members


def listing(tmp_path: Path, *layers: Members) -> Listing:
    return Listing(read_image(docker_save(tmp_path / "x.tar", list(layers))))


def files(found: Listing) -> list[str]:
    return sorted(path for path, node in found.nodes.items() if node.kind != "dir")


def test_whiteout_deletes_a_file_and_a_folder(tmp_path: Path) -> None:
    lower: Members = [("a/x", b""), ("a/y", b""), ("b/z", b"")]
    assert files(listing(tmp_path, lower, [("a/.wh.x", b""), (".wh.b", b"")])) == ["a/y"]


def test_opaque_folder_hides_what_lies_below_and_keeps_its_own(tmp_path: Path) -> None:
    lower: Members = [("a/x", b""), ("a/sub/y", b""), ("b", b"")]
    for upper in ([("a/new", b""), ("a/.wh..wh..opq", b"")], [("a/.wh..wh..opq", b""), ("a/new", b"")]):
        assert files(listing(tmp_path, lower, upper)) == ["a/new", "b"]  # type: ignore[arg-type]


def test_whiteout_and_new_file_of_one_name_in_one_layer(tmp_path: Path) -> None:
    found = listing(tmp_path, [("a", b"old")], [(".wh.a", b""), ("a", b"new")])
    assert found.read("a") == b"new"


def test_a_file_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    assert files(listing(tmp_path, [("a/x", b"")], [("a", b"file")])) == ["a"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ".wh...", ".wh..", "a/.wh."])
def test_refuses_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match=r"leads out|names nothing"):
        listing(tmp_path, [(name, b"")])


def test_links_are_followed_inside_the_image(tmp_path: Path) -> None:
    found = listing(tmp_path, [("usr/lib/x", b"data"), ("lib", "/usr/lib"), ("up", "../../../usr"), ("to", "up/lib/x")])
    assert found.resolve("/lib/x") == "usr/lib/x"
    assert found.resolve("to") == "usr/lib/x"
    assert found.read("to") == b"data"
    assert found.resolve("none") is None


def test_a_file_below_a_link_lands_where_the_link_points(tmp_path: Path) -> None:
    found = listing(tmp_path, [("usr/lib/x", b""), ("lib", "/usr/lib")], [("lib/y", b"")])
    assert files(found) == ["lib", "usr/lib/x", "usr/lib/y"]


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="circles"):
        listing(tmp_path, [("a", "b"), ("b", "a")]).resolve("a/x")


def test_hard_link_keeps_its_content_when_its_original_is_replaced(tmp_path: Path) -> None:
    import io

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"old"))
        link = tarfile.TarInfo("b")
        link.type, link.linkname = tarfile.LNKTYPE, "a"
        archive.addfile(link)
    import json

    from modelyard.oci.image import digest

    from .conftest import tar_bytes

    upper = tar_bytes([("a", b"new")])
    config = json.dumps(
        {"architecture": "amd64", "rootfs": {"diff_ids": [digest(stream.getvalue()), digest(upper)]}}
    ).encode()
    manifest = json.dumps([{"Config": "c.json", "Layers": ["0.tar", "1.tar"]}]).encode()
    members: Members = [("c.json", config), ("0.tar", stream.getvalue()), ("1.tar", upper), ("manifest.json", manifest)]
    (tmp_path / "x.tar").write_bytes(tar_bytes(members))
    found = Listing(read_image(tmp_path / "x.tar"))
    assert (found.read("a"), found.read("b")) == (b"new", b"old")


NAMES = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "a/x/q"])
CHANGES = st.lists(st.lists(st.tuples(st.sampled_from(["put", "delete", "clear"]), NAMES), max_size=4), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(CHANGES)
def test_agrees_with_a_plain_model_of_the_specification(tmp_path: Path, layers: list[list[tuple[str, str]]]) -> None:
    expected: dict[str, int] = {}
    tars: list[Members] = []
    for number, changes in enumerate(layers):
        members: Members = []
        mine: dict[str, int] = {}
        gone: list[str] = []
        for what, path in changes:
            folder, _, name = path.rpartition("/")
            prefix = f"{folder}/" if folder else ""
            if what == "put" and not any(
                path.startswith(f"{p}/") or p.startswith(f"{path}/") for p in (*expected, *mine)
            ):
                members.append((path, str(number).encode()))
                mine[path] = number
            elif what == "delete" and path not in mine and not any(p.startswith(f"{path}/") for p in mine):
                members.append((f"{prefix}.wh.{name}", b""))
                gone += [p for p in expected if p == path or p.startswith(f"{path}/")]
            elif what == "clear":
                members.append((f"{prefix}.wh..wh..opq", b""))
                gone += [p for p in expected if p.startswith(prefix)]
        for path in gone:
            expected.pop(path, None)
        expected.update(mine)
        tars.append(members)
    found = listing(tmp_path, *tars)
    assert {path: found.nodes[path].layer for path in files(found)} == expected
