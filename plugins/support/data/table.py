"""Read a table from a CSV file: columns of numbers as one array, others as texts.

Source: RFC 4180, "Common Format and MIME Type for Comma-Separated Values (CSV) Files", with a header line.
"""

from __future__ import annotations

import csv
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import DataError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_MOST = 3.4028234e38
"""The largest float32, rounded down."""
_FLOAT64_EXACT = 2**53
"""Every whole number up to this is a float64."""
Cell = tuple[int, str]
"""The number of a line or row, and what stands there."""


class Roles(msgspec.Struct, frozen=True):
    """What the columns of a table are for.

    Attributes:
        columns: numbers, which make a sample together; none: all columns without another role.
        target: what is to be learnt.
        sent: the column that makes a sample as a client sends it, a text or the name of a file, or several columns, each
            sent by its name; empty: `columns` make one array.
        slices: what samples are told apart by when they are measured; any column may be one beside what else it is.
        group: what samples are of that belong together, such as a patient; empty: each stands for itself.
    """

    columns: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    sent: str | tuple[str, ...] = ""
    slices: tuple[str, ...] = ()
    group: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns whose cells stay texts."""
        return (*self.target, *self.all_sent, *self.slices, *self.groups)

    @property
    def groups(self) -> tuple[str, ...]:
        """The column of groups, if there is one."""
        return (self.group,) if self.group else ()

    @property
    def all_sent(self) -> tuple[str, ...]:
        """The columns that are sent as they are."""
        return self.sent if isinstance(self.sent, tuple) else (self.sent,) if self.sent else ()

    def numeric(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return which of a table's columns, `names`, are the numbers of a sample."""
        if self.sent:
            return ()
        return self.columns or tuple(name for name in names if name not in self.kept)

    def check(self, names: Sequence[str], path: Path) -> None:
        """Look whether a table has these columns, and whether no column is a sample's and the target, too.

        Args:
            names: the table's columns.
            path: where they are.

        Raises:
            DataError: it has not; or no column is left for a sample.
        """
        named = {
            "columns": self.columns,
            "target": self.target,
            "sent": self.all_sent,
            "slices": self.slices,
            "group": self.groups,
        }
        for key, given in named.items():
            for name in given:
                if name not in names:
                    msg = f"{path}: {key}: there is no column {name!r}{did_you_mean(name, names)}\n  columns: {listing(names)}"
                    raise DataError(msg)
        both = [name for name in (*self.columns, *self.all_sent) if name in self.target]
        if both or not (self.sent or self.numeric(names)):
            why = f"{both[0]!r} is of a sample and the target, too" if both else "no column is left for a sample"
            msg = f"{path}: {why}\n  name in target what is to be learnt, and in columns what it is learnt from"
            raise DataError(msg)


class Table(msgspec.Struct, frozen=True):
    """What was read.

    Attributes:
        path: the file.
        samples: float32, shape `(rows, columns)`; None where columns are sent as they are.
        texts: the cells of each column that stays text, in the order of the rows.
        unit: what the number of a cell counts.
    """

    path: Path
    samples: Any
    texts: dict[str, list[Cell]]
    unit: str = "line"

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(next(iter(self.texts.values()))) if self.samples is None else len(self.samples)


def read_table(path: Path, roles: Roles, delimiter: str) -> Table:
    """Read the table in `path`, a row at a time.

    Args:
        path: the file.
        roles: what its columns are for.
        delimiter: what stands between two values.

    Raises:
        DataError: it cannot be read, has no such column, no rows, rows of other lengths, or a sample's value is no number.
    """
    numbers = array("f")
    rows = _rows(path, delimiter)
    _, header = next(rows, (0, []))
    _check_header(header, path, delimiter)
    roles.check(header, path)
    places = [header.index(name) for name in roles.numeric(header)]
    kept = {name: header.index(name) for name in roles.kept}
    texts: dict[str, list[Cell]] = {name: [] for name in kept}
    line = 0
    for line, row in rows:
        if len(row) != len(header):
            msg = f"{path}, line {line}: {len(row)} values, but the first line names {len(header)} columns\n  mend the row; or set delimiter"
            raise DataError(msg)
        numbers.extend(_numbers(row, places, header, f"{path}, line {line}"))
        for name, place in kept.items():
            texts[name].append((line, row[place]))
    if not line:
        msg = f"{path}: has no rows below its first line\n  the first line names the columns, each further one is a sample"
        raise DataError(msg)
    return Table(path, None if roles.sent else _array(numbers, len(places)), texts)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that holds anything, and its values without the blanks around them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            for row in reader:
                values = [value.strip() for value in row]
                if any(values):  # spreadsheets leave lines of nothing but delimiters
                    yield reader.line_num, values
    except (OSError, csv.Error, UnicodeDecodeError) as exc:
        why = str(exc.strerror).lower() if isinstance(exc, OSError) else f"is no CSV file in UTF-8: {exc}"
        msg = f"{path}: {why}\n  give the path of a table, a row a line, with the columns' names in the first"
        raise DataError(msg) from exc


def _check_header(header: Sequence[str], path: Path, delimiter: str) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if not header or "" in header or twice:
        why = f"two columns are called {twice[0]!r}" if twice else "a column has no name" if header else "there is none"
        msg = f"{path}, line 1: {why}\n  name each column in the first line, between {delimiter!r}"
        raise DataError(msg)


def _numbers(row: Sequence[str], places: Sequence[int], header: Sequence[str], where: str) -> list[float]:
    try:
        found = [float(row[place]) for place in places]
    except ValueError:
        found = []
    if len(found) == len(places) and all(-_MOST <= number <= _MOST for number in found):
        return found
    place = next(place for place in places if not is_number(row[place]))
    what = f"holds {row[place]!r:.60}, which is no number that a float32 can be" if row[place] else "is empty"
    advice = "mend the row, or name in columns those of numbers; gaps and categories are for sent = [...] and the handler table-encode"
    msg = f"{where}: the column {header[place]!r} {what}\n  {advice}"
    raise DataError(msg)


def is_number(text: str) -> bool:
    """Tell whether `text` is a number that a float32 can hold."""
    try:
        return -_MOST <= float(text) <= _MOST
    except ValueError:
        return False


def is_whole(text: str) -> bool:
    """Tell whether `text` is a whole number that a float64 holds exactly."""
    return text.lstrip("+-").isascii() and text.lstrip("+-").isdigit() and abs(int(text)) <= _FLOAT64_EXACT


def _array(numbers: array[float], columns: int) -> NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(numbers, np.float32).reshape(-1, columns)
