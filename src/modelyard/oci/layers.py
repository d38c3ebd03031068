"""Layers: a tree as a compressed tar, named by its digest, made once for the same input.

Source: OCI image-spec, layer.md and config.md (`diff_ids` are digests of the tar before compression).
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import importlib
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from modelyard.errors import ToolError
from modelyard.files.atomic import replacing
from modelyard.files.hashing import hash_file
from modelyard.files.locks import hold
from modelyard.oci.cache import sha256_json
from modelyard.oci.seal import read_sealed, write_sealed
from modelyard.oci.tar import stream_of, tar_parts, tar_size, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from modelyard.oci.tree import Tree

Compression = Literal["gzip", "zstd", "none"]
Choice = Literal["auto", "gzip", "zstd", "none"]
"""What a person may ask for; see `model_compression` for `auto`."""
TAR = "application/vnd.oci.image.layer.v1.tar"
MEDIA_TYPES: dict[Compression, str] = {"gzip": f"{TAR}+gzip", "zstd": f"{TAR}+zstd", "none": TAR}
GZIP_LEVEL = 6
"""Level 9 takes two and a half times as long for half a percent."""
ZSTD_LEVEL = 3
LARGE_MODEL_BYTES = 256_000_000
"""From this size on, the layers of a model are not compressed: weights become a tenth smaller, at some 25 MB a second."""


@dataclass(frozen=True)
class Layer:
    """A layer as it is shipped.

    Attributes:
        name: what it holds, for people.
        media_type: OCI media type.
        digest: `sha256:...` of the blob as shipped; `diff_id`: of the tar inside.
        size_bytes: size of the blob as shipped.
        blob: opens the blob.
    """

    name: str
    media_type: str
    digest: str
    diff_id: str
    size_bytes: int
    blob: Callable[[], BinaryIO]

    def descriptor(self) -> dict[str, Any]:
        """Return the OCI descriptor of the blob."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


@dataclass(frozen=True)
class _Facts:
    media_type: str
    digest: str
    diff_id: str
    size_bytes: int


def model_compression(size_bytes: int, choice: Choice = "auto") -> Compression:
    """Return how the layers of a model of so many bytes are compressed: as it was chosen; `auto` leaves large ones as they are."""
    if choice != "auto":
        return choice
    return "none" if size_bytes >= LARGE_MODEL_BYTES else "gzip"


class LayerCache:
    """Layers below one folder, by the digest of what they were made from and of the code that makes them."""

    def __init__(self, folder: Path, choice: Choice, epoch: int, *, is_of_files: bool = False) -> None:
        """Use `folder`; where the layers are of files that stay until the image is written, uncompressed ones are not kept."""
        self.folder, self.is_of_files = folder, is_of_files
        self.choice = choice
        self.compression: Compression = "gzip" if choice == "auto" else choice
        self.epoch = epoch

    def for_model(self, size_bytes: int) -> LayerCache:
        """Return the cache for the layers of a model of so many bytes."""
        return LayerCache(self.folder, model_compression(size_bytes, self.choice), self.epoch, is_of_files=True)

    def layer(self, name: str, inputs: object, make: Callable[[], Tree]) -> Layer:
        """Return the layer `name` made of `inputs` (anything JSON holds); `make` is called if the cache lacks it."""
        if self.compression == "none" and self.is_of_files:
            return self._of_files(name, inputs, make)
        return self.tar(name, inputs, lambda stream: write_tar(make(), stream, self.epoch))

    def tar(self, name: str, inputs: object, write: Callable[[BinaryIO], None]) -> Layer:
        """Return the layer `name` made of `inputs`, whose tar `write` writes if the cache lacks it."""
        key = self._key(inputs)
        blob, facts_file = self.folder / f"{key}.blob", self.folder / f"{key}.json"
        facts = _known(blob, facts_file)
        if facts is None:
            with hold(blob.with_suffix(".lock"), f"the layer {name}", lambda _: None, transient=True):
                facts = _known(blob, facts_file) or self._make(blob, facts_file, write)
        return Layer(name, facts.media_type, facts.digest, facts.diff_id, facts.size_bytes, lambda: blob.open("rb"))

    def _make(self, blob: Path, facts_file: Path, write: Callable[[BinaryIO], None]) -> _Facts:
        """Write the blob and, when it is whole, the facts of it; another build that shares the folder waits for this one."""
        with replacing(blob) as draft:
            facts = _write_layer(write, draft, self.compression)
        write_sealed(facts_file, asdict(facts))
        return facts

    def _of_files(self, name: str, inputs: object, make: Callable[[], Tree]) -> Layer:
        """Return a layer that is read from its files whenever it is asked for: a copy of a large model is a large file."""
        facts_file = self.folder / f"{self._key(inputs)}.json"
        value = read_sealed(facts_file)
        if value is None:
            with open(os.devnull, "wb") as nowhere:
                facts = _compress(lambda stream: write_tar(make(), stream, self.epoch), nowhere, "none")
            write_sealed(facts_file, asdict(facts))
        else:
            facts = _Facts(**value)

        def blob() -> BinaryIO:
            return stream_of(_checked(tar_parts(make(), self.epoch), name, facts.digest))

        return Layer(name, facts.media_type, facts.digest, facts.diff_id, facts.size_bytes, blob)

    def _key(self, inputs: object) -> str:
        return sha256_json([inputs, self.compression, self.epoch, encoder_version(self.compression), code_digest()])


def _checked(parts: Iterable[bytes], name: str, digest: str) -> Iterator[bytes]:
    """Yield `parts`.

    Raises:
        ToolError: all of them together have another digest: a file changed since the layer was made.
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
        yield part
    if f"sha256:{found.hexdigest()}" != digest:
        msg = (
            f"image content: a file of the layer {name!r} changed while the image was written\n  build the image again"
        )
        raise ToolError(msg)


def _known(blob: Path, facts_file: Path) -> _Facts | None:
    """Return what is known of `blob` if it is as one of this user's builds has left it: its bytes are not made anew."""
    value = read_sealed(facts_file)
    if value is None or not blob.is_file():
        return None
    facts = _Facts(**value)
    return facts if facts.digest == f"sha256:{hash_file(blob)}" else None


def _write_layer(write: Callable[[BinaryIO], None], path: Path, compression: Compression) -> _Facts:
    with path.open("wb") as file:
        return _compress(write, file, compression)


def layer_size(tree: Tree, compression: Compression, epoch: int) -> int:
    """Return the size in bytes of `tree` as a layer, which is written nowhere; uncompressed, its files are not even read."""
    if compression == "none":
        return tar_size(tree, epoch)
    with open(os.devnull, "wb") as nowhere:
        return _compress(lambda stream: write_tar(tree, stream, epoch), nowhere, compression).size_bytes


def _compress(write: Callable[[BinaryIO], None], file: BinaryIO, compression: Compression) -> _Facts:
    """Write the tar that `write` writes, compressed, to `file`; return its media type, digests and size."""
    outer = _Hashing(file)
    if compression == "none":  # one digest is that of both
        write(cast("BinaryIO", outer))
        return _Facts(MEDIA_TYPES[compression], outer.digest, outer.digest, outer.size_bytes)
    with _compressor(outer, compression) as stream:
        inner = _Hashing(stream)
        write(cast("BinaryIO", inner))
    return _Facts(MEDIA_TYPES[compression], outer.digest, inner.digest, outer.size_bytes)


class _Hashing:
    """Passes on what is written, and keeps count and digest of it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self._sha256.update(data)
        self.size_bytes += len(data)
        self._stream.write(data)
        return len(data)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        self._stream.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


@contextlib.contextmanager
def _compressor(stream: _Hashing, compression: Compression) -> Iterator[Any]:
    if compression == "gzip":
        # No file name and no time in the header: they would differ from build to build.
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=cast("Any", stream), mtime=0
        ) as packed:
            yield packed
    else:
        with _zstandard().ZstdCompressor(level=ZSTD_LEVEL).stream_writer(stream, closefd=False) as packed:
            yield packed


def _zstandard() -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError as exc:
        msg = (
            "compression 'zstd' needs the package zstandard\n"
            "  python -m pip install zstandard, or choose 'gzip' or 'none'"
        )
        raise ToolError(msg) from exc


def encoder_version(compression: Compression) -> str:
    """Return name and version of the compressor: another one may give other bytes for the same tar."""
    if compression == "gzip":
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    return f"zstandard {_zstandard().__version__}" if compression == "zstd" else "none"


@functools.cache
def code_digest() -> str:
    """Return the digest of the modules of this package, so that a layer of older code is not taken."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return sha256_json([(module.name, hash_file(module)) for module in modules])
