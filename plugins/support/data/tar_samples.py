"""Samples in tar files as WebDataset has them: members whose names differ in their endings alone are one sample.

Source: the WebDataset format (github.com/webdataset/webdataset, "The WebDataset Format"): a member's key is its name up to the
first dot behind the last slash, its field what follows; members of a sample stand next to each other.
"""

from __future__ import annotations

import tarfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from modelyard.errors import DataError, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIX = ".tar"
_BLOCK = 512


class Member(NamedTuple):
    """A file in a tar file.

    Attributes:
        shard: the tar file.
        key: the sample that it is of.
        field: its ending, without the dot before it, in lower case.
        begin: where its content begins.
        size: how long that is, in bytes.
    """

    shard: Path
    key: str
    field: str
    begin: int
    size: int


class TarColumn:
    """One field of all samples, of which each is read when it is asked for; where it lies takes 24 bytes of memory a sample."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = shards
        self._places = array("q")
        self._open: tuple[int, BinaryIO] | None = None

    def add(self, shard: int, begin: int, size: int) -> None:
        """Add a sample's, in the tar file with the number `shard`."""
        self._places.extend((shard, begin, size))

    def __len__(self) -> int:
        return len(self._places) // 3

    def place(self, number: int) -> str:
        """Return what messages call the file of a sample: the tar file, and where in it the content begins."""
        shard, begin, _ = self._places[3 * number : 3 * number + 3]
        return f"{self._shards[shard]}, sample {number} (from byte {begin:,})"

    def __getitem__(self, number: int) -> bytes:
        """Return the content of one.

        Raises:
            DataError: the tar file is shorter than it was.
        """
        shard, begin, size = self._places[3 * number : 3 * number + 3]
        file = self._file(shard)
        file.seek(begin)
        found = file.read(size)
        if len(found) < size:
            msg = (
                f"{self._shards[shard]}: ends within a file of it, at {begin + len(found):,} bytes\n  replace the file"
            )
            raise DataError(msg)
        return found

    def _file(self, shard: int) -> BinaryIO:
        """Return a tar file; that of the sample before is open still, and most often the same."""
        if self._open is None or self._open[0] != shard:
            self._close()
            self._open = shard, self._shards[shard].open("rb")
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    __del__ = _close


def shards_in(path: Path) -> list[Path]:
    """Return the tar file, or those of a folder in the order of their names.

    Raises:
        DataError: there is none; or they are compressed, so that nothing but all of one can be read.
    """
    files = sorted(filter(_is_tar, path.iterdir())) if path.is_dir() else [path]
    packed = [one for one in files if one.suffix != SUFFIX]
    if packed and ".tar" in packed[0].suffixes:
        msg = f"{packed[0]}: is compressed, so that no sample can be read by itself\n  unpack it to a {SUFFIX} file: pictures and sounds are compressed already"
        raise DataError(msg)
    if not files or packed:
        msg = f"{path}: {'is no' if packed else 'holds no'} {SUFFIX} file\n  give such a file, or a folder of them"
        raise DataError(msg)
    return files


def _is_tar(path: Path) -> bool:
    return ".tar" in path.suffixes and path.is_file()


def members_of(shard: Path) -> Iterator[Member]:
    """Yield the files in a tar file, of which nothing but the headers is read; hidden ones are left out.

    Raises:
        DataError: it is damaged, or ends within a file.
    """
    length = shard.stat().st_size if shard.is_file() else 0
    try:
        with tarfile.open(shard, "r:") as archive:
            for one in archive:
                name = one.name.rpartition("/")
                key, dot, field = name[2].partition(".")
                if not one.isfile() or not key or not dot:
                    continue
                if one.offset_data + one.size > length:
                    msg = f"{shard}: ends within {one.name!r}, {one.offset_data + one.size - length:,} bytes before its end\n  replace the file"
                    raise DataError(msg)
                yield Member(shard, name[0] + name[1] + key, field.lower(), one.offset_data, one.size)
            _check_end(shard, archive.offset)
    except (tarfile.TarError, OSError) as exc:
        msg = f"{shard}: cannot be read as a tar file: {str(exc) or type(exc).__name__}\n  replace the file, or take it out of the folder"
        raise DataError(msg) from exc


def _check_end(shard: Path, offset: int) -> None:
    """Check that a block of zeros stands where Python stopped: it takes whatever is broken there for a tar file's end.

    Raises:
        DataError: something else does, or nothing.
    """
    with shard.open("rb") as file:
        file.seek(offset)
        end = file.read(_BLOCK)
    if any(end) or len(end) < _BLOCK:
        why = "holds no file's header there" if any(end) else "ends there without the zeros that a tar file ends in"
        msg = f"{shard}: is damaged or was cut short at byte {offset:,}: it {why}\n  replace the file, or take it out of the folder"
        raise DataError(msg)


def samples_of(shards: Sequence[Path]) -> Iterator[tuple[int, str, dict[str, Member]]]:
    """Yield each sample: the number of its tar file, its key, and its members by their fields.

    Raises:
        DataError: a tar file is damaged, or a sample has two members of one field.
    """
    for number, shard in enumerate(shards):
        key, found = "", dict[str, Member]()
        for one in members_of(shard):
            if one.key != key and found:
                yield number, key, found
                found = {}
            key = one.key
            if one.field in found:
                msg = f"{shard}: the sample {key!r} has two files that end in .{one.field}\n  files of a sample stand next to each other, each with an ending of its own"
                raise DataError(msg)
            found[one.field] = one
        if found:
            yield number, key, found


def columns_of(shards: Sequence[Path], wanted: Sequence[Sequence[str]]) -> list[TarColumn]:
    """Return a column for each of `wanted`, which are endings of which a sample has one, such as jpg or png.

    Raises:
        DataError: a sample has none of them, or there is no sample.
    """
    columns = [TarColumn(shards) for _ in wanted]
    for number, key, members in samples_of(shards):
        for column, endings in zip(columns, wanted, strict=True):
            one = next((members[ending] for ending in endings if ending in members), None)
            if one is None:
                msg = f"{shards[number]}: the sample {key!r} has no file that ends in {' or '.join(f'.{each}' for each in endings)}\n  it has: {listing(members)}; leave the sample out, or name another ending"
                raise DataError(msg)
            column.add(number, one.begin, one.size)
    if not len(columns[0]):
        msg = f"{shards[0]}: holds no sample\n  a sample is files whose names differ in their endings alone: 0001.jpg, 0001.cls"
        raise DataError(msg)
    return columns
