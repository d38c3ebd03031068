"""Read columns of Parquet and Arrow files, a block of rows at a time.

Sources: the Parquet format (parquet.apache.org/docs/file-format), the Arrow columnar format's IPC streams and files, both
through pyarrow. Hugging Face's `datasets` saves a data set as Arrow streams, and what its columns are in the schema's
metadata, under the key `huggingface`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.data.split_files import files_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIXES = (".parquet", ".arrow", ".feather")
_ROWS = 1024
"""Rows that are in memory together, of Parquet files; Arrow files are mapped, and their blocks are as they were written."""


class ArrowFiles:
    """One table in one file, or in several, in the order of their names.

    Attributes:
        path: the file or folder, for messages.
        schema: the columns' names and types, as pyarrow has them.
        rows: how many there are.
    """

    def __init__(self, path: Path, files: Sequence[Path] = ()) -> None:
        """Open the files; nothing but what they say of themselves is read.

        Args:
            path: a file or folder.
            files: those of the folder that are the table; none: all.

        Raises:
            DataError: there are none, they are damaged, or do not have the same columns.
        """
        self.path = path
        self._files = list(files) or found_in(path)
        first, self.rows = _facts(self._files[0])
        for file in self._files[1:]:
            schema, rows = _facts(file)
            if not schema.equals(first):
                msg = f"{file}: has other columns, or of other types, than {self._files[0].name}\n  one data set is files of one form: keep others in a folder of their own"
                raise DataError(msg)
            self.rows += rows
        self.schema = first

    def class_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the classes whose numbers the column `name` holds, where Hugging Face's `datasets` wrote them."""
        try:
            said = json.loads((self.schema.metadata or {})[b"huggingface"])
            names = said["info"]["features"][name]["names"]
        except (KeyError, TypeError, ValueError):
            return ()
        return tuple(map(str, names))

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """Yield blocks of the columns `names` as pyarrow's record batches, each with the number of its first row, from 0.

        Raises:
            DataError: a file is damaged.
        """
        first = 0
        for file in self._files:
            with _told(file):
                for block in _blocks(file, list(names)):
                    yield first, block
                    first += len(block)


def found_in(path: Path) -> list[Path]:
    """Return the files of a table: the one, or those of a folder, in the order of their names.

    Raises:
        DataError: there are none.
    """
    files = files_in(path, SUFFIXES) if path.is_dir() else [path]
    if not files or files[0].suffix not in SUFFIXES:
        what = "holds no file of them" if not files else "is none of them"
        msg = f"{path}: {what}: {', '.join(SUFFIXES)}\n  give such a file, or a folder of them"
        raise DataError(msg)
    return files


class _told:  # noqa: N801 - used as a context manager
    """Tells of what pyarrow finds wrong with a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, exc: Any, trace: Any) -> None:
        import pyarrow as pa

        if isinstance(exc, pa.ArrowException | OSError):
            msg = f"{self._file}: cannot be read: {str(exc).splitlines()[0]:.300}\n  replace the file, or take it out of the folder"
            raise DataError(msg) from exc


def _facts(file: Path) -> tuple[Any, int]:
    """Return the schema of `file`, and how many rows it has."""
    from pyarrow import parquet

    with _told(file):
        if file.suffix == ".parquet":
            with parquet.ParquetFile(file) as opened:
                return opened.schema_arrow, opened.metadata.num_rows
        with _mapped(file) as reader:
            return reader.schema, sum(len(block) for block in _batches(reader))


def _blocks(file: Path, names: list[str]) -> Iterator[Any]:
    from pyarrow import parquet

    if file.suffix == ".parquet":
        with parquet.ParquetFile(file) as opened:
            yield from opened.iter_batches(_ROWS, columns=names)
        return
    with _mapped(file) as reader:
        for block in _batches(reader):
            yield block.select(names)


def _mapped(file: Path) -> Any:
    """Open an Arrow file; Feather (version 2) and IPC files end in a directory, streams have none."""
    import pyarrow as pa

    source = pa.memory_map(str(file))
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    return iter(reader)
