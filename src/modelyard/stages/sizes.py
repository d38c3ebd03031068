"""How large a model is: as it lies on the disk, after gzip, and as a layer of an image. Read as a stream, however large."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.files.sizes import file_sizes, total_size
from modelyard.launch.python_server import MODEL
from modelyard.oci.image import FIXED_EPOCH
from modelyard.oci.layers import LARGE_MODEL_BYTES, layer_size, model_compression
from modelyard.oci.tree import Tree
from modelyard.serving.limits import memory_limit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelyard.artifacts import Model

SAMPLES = 64
"""How many parts of a large model are packed to estimate the rest."""
_PART_BYTES = 2**20
_GZIP_LEVEL = 9
_GZIP_FORMAT = 16 + zlib.MAX_WBITS  # what `wbits` means to zlib: a window of 32 KiB, and the header and end of gzip


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model in bytes; see `Evaluation`, whose fields these are."""

    size_bytes: int
    gzip_bytes: int
    layer_bytes: int


def model_sizes(model: Model) -> Sizes:
    """Return how large a model is."""
    return Sizes(total_size(model.path), gzip_size(model.path), model_layer_size(model))


def gzip_size(path: Path) -> int:
    """Return the size in bytes of a model's file or folder after gzip at level 9, file by file.

    From `LARGE_MODEL_BYTES` on it is an estimate, the same every time, as level 9 packs some 20 MB a second: `SAMPLES` parts that lie evenly spaced are packed, and
    each file is taken to be packed as well as its parts are.
    """
    files = file_sizes(path)
    total = sum(files.values())
    step = total // SAMPLES if total >= LARGE_MODEL_BYTES else 0
    return sum(_packed_size(file, size, step) for file, size in files.items())


def _packed_size(file: Path, size: int, step: int) -> int:
    """Return the size of `file` after gzip; of a file larger than a part, only one part in each `step` bytes is packed."""
    if not step or size <= _PART_BYTES:
        return _pack(_read(file))[1]
    packed = [_pack(_read(file, start, _PART_BYTES)) for start in range(0, size, step)]
    return round(size * sum(after for _, after in packed) / sum(before for before, _ in packed))


def _pack(parts: Iterator[bytes]) -> tuple[int, int]:
    """Return the size of all parts in bytes, and that after gzip."""
    packer, raw, packed = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT), 0, 0
    for part in parts:
        raw += len(part)
        packed += len(packer.compress(part))
    return raw, packed + len(packer.flush())


def _read(file: Path, start: int = 0, size: int | None = None) -> Iterator[bytes]:
    """Yield what `file` holds from `start` on, `size` bytes or all, in parts."""
    with file.open("rb") as stream:
        stream.seek(start)
        if size is not None:
            yield stream.read(size)
            return
        while part := stream.read(_PART_BYTES):
            yield part


def copies_in_memory(size_bytes: int) -> int:
    """Return how many copies of a model of so many bytes half of the memory holds, each with as much again to compute with."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(machine, memory_limit() or machine) // (4 * max(1, size_bytes)))


def model_layer_size(model: Model) -> int:
    """Return the size in bytes of the layer that holds the model in an image with a Python server, at the fixed epoch.

    It is compressed as builders do when nothing else is said. Another compression, another SOURCE_DATE_EPOCH, another place
    in the image, as TensorFlow Serving has, or several layers make another size; by some bytes, but for the compression.
    """
    tree = Tree()
    tree.add_folder(f"{MODEL.strip('/')}/{model.facts.file}", model.path)
    return layer_size(tree, model_compression(total_size(model.path)), FIXED_EPOCH)
