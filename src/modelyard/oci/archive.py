"""An image that someone else made, read from an archive or a folder, every digest checked.

Understood: OCI image layouts (folder or tar), archives of `docker save` old and new, and what `image` writes.

Source: OCI image-spec, image-layout.md; Docker image spec v1.2.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import posixpath
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from modelyard.errors import ToolError, listing
from modelyard.files.json import decode
from modelyard.oci.image import digest as digest_of
from modelyard.oci.layers import TAR, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_JSON_BYTES = 16 << 20
MAGIC = {b"\x1f\x8b": "+gzip", b"\x28\xb5\x2f\xfd": "+zstd"}


@dataclass(frozen=True)
class SourceImage:
    """An image as it was found.

    Attributes:
        path: the archive or folder.
        config: the image's config.
        manifest: the OCI manifest's bytes; empty for an old `docker save` archive, which has none.
        digest: of the manifest, or of the config where there is none.
        layers: the lowest first; their blobs are as they were found.
        config_bytes: the config's bytes.
    """

    path: Path
    config: Mapping[str, Any]
    manifest: bytes
    digest: str
    layers: tuple[Layer, ...]
    config_bytes: bytes

    @property
    def settings(self) -> Mapping[str, Any]:
        """The `config` object of the config: User, Env, Entrypoint and so on."""
        return self.config.get("config") or {}


class _Store(Protocol):
    def names(self) -> set[str]: ...
    def size(self, name: str) -> int: ...
    def open(self, name: str) -> BinaryIO: ...


def read_image(path: Path, architecture: str = "") -> SourceImage:
    """Read the image in `path`; of several, the one for `architecture` (OCI's name, for instance `amd64`).

    Raises:
        ToolError: it is not an image, is damaged, or holds several images and none, or more than one, fits.
    """
    try:
        store = _open_store(path)
        names = store.names()
        if "index.json" in names:
            return _read_oci(path, store, architecture)
        if "manifest.json" in names:
            return _read_docker(path, store)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, tarfile.TarError) as exc:
        msg = f"{path}: not a readable image: {exc}\n  write it again with `skopeo copy` or `docker save`"
        raise ToolError(msg) from exc
    msg = (
        f"{path}: neither an OCI layout (index.json) nor a `docker save` archive (manifest.json)\n"
        "  write it with `skopeo copy` or `docker save`"
    )
    raise ToolError(msg)


def open_layer(layer: Layer) -> Iterator[tuple[tarfile.TarInfo, Callable[[], BinaryIO | None]]]:
    """Give each member of `layer` and a way to open it (before the next member is taken).

    Raises:
        ToolError: the layer is damaged, or its content is not what the config's diff_id says.
    """
    try:
        with layer.blob() as blob:
            content = _HashingReader(decompressed(blob, layer.media_type))
            with tarfile.open(fileobj=cast("BinaryIO", content), mode="r|") as archive:
                for member in archive:
                    yield member, lambda member=member: cast("BinaryIO | None", archive.extractfile(member))  # type: ignore[misc]
            content.drain()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as exc:
        msg = f"layer {layer.digest}: damaged: {exc}\n  write the image again"
        raise ToolError(msg) from exc
    if content.digest != layer.diff_id:
        msg = (
            f"layer {layer.digest}: its content has digest {content.digest}, the config says {layer.diff_id}\n"
            "  write the image again"
        )
        raise ToolError(msg)


def decompressed(blob: BinaryIO, media_type: str) -> BinaryIO:
    """Return the tar in a layer's `blob`, to be read from its beginning to its end.

    Raises:
        ToolError: the package that decompresses it is missing.
    """
    if media_type.endswith("+gzip"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=blob, mode="rb"))
    if not media_type.endswith("+zstd"):
        return blob
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError as exc:
        msg = "this image has a layer compressed with zstd\n  python -m pip install zstandard"
        raise ToolError(msg) from exc
    return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(blob))


class _HashingReader:
    """Passes on what is read, and keeps the digest of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._sha256.update(data)
        return data

    def drain(self) -> None:
        """Read to the end: a tar ends before its file does."""
        while self.read(1 << 20):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


def _read_oci(path: Path, store: _Store, architecture: str) -> SourceImage:
    index = _table(_small(store, "index.json"))
    manifest_bytes = _manifest(store, index, architecture, path)
    manifest = _table(manifest_bytes)
    config_bytes = _checked(store, manifest["config"])
    config = _table(config_bytes)
    diff_ids = config["rootfs"]["diff_ids"]
    if len(diff_ids) != len(manifest["layers"]):
        msg = f"{len(manifest['layers'])} layers, {len(diff_ids)} diff_ids"
        raise ValueError(msg)
    layers = [
        _layer(store, _blob_name(one["digest"]), one["digest"], diff_id, number)
        for number, (one, diff_id) in enumerate(zip(manifest["layers"], diff_ids, strict=True))
    ]
    return SourceImage(path, config, manifest_bytes, digest_of(manifest_bytes), tuple(layers), config_bytes)


def _manifest(store: _Store, index: Mapping[str, Any], architecture: str, path: Path) -> bytes:
    found = [one for one in index["manifests"] if (one.get("platform") or {}).get("os") != "unknown"]
    if len(found) > 1:
        found = [one for one in found if (one.get("platform") or {}).get("architecture") == architecture]
    if len(found) != 1:
        known = listing({str((one.get("platform") or {}).get("architecture")) for one in index["manifests"]})
        msg = (
            f"{path}: {len(found)} images for architecture {architecture!r}; known: {known}\n"
            "  write an archive with one image"
        )
        raise ToolError(msg)
    data = _checked(store, found[0])
    inner = _table(data)
    return _manifest(store, inner, architecture, path) if "manifests" in inner else data


def _read_docker(path: Path, store: _Store) -> SourceImage:
    images = decode(_small(store, "manifest.json"), list[dict[str, Any]])
    if len(images) != 1:
        msg = f"{path}: holds {len(images)} images\n  save one image an archive"
        raise ToolError(msg)
    config_bytes = _small(store, images[0]["Config"])
    stem = Path(images[0]["Config"]).name.removesuffix(".json")
    if len(stem) == 64 and digest_of(config_bytes) != f"sha256:{stem}":
        msg = f"config {images[0]['Config']!r} does not have the digest in its name"
        raise ValueError(msg)
    config = _table(config_bytes)
    pairs = zip(images[0]["Layers"], config["rootfs"]["diff_ids"], strict=True)
    layers = [_layer(store, name, "", diff_id, number) for number, (name, diff_id) in enumerate(pairs)]
    return SourceImage(path, config, b"", digest_of(config_bytes), tuple(layers), config_bytes)


def _table(data: bytes) -> dict[str, Any]:
    return decode(data, dict[str, Any])


def _layer(store: _Store, name: str, digest: str, diff_id: str, number: int) -> Layer:
    with store.open(name) as stream:
        start = stream.read(4)
    with store.open(name) as stream:
        actual = f"sha256:{hashlib.file_digest(cast('Any', stream), 'sha256').hexdigest()}"
    if digest and digest != actual:
        msg = f"blob {digest} has digest {actual}"
        raise ValueError(msg)
    suffix = next((suffix for magic, suffix in MAGIC.items() if start.startswith(magic)), "")
    return Layer(f"base-{number}", f"{TAR}{suffix}", actual, diff_id, store.size(name), lambda: store.open(name))


def _checked(store: _Store, descriptor: Mapping[str, Any]) -> bytes:
    data = _small(store, _blob_name(descriptor["digest"]))
    if digest_of(data) != descriptor["digest"]:
        msg = f"blob {descriptor['digest']} has digest {digest_of(data)}"
        raise ValueError(msg)
    return data


def _small(store: _Store, name: str) -> bytes:
    if store.size(name) > MAX_JSON_BYTES:
        msg = f"{name!r} has {store.size(name)} bytes"
        raise ValueError(msg)
    with store.open(name) as stream:
        return stream.read()


def _blob_name(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not value.isalnum():
        msg = f"digest {digest!r} is not sha256"
        raise ValueError(msg)
    return f"blobs/sha256/{value}"


def _open_store(path: Path) -> _Store:
    return _Folder(path) if path.is_dir() else _TarFile(path)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> set[str]:
        return {path.name for path in self._folder.iterdir()}

    def size(self, name: str) -> int:
        return self._inside(name).stat().st_size

    def open(self, name: str) -> BinaryIO:
        return self._inside(name).open("rb")

    def _inside(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            msg = f"{name!r} lies outside of the layout"
            raise ValueError(msg)
        return path


class _TarFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        with tarfile.open(path, "r:") as archive:
            members = {member.name.removeprefix("./"): member for member in archive}
            # Old `docker save` writes a layer that it has twice as a link to the first one.
            self._places = {name: _place(members, name) for name, member in members.items() if not member.isdir()}

    def names(self) -> set[str]:
        return set(self._places)

    def size(self, name: str) -> int:
        return self._places[name][1]

    def open(self, name: str) -> BinaryIO:
        return io.BufferedReader(_Slice(self._path, *self._places[name]))


def _place(members: Mapping[str, tarfile.TarInfo], name: str) -> tuple[int, int]:
    for _ in range(8):
        member = members[name]
        if member.isreg():
            return member.offset_data, member.size
        folder = posixpath.dirname(name) if member.issym() else ""
        name = posixpath.normpath(posixpath.join(folder, member.linkname))
    msg = f"{name!r} is not a file"
    raise ValueError(msg)


class _Slice(io.RawIOBase):
    """A part of a file, as a file of its own."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self._left]
        count = self._file.readinto(view) or 0
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
