from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import ToolError
from modelyard.oci.archive import open_layer, read_image
from modelyard.oci.image import Image, digest

from .conftest import Members, tar_bytes

Make = Callable[..., tuple[Path, Image]]


def unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)  # Python's own has no `filter` before 3.11.4
    return folder


def docker_save(path: Path, layers: list[Members], *, diff_ids: list[str] | None = None) -> Path:
    """Write an archive as old versions of `docker save` do: a folder a layer, plain tars, no OCI files."""
    blobs = [tar_bytes(members) for members in layers]
    config = json.dumps(
        {"architecture": "amd64", "rootfs": {"diff_ids": diff_ids or [digest(b) for b in blobs]}}
    ).encode()
    name = f"{digest(config)[7:]}.json"
    names = [f"{number}/layer.tar" for number in range(len(blobs))]
    manifest = json.dumps([{"Config": name, "RepoTags": ["x:1"], "Layers": names}]).encode()
    path.write_bytes(tar_bytes([(name, config), *zip(names, blobs, strict=True), ("manifest.json", manifest)]))
    return path


def test_reads_its_own_archive_as_a_file_and_as_a_folder(make_image: Make, tmp_path: Path) -> None:
    archive, image = make_image({"a": b"1"}, {"b": b"2"})
    for path in (archive, unpacked(archive, tmp_path / "layout")):
        found = read_image(path)
        assert found.digest == image.digest
        assert found.manifest == image.manifest
        assert [layer.descriptor() for layer in found.layers] == [layer.descriptor() for layer in image.layers]
        assert [m.name for layer in found.layers for m, _ in open_layer(layer)] == ["a", "b"]
        assert found.settings["Env"] == ["A=1"]


def test_reads_an_old_docker_archive(tmp_path: Path) -> None:
    found = read_image(docker_save(tmp_path / "x.tar", [[("a", b"1")], [("b", b"2")]]))
    assert found.manifest == b""
    assert [m.name for layer in found.layers for m, _ in open_layer(layer)] == ["a", "b"]


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_a_changed_blob_is_refused(make_image: Make, tmp_path: Path, part: str) -> None:
    archive, image = make_image({"a": b"1"})
    layout = unpacked(archive, tmp_path / "layout")
    name = {"manifest": image.digest, "config": image.image_id, "layer": image.layers[0].digest}[part]
    blob = layout / "blobs" / "sha256" / name[7:]
    data = bytearray(blob.read_bytes())
    data[-2] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ToolError, match="not a readable image"):
        read_image(layout)


def test_a_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path) -> None:
    image = read_image(docker_save(tmp_path / "x.tar", [[("a", b"1")]], diff_ids=[f"sha256:{'0' * 64}"]))
    with pytest.raises(ToolError, match="the config says"):
        list(open_layer(image.layers[0]))


def test_a_layer_cut_short_is_refused(tmp_path: Path) -> None:
    image = read_image(docker_save(tmp_path / "x.tar", [[("a", b"1" * 5000)]]))
    whole = image.layers[0]
    import dataclasses
    import io

    short = dataclasses.replace(whole, blob=lambda: io.BytesIO(whole.blob().read()[:3000]))
    with pytest.raises(ToolError, match="damaged"):
        list(open_layer(short))


def test_index_with_two_architectures_takes_the_one_asked_for(make_image: Make, tmp_path: Path) -> None:
    archive, image = make_image({"a": b"1"})
    layout = unpacked(archive, tmp_path / "layout")
    index = json.loads((layout / "index.json").read_text())
    other = {
        **index["manifests"][0],
        "platform": {"architecture": "arm64", "os": "linux"},
        "digest": f"sha256:{'0' * 64}",
    }
    index["manifests"].insert(0, other)
    (layout / "index.json").write_text(json.dumps(index))
    assert read_image(layout, "amd64").digest == image.digest
    with pytest.raises(ToolError, match="known: amd64, arm64"):
        read_image(layout, "s390x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tar",
        tar_bytes([("hello", b"")]),
        tar_bytes([("index.json", b'{"manifests":' * 100_000)]),
        tar_bytes([("manifest.json", b"[" * 100_000)]),
        tar_bytes([("manifest.json", b"[3]")]),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=r"x\.tar"):
        read_image(path)


@pytest.mark.parametrize("name", ["sha256:../../../etc/passwd", "md5:abc", "sha256:" + "/" * 64])
def test_a_digest_that_is_a_path_is_refused(make_image: Make, tmp_path: Path, name: str) -> None:
    archive, _ = make_image({"a": b"1"})
    layout = unpacked(archive, tmp_path / "layout")
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["digest"] = name
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(ToolError, match="is not sha256"):
        read_image(layout)


def test_a_blob_that_is_a_link_out_of_the_layout_is_refused(make_image: Make, tmp_path: Path) -> None:
    archive, image = make_image({"a": b"1"})
    layout = unpacked(archive, tmp_path / "layout")
    blob = layout / "blobs" / "sha256" / image.image_id[7:]
    shutil.copy(blob, tmp_path / "outside")
    blob.unlink()
    blob.symlink_to(tmp_path / "outside")
    with pytest.raises(ToolError, match="outside of the layout"):
        read_image(layout)
