from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError
from modelyard.oci.layers import LARGE_MODEL_BYTES, Compression, Layer, LayerCache, layer_size
from modelyard.oci.tar import write_tar
from modelyard.oci.tree import Entry, Tree

if TYPE_CHECKING:
    from pathlib import Path


def tree(content: bytes = b"data" * 1000) -> Tree:
    made = Tree()
    made.add("a/b", Entry.file(content))
    return made


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_digests_are_those_of_the_blob_and_of_the_tar_inside(tmp_path: Path, compression: Compression) -> None:
    layer = LayerCache(tmp_path, compression, 1).layer("x", ["in"], tree)
    with layer.blob() as stream:
        blob = stream.read()
    inner = gzip.decompress(blob) if compression == "gzip" else blob
    assert layer.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(inner).hexdigest()}"
    assert layer.size_bytes == len(blob)
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        assert archive.getnames() == ["a", "a/b"]
    if compression == "gzip":
        assert blob[4:8] == bytes(4), "the header holds a time"


def test_zstd_layers_can_be_read_back(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    layer = LayerCache(tmp_path, "zstd", 1).layer("x", ["in"], tree)
    with layer.blob() as stream:
        inner = zstandard.ZstdDecompressor().stream_reader(stream).read()
    assert layer.diff_id == f"sha256:{hashlib.sha256(inner).hexdigest()}"


def test_is_made_once_for_the_same_input(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path, "gzip", 1)
    first = cache.layer("x", ["in"], tree)
    again = cache.layer("x", ["in"], lambda: pytest.fail("made again"))
    assert again.digest == first.digest
    assert cache.layer("x", ["other"], lambda: tree(b"other")).digest != first.digest


def test_of_two_builds_at_once_one_makes_it(tmp_path: Path) -> None:
    made: list[float] = []

    def slowly() -> Tree:
        made.append(time.monotonic())
        time.sleep(0.2)
        return tree()

    with ThreadPoolExecutor(2) as pool:
        layers = list(pool.map(lambda _: LayerCache(tmp_path, "gzip", 1).layer("x", ["in"], slowly), range(2)))
    assert layers[0].digest == layers[1].digest
    assert len(made) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".blob", ".json"]


def test_compression_and_epoch_are_part_of_the_input(tmp_path: Path) -> None:
    layers = [LayerCache(tmp_path, c, e).layer("x", ["in"], tree) for c, e in (("gzip", 1), ("none", 1), ("gzip", 2))]  # type: ignore[arg-type]
    assert len({layer.digest for layer in layers}) == 3


def test_the_layers_of_a_large_model_are_not_compressed_unless_somebody_chose(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path, "auto", 1)
    assert cache.layer("wheels", ["in"], tree).media_type.endswith("+gzip")
    small, large = (cache.for_model(size).layer("model", ["in"], tree) for size in (1000, LARGE_MODEL_BYTES))
    assert (small.media_type, large.media_type) == (
        f"{large.media_type}+gzip",
        "application/vnd.oci.image.layer.v1.tar",
    )
    chosen = LayerCache(tmp_path, "gzip", 1).for_model(LARGE_MODEL_BYTES)
    assert chosen.layer("model", ["in"], tree).digest == small.digest


def test_the_layer_of_a_large_model_is_read_from_its_files_and_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(3_000_000) + b"end")

    def tree() -> Tree:
        made = Tree()
        made.add_folder("model/weights", file)
        return made

    def read(layer: Layer) -> bytes:
        with layer.blob() as stream:
            return stream.read()

    cache = LayerCache(tmp_path / "layers", "auto", 1)
    layer = cache.for_model(LARGE_MODEL_BYTES).layer("model", ["in"], tree)
    kept = LayerCache(tmp_path / "kept", "none", 1).layer("model", ["in"], tree)
    assert (layer.digest, layer.diff_id, layer.size_bytes) == (kept.digest, kept.diff_id, kept.size_bytes)
    assert read(layer) == read(layer) == read(kept)
    assert [one.suffix for one in (tmp_path / "layers").iterdir()] == [".json"]
    again = cache.for_model(LARGE_MODEL_BYTES).layer("model", ["in"], tree)
    assert again.digest == layer.digest
    file.write_bytes(bytes(3_000_000) + b"END")
    with pytest.raises(ToolError, match="a file of the layer 'model' changed while the image was written"):
        read(layer)


def test_the_size_of_an_uncompressed_layer_is_known_without_reading_it() -> None:
    made = tree()
    made.add(f"{'long/' * 40}name", Entry.file(b"x" * 513))
    made.add("link", Entry.link("a/b"))
    written = io.BytesIO()
    write_tar(made, written, 1)
    unread = Tree()
    for path, entry in made:
        unread.add(path, replace(entry, source=lambda: pytest.fail("read")))
    assert layer_size(unread, "none", 1) == len(written.getvalue())
    huge = Entry("file", 0o644, size=12_000_000_000, source=lambda: pytest.fail("read"))  # more than a header can say
    unread.add("weights", huge)
    assert 12_000_000_000 < layer_size(unread, "none", 1) - len(written.getvalue()) < 12_000_030_000


def test_a_damaged_blob_is_made_again(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path, "gzip", 1)
    first = cache.layer("x", ["in"], tree)
    (blob,) = tmp_path.glob("*.blob")
    blob.write_bytes(blob.read_bytes()[:-1])
    assert cache.layer("x", ["in"], tree).digest == first.digest
    with first.blob() as stream:
        assert f"sha256:{hashlib.sha256(stream.read()).hexdigest()}" == first.digest


def test_zstd_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ToolError, match="pip install zstandard"):
        LayerCache(tmp_path, "zstd", 1).layer("x", ["in"], tree)
