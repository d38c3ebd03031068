from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ToolError
from modelyard.oci.archive import open_layer, read_image
from modelyard.oci.image import Image, digest, write_archive
from modelyard.oci.layers import LayerCache
from modelyard.oci.reference import parse
from modelyard.oci.repacking import repack

from .conftest import tar_bytes

REFERENCE = parse("registry.example/team/net", "v1")
LOWER, UPPER = (tar_bytes([(name, name.encode() * 999)]) for name in ("lower", "upper"))


def engines_config(diff_ids: Sequence[str]) -> bytes:
    """Return a config as the classic builder writes it: with keys that OCI does not know, in an order of its own."""
    config = {
        "container_config": {"Hostname": "", "Cmd": None},
        "architecture": "arm64",
        "config": {"User": "65532:65532", "Labels": {"a": "b"}},
        "docker_version": "20.10.24",
        "os": "linux",
        "rootfs": {"diff_ids": list(diff_ids), "type": "layers"},
    }
    return json.dumps(config).encode()


def write_saved(path: Path, files: dict[str, bytes]) -> Path:
    path.write_bytes(tar_bytes(list(files.items())))
    return path


@pytest.fixture
def config() -> bytes:
    return engines_config([digest(LOWER), digest(UPPER)])


@pytest.fixture
def classic(tmp_path: Path, config: bytes) -> Path:
    """What `docker save` of a classic store writes: no manifest of OCI, no compression."""
    said: list[dict[str, Any]] = [
        {"Config": f"{digest(config)[7:]}.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar"]}
    ]
    files = {said[0]["Config"]: config, "1/layer.tar": LOWER, "2/layer.tar": UPPER}
    return write_saved(tmp_path / "classic.tar", {**files, "manifest.json": json.dumps(said).encode()})


@pytest.fixture
def layout(tmp_path: Path, config: bytes) -> Path:
    """What an engine with the containerd store saves: a layout, its layers compressed in its own way."""
    layers = [gzip.compress(one, 1, mtime=77) for one in (LOWER, UPPER)]
    kinds = ["application/vnd.oci.image.config.v1+json", *["application/vnd.oci.image.layer.v1.tar+gzip"] * 2]
    parts: list[dict[str, Any]] = [
        {"mediaType": kind, "digest": digest(data), "size": len(data)}
        for kind, data in zip(kinds, [config, *layers], strict=True)
    ]
    manifest = json.dumps({"schemaVersion": 2, "config": parts[0], "layers": parts[1:]}).encode()
    blobs = {f"blobs/sha256/{digest(data)[7:]}": data for data in (config, *layers, manifest)}
    index = {"manifests": [{"digest": digest(manifest), "size": len(manifest)}]}
    return write_saved(tmp_path / "layout.tar", {**blobs, "index.json": json.dumps(index).encode()})


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Image]:
    def run(saved: Path, cache: str = "layers") -> Image:
        return repack(saved, REFERENCE, ("base-0", "model"), LayerCache(tmp_path / cache, "gzip", 1))

    return run


def test_the_config_stays_the_engines_and_the_layers_are_compressed(
    classic: Path, config: bytes, packed: Callable[..., Image], tmp_path: Path
) -> None:
    image = packed(classic)
    write_archive(image, tmp_path / "image.tar")
    found = read_image(tmp_path / "image.tar")
    assert found.config_bytes == config
    assert (found.digest, image.image_id) == (image.digest, digest(config))
    assert [layer.name for layer in image.layers] == ["base-0", "model"]
    assert [[member.name for member, _ in open_layer(layer)] for layer in found.layers] == [["lower"], ["upper"]]
    assert all(layer.media_type.endswith("tar+gzip") and layer.size_bytes < 999 for layer in found.layers)
    assert json.loads(found.manifest)["annotations"] == {"a": "b"}
    with tarfile.open(tmp_path / "image.tar") as archive:
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
    assert index["manifests"][0]["platform"] == {"architecture": "arm64", "os": "linux"}


def test_the_digest_goes_by_the_image_and_not_by_how_an_engine_saves_it(
    classic: Path, layout: Path, packed: Callable[..., Image]
) -> None:
    assert packed(classic).digest == packed(classic, "again").digest == packed(layout, "other").digest


def test_a_layer_that_is_not_what_the_config_says_is_refused(
    tmp_path: Path, classic: Path, packed: Callable[..., Image]
) -> None:
    with tarfile.open(classic) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    damaged = write_saved(tmp_path / "damaged.tar", {**files, "2/layer.tar": UPPER.replace(b"upper", b"UPPER")})
    with pytest.raises(ToolError, match=r"layer 'model': its content has digest .*\n  build the image again"):
        packed(damaged)


def test_what_is_no_image_is_refused(tmp_path: Path, packed: Callable[..., Image]) -> None:
    with pytest.raises(ToolError, match="neither an OCI layout"):
        packed(write_saved(tmp_path / "none.tar", {"a": b""}))
