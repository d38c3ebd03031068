"""Tables in Parquet and Arrow files: what makes a sample, what is to be learnt, and what is told of a row that does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.shared import array, arrays

from modelyard.artifacts import Splits, Streams
from modelyard.contexts import CheckContext, Problem
from modelyard.errors import DataError
from modelyard_plugins.datasets.parquet import check, parquet

pa = pytest.importorskip("pyarrow")
from pyarrow import feather  # noqa: E402 - only where it is there
from pyarrow import parquet as pq  # noqa: E402

Read = Callable[..., Splits]
Stream = Callable[..., Streams]
AROUND = CheckContext(name="table", version="1", runtime="served")
ROWS = 3000
"""More than one block."""


def write_stream(table: Any, path: Path) -> None:
    """Write as Hugging Face's `datasets` does: a stream, in several blocks."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


WRITERS: dict[str, Callable[[Any, Path], object]] = {
    ".parquet": lambda table, path: pq.write_table(table, path, row_group_size=900),
    ".arrow": write_stream,
    ".feather": lambda table, path: feather.write_feather(table, str(path)),
}


@pytest.fixture
def read_any(bench: Bench, tmp_path: Path) -> Callable[..., Splits | Streams]:
    """Reads columns, or a table, as the data set's file."""

    def read(columns: Any, /, ending: str = ".parquet", **params: Any) -> Splits | Streams:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        file = tmp_path / f"table{ending}"
        WRITERS[ending](table, file)
        return parquet(bench.stage(), path=str(file), **params)

    return read


@pytest.fixture
def read(read_any: Callable[..., Splits | Streams]) -> Read:
    """Reads what is of one length."""
    return lambda *args, **params: splits_of(read_any(*args, **params))


@pytest.fixture
def stream(read_any: Callable[..., Splits | Streams]) -> Stream:
    """Reads what is of several lengths."""

    def stream(*args: Any, **params: Any) -> Streams:
        made = read_any(*args, **params)
        assert isinstance(made, Streams)
        return made

    return stream


def splits_of(made: Splits | Streams) -> Splits:
    assert isinstance(made, Splits)
    return made


@pytest.mark.parametrize("ending", WRITERS)
def test_columns_of_numbers_stand_side_by_side(read: Read, ending: str) -> None:
    n = np.arange(ROWS)
    columns = {"a": n, "kind": np.where(n % 2, "rose", "lily"), "b": n / 2, "site": n % 3}
    splits = read(columns, ending, target=("kind",), slices=("site",))
    assert splits.class_names == ("lily", "rose")
    train_x, test_x = array(splits.train_x), array(splits.test_x)
    assert (train_x.shape, test_x.shape) == ((2400, 2), (600, 2))
    for x, y in ((train_x, splits.train_y), (test_x, splits.test_y)):
        assert x.dtype == np.float32
        assert (x[:, 1] == x[:, 0] / 2).all()
        assert (x[:, 0] % 2 == array(y)).all()
    assert [int(site) for site in splits.slices["site"]] == (test_x[:, 0] % 3).tolist()


@pytest.mark.parametrize("sent", [(), ("a", "b")])
def test_a_group_is_on_one_side_and_no_part_of_a_sample(read: Read, sent: tuple[str, ...]) -> None:
    n = np.arange(ROWS)
    columns = {"a": n, "kind": np.where(n % 2, "rose", "lily"), "b": n / 2, "plant": n // 10}
    splits = read(columns, target=("kind",), group="plant", sent=sent)
    train, test = (arrays(x)["a"] if sent else array(x)[:, 0] for x in (splits.train_x, splits.test_x))
    assert len(test) == 600
    assert [int(plant) for plant in splits.groups] == [int(a) // 10 for a in train]
    assert not {int(a) // 10 for a in train} & {int(a) // 10 for a in test}


def test_it_holds_what_a_csv_file_of_the_same_table_does(read: Read, bench: Bench, tmp_path: Path) -> None:
    from modelyard_plugins.datasets.csv import csv

    random = np.random.default_rng(3)
    columns = {"a": random.normal(size=50).astype("f4"), "b": random.integers(0, 9, 50), "y": random.integers(0, 3, 50)}
    lines = [
        ",".join(columns),
        *(",".join(map(repr, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)),
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    theirs = csv(bench.stage(), path=str(tmp_path / "table.csv"), target=("y",))
    ours = read(columns, target=("y",))
    for part in ("train_x", "train_y", "test_x", "test_y"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
    assert (ours.class_names, ours.value_range) == (theirs.class_names, theirs.value_range)


def test_the_files_of_a_folder_are_one_table(bench: Bench, tmp_path: Path) -> None:
    for part in range(3):
        write_stream(pa.table({"a": np.arange(10) + 10 * part}), tmp_path / f"data-{part:05}-of-00003.arrow")
    (tmp_path / "dataset_info.json").write_text("{}")
    splits = splits_of(parquet(bench.stage(), path=str(tmp_path)))
    assert sorted([*array(splits.train_x)[:, 0], *array(splits.test_x)[:, 0]]) == list(range(30))
    write_stream(pa.table({"b": np.arange(10)}), tmp_path / "other.arrow")
    with pytest.raises(DataError, match=r"other\.arrow: has other columns, or of other types, than data-00000"):
        parquet(bench.stage(), path=str(tmp_path))


@pytest.mark.parametrize("kind", ["list", "fixed_size_list"])
@pytest.mark.parametrize(("dtype", "stored"), [("u1", "u1"), ("i2", "i8"), ("i8", "i8"), ("f8", "f4")])
def test_a_column_of_lists_is_an_array(read: Read, kind: str, dtype: str, stored: str) -> None:
    values = np.random.default_rng(0).integers(0, 99, (40, 2, 3)).astype(dtype)
    inner = pa.from_numpy_dtype(values.dtype)
    of = {"list": pa.list_, "fixed_size_list": lambda one: pa.list_(one, 3)}[kind]
    column = pa.array(values.tolist(), pa.list_(of(inner)))
    splits = read({"pixels": column, "y": np.arange(40.0)}, target=("y",))
    train_x = array(splits.train_x)
    assert train_x.dtype == np.dtype(stored)
    np.testing.assert_array_equal(train_x, values[array(splits.train_y).astype(int)])
    labels = read({"x": np.arange(40.0), "tags": column}, target=("tags",)).train_y
    assert array(labels).shape == (32, 2, 3)


@pytest.mark.parametrize("ending", WRITERS)
def test_texts_and_the_bytes_of_pictures_are_read_when_they_are_asked_for(read: Read, ending: str) -> None:
    names = [f"row {number}" for number in range(ROWS)]
    picture = pa.array([{"bytes": name.encode(), "path": None} for name in names])
    for column, form in ((pa.array(names), str), (pa.array([n.encode() for n in names]), bytes), (picture, bytes)):
        splits = read({"sample": column, "y": np.arange(ROWS) + 0.5}, ending, sent="sample", target=("y",))
        sides: Any = (splits.train_x, splits.train_y), (splits.test_x, splits.test_y)
        for x, y in sides:
            for row in (0, len(x) - 1, 5):
                assert x[row] == form(names[int(y[row])], *([] if form is str else ["utf-8"]))
        assert splits.value_range is None


def test_columns_are_sent_by_their_names_with_what_is_missing(read: Read) -> None:
    columns = {"age": [22.5, None, 40.0], "class": [3, 1, 2], "port": ["S", None, "C"], "y": [0.5, 1.5, 2.5]}
    splits = read(columns, target=("y",), sent=("age", "class", "port"))
    found: dict[float, list[Any]] = {}
    for x, y in ((splits.train_x, splits.train_y), (splits.test_x, splits.test_y)):
        assert isinstance(x, dict)
        labels = array(y)
        found |= {float(labels[row]): [x[name][row] for name in x] for row in range(len(labels))}
    assert found[0.5] == [22.5, 3, "S"]
    assert np.isnan(found[1.5][0])
    assert found[1.5][1:] == [1, ""]
    assert found[2.5] == [40, 2, "C"]


def test_a_target_may_stay_a_text(read: Read) -> None:
    splits = read({"x": np.arange(10.0), "said": [f"say {n}" for n in range(10)]}, target=("said",), as_text=True)
    assert [f"say {int(x)}" for x in array(splits.train_x)[:, 0]] == list(array(splits.train_y))


def test_the_classes_of_a_hugging_face_data_set_have_its_names(read: Read) -> None:
    said = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.table({"x": np.arange(20.0), "label": np.arange(20) % 2})
    splits = read(table.replace_schema_metadata({"huggingface": json.dumps(said)}), target=("label",))
    assert splits.class_names == ("cat", "dog")
    assert (array(splits.train_x)[:, 0] % 2 == array(splits.train_y)).all()
    broken = table.replace_schema_metadata({"huggingface": "{"})
    assert read(broken, target=("label",)).class_names == ()


def test_the_rows_for_testing_may_be_in_files_of_their_own(read: Read, tmp_path: Path) -> None:
    write_stream(pa.table({"x": [7.0, 8.0], "y": ["b", "a"]}), tmp_path / "test.arrow")
    splits = read({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]}, target=("y",), test=str(tmp_path / "test.arrow"))
    train_x, train_y, test_x, test_y = map(array, (splits.train_x, splits.train_y, splits.test_x, splits.test_y))
    assert (train_x.tolist(), test_x.tolist()) == ([[1], [2], [3]], [[7], [8]])
    assert (train_y.tolist(), test_y.tolist(), splits.class_names) == ([0, 1, 2], [1, 0], ("a", "b", "c"))


@pytest.mark.parametrize(
    ("columns", "params", "message"),
    [
        (
            {"long": [1.0], "y": [1]},
            {"columns": ("lon",)},
            r"columns: there is no column 'lon', did you mean 'long'\?\n  col",
        ),
        ({"a": [1.0], "y": [1]}, {"target": ("z",)}, r"target: there is no column 'z'"),
        ({"y": [1]}, {}, r"no column is left for a sample"),
        ({"a": [1.0, None], "y": [1, 1]}, {}, r"row 1: the column 'a' is empty\n  fill it in"),
        ({"a": [1.0, float("nan")], "y": [1, 1]}, {}, r"row 1: the column 'a' holds nan"),
        ({"a": ["x", "y"], "y": [1, 1]}, {}, r"the column 'a' holds string, no numbers\n  name columns of numbers"),
        ({"a": [[1], [1, 2]], "y": [1, 1]}, {}, r"row 1: 'a' is a list of 2, others of 1\n  a sample has one shape"),
        ({"a": [[[1]], [[1, 2]]], "y": [1, 1]}, {}, r"row 1: 'a' is a list of 2, others of 1"),
        ({"a": [[1], None], "y": [1, 1]}, {}, r"row 1: the column 'a' is empty"),
        ({"a": [1.0, 2.0], "y": [1, None]}, {}, r"row 1: the target 'y' is '', which is nothing"),
        ({"a": [1.0], "y": [b"x"]}, {}, r"the column 'y' holds binary\n  allowed: texts"),
        (
            {"a": [1.0, 2.0], "y": [1, 1]},
            {"sent": "a"},
            r"the column 'a' holds double, neither texts nor the bytes of files",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_row(read: Read, columns: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(columns, **{"target": ("y",), "stratify": False, **params})


def test_a_text_that_is_missing_is_told_when_it_is_asked_for(read: Read) -> None:
    splits = read({"a": ["x", None], "y": [1.5, 2.5]}, sent="a", target=("y",))
    with pytest.raises(DataError, match=r"row 1: the column 'a' is empty"):
        list(map(list, (splits.train_x, splits.test_x)))


@pytest.mark.parametrize("ending", WRITERS)
def test_a_damaged_file_is_named(read: Read, bench: Bench, tmp_path: Path, ending: str) -> None:
    read({"a": np.arange(ROWS)}, ending)
    file = tmp_path / f"table{ending}"
    whole = file.read_bytes()
    for cut in (0, 3, len(whole) // 2):
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=rf"table\{ending}: cannot be read"):
            parquet(bench.stage(), path=str(file))


def test_what_is_no_table_is_told(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    for path, why in (
        (tmp_path / "a.txt", "is none of them"),
        (tmp_path / "no.txt", "is none"),
        (tmp_path, "holds no file"),
    ):
        with pytest.raises(
            DataError, match=rf"{why}.*: \.parquet, \.arrow, \.feather\n  give such a file, or a folder"
        ):
            parquet(bench.stage(), path=str(path))
    with pytest.raises(DataError, match=r"no\.parquet: cannot be read"):
        parquet(bench.stage(), path=str(tmp_path / "no.parquet"))


def test_a_sample_is_said_once() -> None:
    found = check(
        AROUND,
        target=(),
        class_names=(),
        as_text=True,
        columns=("b",),
        sent="a",
        value_range=(0, 1),
        pad=None,
        masks=False,
        slices=(),
        group="",
        test_sets=None,
    )
    assert [one.key for one in found] == ["sent", "value_range", "as_text"]


def test_lists_of_several_lengths_go_without_what_they_cannot_have() -> None:
    def told(pad: float | None, slices: tuple[str, ...]) -> list[Problem]:
        found = check(
            AROUND,
            target=("y",),
            class_names=(),
            as_text=False,
            columns=("b",),
            sent="",
            value_range=None,
            pad=pad,
            masks=True,
            slices=slices,
            group="",
            test_sets=None,
        )
        return list(found)

    alone = told(None, ())
    assert [(one.key, one.why) for one in alone] == [("masks", "pad is not set, so that all samples are of one length")]
    assert [one.key for one in told(0, ("site",))] == ["pad"]


@pytest.mark.parametrize("ending", WRITERS)
def test_lists_of_several_lengths_stay_so(stream: Stream, ending: str) -> None:
    random = np.random.default_rng(0)
    ids = [random.integers(5, 99, random.integers(1, 9)).astype("i4") for _ in range(ROWS)]
    table = {
        "ids": pa.array([one.tolist() for one in ids], pa.list_(pa.int32())),
        "y": [int(one[0]) % 2 for one in ids],
    }
    streams = stream(table, ending, columns=("ids",), target=("y",), pad=0)
    train, test = list(streams.train), list(streams.test)
    assert (len(train), len(test)) == (2400, 600)
    assert all(x.dtype == np.int32 and y == x[0] % 2 for x, y in (*train, *test))
    assert sorted(x.tobytes() for x, _ in (*train, *test)) == sorted(one.tobytes() for one in ids)
    assert streams.value_range == (0, 98)


def test_labels_may_be_lists_as_long_as_the_samples(stream: Stream) -> None:
    boxes = [[[float(row), 1.0]] * (1 + row % 3) for row in range(30)]
    tags = [[row % 2] * (1 + row % 3) for row in range(30)]
    streams = stream({"boxes": boxes, "tags": tags}, columns=("boxes",), target=("tags",), pad=0)
    for x, y in streams.train:
        assert x.shape == (len(y), 2)
        assert y.tolist() == [int(x[0, 0]) % 2] * len(x)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ids": [[1, 2], None, [3]]}, r"about row 1: the column 'ids' is empty\n"),
        ({"ids": [[1, 2], [None], [3]]}, r"about row 2: the column 'ids' is empty\n"),
        ({"ids": [[[1, 2]], [[3]], [[4, 5]]]}, r"'ids' is a list of 1, others of 2\n"),
        ({"ids": [["a"], ["b"], ["c"]]}, r"the column 'ids' holds string, no numbers\n"),
        ({"ids": [1, 2, 3]}, r"pad is for one column of lists, but samples are the columns 'ids'\n"),
        ({"ids": [[1], [2], [3]], "more": [1, 2, 3]}, r"samples are the columns 'ids', 'more'\n"),
    ],
)
def test_what_is_wrong_with_lists_is_told_with_its_row(stream: Stream, columns: Any, message: str) -> None:
    def gone_through() -> None:
        streams = stream(columns, pad=0)
        list(streams.train)
        list(streams.test)

    with pytest.raises(DataError, match=message):
        gone_through()


@pytest.mark.parametrize("form", ["saved", "hub"])
def test_a_data_set_with_its_splits_is_read_as_it_was_saved(bench: Bench, tmp_path: Path, form: str) -> None:
    for split, rows in (("train", 20), ("test", 5), ("validation", 3)):
        (tmp_path / split).mkdir()
        (tmp_path / "data").mkdir(exist_ok=True)
        table = pa.table({"a": np.arange(rows) + 0.5})
        if form == "saved":
            write_stream(table, tmp_path / split / "data-00000-of-00001.arrow")
        else:
            pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    splits = splits_of(parquet(bench.stage(), path=str(tmp_path)))
    assert (len(splits.train_x), len(splits.test_x)) == (20, 5)


def test_labels_by_output_and_test_sets_by_the_names_of_their_files(read: Read, tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    (sets / "dim").mkdir(parents=True)
    columns = {"a": [1.0, 2, 3, 4], "kind": ["x", "y", "x", "y"], "place": [[0.5, 1], [1, 2], [2, 3], [3, 4]]}
    for file in (sets / "night.parquet", sets / "dim" / "part-0.parquet"):
        pq.write_table(pa.table(columns), file)
    target = {"kind": ("kind",), "place": ("place",)}
    splits = read(columns, target=target, test_sets=str(sets), test_fraction=0.5)
    assert splits.class_names == {"kind": ("x", "y")}
    train_y = arrays(splits.train_y)
    assert train_y["kind"].tolist() == [0, 1]
    np.testing.assert_array_equal(train_y["place"][:, 1], array(splits.train_x)[:, 0])
    assert [*splits.test_sets] == ["dim", "night"]
    for x, y in splits.test_sets.values():
        np.testing.assert_array_equal(array(x)[:, 0], arrays(y)["place"][:, 1])
    sent = read(columns, target=target, sent=("a",), test_sets=str(sets), slices=("kind",))
    assert sent.test_set_slices["dim"] == {"kind": ["x", "y", "x", "y"]}
    assert arrays(sent.test_sets["night"][0])["a"].tolist() == [1, 2, 3, 4]
