"""Tables as data sets: what makes a sample, what is to be learnt, and what is told of a row that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.shared import array

from modelyard.artifacts import Splits
from modelyard.contexts import CheckContext
from modelyard.errors import DataError
from modelyard_plugins.datasets.csv import check, csv

AROUND = CheckContext(name="flowers", version="1", runtime="served")
FLOWERS = """\
long,wide,kind,grown
1.5,2,rose,0.5
2.5,3,tulip,1.5
3.5,4,rose,2.5
4.5,5,tulip,3.5
5.5,6,"rose",4.5
"""


@pytest.fixture
def read(bench: Bench, tmp_path: Path) -> Any:
    """Reads a text as the data set's file."""

    def read(text: str | bytes, /, **params: Any) -> Splits:
        file = tmp_path / "table.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return csv(bench.stage(), path=str(file), **{"test_fraction": 0.4, **params})

    return read


def test_texts_are_classes_split_class_by_class(read: Any) -> None:
    splits = read(FLOWERS, target=("kind",), columns=("wide", "long"))
    assert splits.class_names == ("rose", "tulip")
    assert sorted(splits.train_y) == [0, 0, 1]
    assert sorted(splits.test_y) == [0, 1]
    assert splits.train_y.dtype == np.int64
    every = np.concatenate([splits.train_x, splits.test_x])
    assert every.dtype == np.float32
    assert sorted(map(tuple, every)) == [(2 + n, 1.5 + n) for n in range(5)]


def test_the_names_say_the_order_of_the_classes(read: Any) -> None:
    splits = read("a,y\n1,2\n2,1\n3,2\n4,1\n", target=("y",), class_names=("2", "1"))
    assert splits.class_names == ("2", "1")
    x, y = np.concatenate([splits.train_x, splits.test_x]), np.concatenate([splits.train_y, splits.test_y])
    assert sorted(zip(x[:, 0].tolist(), y.tolist(), strict=True)) == [(1, 0), (2, 1), (3, 0), (4, 1)]


def test_numbers_stay_numbers_and_are_split_by_rows(read: Any) -> None:
    splits = read(FLOWERS, target=("grown",), columns=("long", "wide"))
    assert (splits.train_y.dtype, splits.train_y.shape, splits.test_y.shape) == (np.float32, (3,), (2,))
    assert splits.class_names == ("grown",)
    assert all(x[0] == y + 1 for x, y in zip(splits.train_x, splits.train_y, strict=True))


def test_whole_numbers_are_classes_unless_said_otherwise(read: Any) -> None:
    text = "a,y\n" + "".join(f"{n},{n}\n" for n in range(10))
    with pytest.raises(DataError, match=r"label 0 has a single sample.*\n.*or set stratify = false"):
        read(text, target=("y",))
    splits = read(text, target=("y",), stratify=False)
    assert (splits.train_y.dtype, splits.class_names) == (np.int64, ())
    assert (splits.train_x[:, 0] == splits.train_y).all()
    assert len(splits.test_y) == 4


def test_several_targets_stand_side_by_side(read: Any) -> None:
    splits = read(FLOWERS, target=("grown", "wide"), columns=("long",))
    assert splits.class_names == ("grown", "wide")
    assert (splits.train_y.shape, splits.train_y.dtype) == ((3, 2), np.float32)
    assert (splits.train_y == splits.train_x - [[1, -0.5]]).all()


def test_without_a_target_there_is_nothing_to_learn(read: Any) -> None:
    splits = read(FLOWERS, columns=("long", "wide"))
    assert (splits.train_y, splits.test_y, splits.class_names) == (None, None, ())
    assert len(splits.train_x) == 3


def test_the_seed_says_which_rows_are_for_testing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{n},{n / 2}\n" for n in range(50)))
    first, same, other = (csv(bench.stage(seed), path=str(tmp_path / "t.csv"), target=("y",)) for seed in (1, 1, 2))
    test_x = array(first.test_x)
    assert (test_x == array(same.test_x)).all()
    assert (test_x != array(other.test_x)).any()
    assert len(test_x) == 10


def test_the_rows_for_testing_may_be_in_a_file_of_their_own(read: Any, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("kind,wide,long,grown\nlily,2,1,0\nrose,3,2,0\n")
    splits = read(FLOWERS, target=("kind",), columns=("long", "wide"), test=str(tmp_path / "test.csv"))
    assert splits.class_names == ("lily", "rose", "tulip"), "the classes of both"
    assert splits.train_y.tolist() == [1, 2, 1, 2, 1]
    assert splits.test_x.tolist() == [[1, 2], [2, 3]]
    assert splits.test_y.tolist() == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "﻿a;y\r\n1;0.5\r\n\r\n2;1.5\r\n",
        '"a";"y"\n"1";"0.5"\n" 2 "; 1.5\n',
        "a;y\n1;.5\n2e0;15e-1",
        "a;y\n1;0.5\n2;1.5\n;\n  \n ; \n",
    ],
    ids=["as Excel writes it", "in quotes", "numbers of all kinds", "with lines of nothing"],
)
def test_tables_as_programs_write_them(read: Any, text: str) -> None:
    splits = read(text, target=("y",), delimiter=";")
    assert sorted([splits.train_x[0, 0], splits.test_x[0, 0]]) == [1, 2]
    assert sorted([splits.train_y[0], splits.test_y[0]]) == [0.5, 1.5]


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("a,y\n1,2\n3\n", {}, r"table\.csv, line 3: 1 values, but the first line names 2 columns"),
        ("a,b,y\n1,,2\n", {}, r"line 2: the column 'b' is empty\n  mend the row, or name in columns"),
        ("a,b,y\n1,red,2\n", {}, r"line 2: the column 'b' holds 'red', which is no number"),
        ("a,b,y\n1,nan,2\n", {}, r"line 2: the column 'b' holds 'nan', which is no number that a float32"),
        ("a,b,y\n1,1e39,2\n", {}, r"line 2: the column 'b' holds '1e39'"),
        ("a,y\n1,2\n2,\n", {}, r"table\.csv, line 3: the target 'y' is '', which is nothing\n  fill it in"),
        ("a,y\n1,x\n", {"class_names": ("z",)}, r"line 2: the target 'y' is 'x', which is no class\n  class_names: z"),
        ("a,b,y\n1,x,2\n", {"target": ("b", "y")}, r"line 2: the target 'b' is 'x', which is no number\n  several"),
        ("a,y\n1,2\n", {"target": ("yy",)}, r"target: there is no column 'yy', did you mean 'y'\?\n  columns: a, y"),
        ("long,y\n1,2\n", {"columns": ("lon",)}, r"columns: there is no column 'lon', did you mean 'long'\?"),
        ("a,y\n1,2\n", {"columns": ("y",)}, r"'y' is of a sample and the target, too\n  name in target"),
        ("y\n1\n", {}, r"no column is left for a sample"),
        (
            "a,a,y\n1,2,3\n",
            {},
            r"line 1: two columns are called 'a'\n  name each column in the first line, between ','",
        ),
        ("a,,y\n1,2,3\n", {}, r"line 1: a column has no name"),
        ("", {}, r"line 1: there is none"),
        ("\n ,\n", {}, r"line 1: there is none"),
        ("a,y\n", {}, r"has no rows below its first line"),
        ("a,y\n1,2\n", {}, r"cannot be in both splits|there cannot be one in both splits"),
        (b"a,y\n\xff,1\n", {}, r"is no CSV file in UTF-8: 'utf-8' codec can't decode byte 0xff"),
        ('a,y\n"1,2\n', {}, r"is no CSV file in UTF-8: unexpected end of data"),
        (b"a,y\n1\x00,2\n", {}, r"table\.csv"),
        (b"a,y\n" + b"9" * 200_000 + b",2\n", {}, r"table\.csv.*field larger than field limit"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(read: Any, text: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text, **{"target": ("y",), **params})


def test_a_file_that_is_not_there_is_named(bench: Bench, tmp_path: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(DataError, match=f"{path}: (no such file|is a directory)"):
            csv(bench.stage(), path=str(path))


REVIEWS = """\
review,mood,site
"good, all in all",glad,a
bad,sad,b
fine,glad,a
poor,sad,a
nice,glad,b
"""


def test_a_column_of_texts_is_what_clients_send(read: Any) -> None:
    splits = read(REVIEWS, target=("mood",), sent="review", slices=("site",))
    found = dict(zip([*splits.train_x, *splits.test_x], [*splits.train_y, *splits.test_y], strict=True))
    assert found == {"good, all in all": 0, "bad": 1, "fine": 0, "poor": 1, "nice": 0}
    assert splits.value_range == "auto"
    sites = {"bad": "b", "fine": "a", "poor": "a", "nice": "b", "good, all in all": "a"}
    assert list(splits.slices["site"]) == [sites[text] for text in splits.test_x]


def test_columns_are_sent_by_their_names_with_what_is_missing(read: Any) -> None:
    table = "age,class,port,empty,y\n22.5,3,S,,0\n,1,,,1\n40,2,7,,0\n31,2,C,,1\n"
    splits = read(table, target=("y",), sent=("age", "class", "port", "empty"), stratify=False)
    rows = [
        dict(zip(x, row, strict=True)) for x in (splits.train_x, splits.test_x) for row in zip(*x.values(), strict=True)
    ]
    rows.sort(key=lambda row: row["port"])
    assert [row["class"] for row in rows] == [1, 2, 2, 3]
    assert np.array_equal([row["age"] for row in rows], [np.nan, 40, 31, 22.5], equal_nan=True)
    assert [row["port"] for row in rows] == ["", "7", "C", "S"]
    assert {row["empty"] for row in rows} == {""}
    assert {name: column.dtype.name for name, column in splits.train_x.items()} == {
        "age": "float32",
        "class": "int64",
        "port": "object",
        "empty": "object",
    }


def test_a_target_may_stay_a_text(read: Any) -> None:
    splits = read("sound,said\na.wav,good day\nb.wav,\nc.wav,17\n", sent="sound", target=("said",), as_text=True)
    found = dict(zip([*splits.train_x, *splits.test_x], [*splits.train_y, *splits.test_y], strict=True))
    assert found == {"a.wav": "good day", "b.wav": "", "c.wav": "17"}
    assert splits.class_names == ()


def test_slices_are_no_part_of_a_sample_unless_they_are_named_as_one(read: Any) -> None:
    splits = read(FLOWERS, target=("grown",), slices=("kind", "wide"))
    assert splits.train_x.shape == (3, 1)
    both = read(FLOWERS, target=("grown",), columns=("long", "wide"), slices=("wide",))
    assert [float(text) for text in both.slices["wide"]] == both.test_x[:, 1].tolist()


def test_the_slices_of_a_file_for_testing_are_its_own(read: Any, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mood,review,site\nsad,dull,z\n")
    splits = read(REVIEWS, target=("mood",), sent="review", slices=("site",), test=str(tmp_path / "test.csv"))
    assert (list(splits.test_x), list(splits.slices["site"])) == (["dull"], ["z"])
    assert len(splits.train_x) == 5


def test_a_column_names_files_below_a_folder(read: Any, tmp_path: Path) -> None:
    for name in ("a.png", "b/c.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(name.encode())
    (tmp_path / "secret.png").write_bytes(b"")
    table = "file,y\na.png,1\nb/c.png,2\n{},3\n"
    given = {"target": ("y",), "sent": "file", "folder": str(tmp_path / "pictures"), "stratify": False}
    splits = read(table.format("a.png"), **given)
    assert sorted(path.read_text() for path in [*splits.train_x, *splits.test_x]) == ["a.png", "a.png", "b/c.png"]
    for name, why in (("no.png", "is not there"), ("../secret.png", "is not below it"), ("b", "is not there")):
        with pytest.raises(
            DataError, match=rf"table\.csv, line 4: the file '{name}' {why}; folder: .*\n  mend the column"
        ):
            read(table.format(name), **given)
    with pytest.raises(DataError, match="line 4: the file '' is empty"):
        read(table.format(""), **given)


def test_one_of_several_columns_may_name_files(read: Any, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"a")
    table = "file,said,size,y\na.png,what is it,2,1\na.png,who,,2\n"
    given = {
        "target": ("y",),
        "sent": ("file", "said", "size"),
        "folder": str(tmp_path / "pictures"),
        "stratify": False,
    }
    splits = read(table, **given, files=("file",), test_fraction=0.5)
    assert splits.train_x["file"][0].read_text() == "a"
    assert sorted([*splits.train_x["said"], *splits.test_x["said"]]) == ["what is it", "who"]
    assert splits.train_x["size"].dtype == np.float32
    with pytest.raises(
        DataError, match=r"line 2: the file 'what is it' is not there; folder: .*\n  mend the column 'said'"
    ):
        read(table, **given, files=("said",))


@pytest.mark.parametrize(
    ("params", "key", "why"),
    [
        ({"columns": ("a",), "sent": "b"}, "sent", "columns says what a sample is, too"),
        ({"folder": "a"}, "folder", "sent is not set"),
        ({"folder": "a", "sent": ("b",)}, "folder", "sent is a list of columns"),
        ({"folder": "a", "sent": "b", "files": ("b",)}, "files", "sent is no list of columns"),
        ({"sent": ("b",), "files": ("b",)}, "files", "folder is not set"),
        (
            {"folder": "a", "sent": ("bird", "c"), "files": ("brid",)},
            "files",
            "'brid' is none of the columns in sent, did you mean 'bird'?",
        ),
        ({"as_text": True, "target": ()}, "as_text", "target names 0 columns"),
        ({"as_text": True, "target": ("a", "b")}, "as_text", "target names 2 columns"),
        ({"sent": "a", "value_range": (0, 1)}, "value_range", "what clients send has no lowest and highest value"),
    ],
)
def test_what_says_twice_or_by_half_what_a_sample_is(params: dict[str, Any], key: str, why: str) -> None:
    given = {
        "target": ("y",),
        "class_names": (),
        "as_text": False,
        "columns": (),
        "sent": "",
        "folder": None,
        "files": (),
        "value_range": None,
        **params,
    }
    assert [(one.key, one.why) for one in check(AROUND, **given)] == [(key, why)]


def test_labels_by_output_and_test_sets_by_the_names_of_their_files(read: Any, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets/night.csv").write_text(FLOWERS.replace("rose", "lily"))
    target = {"kind": ("kind",), "size": ("long", "grown")}
    splits = read(FLOWERS, target=target, columns=("wide",), test_sets=str(tmp_path / "sets"))
    assert splits.class_names == {"kind": ("lily", "rose", "tulip"), "size": ("long", "grown")}
    assert sorted(splits.train_y["kind"]) == [1, 1, 2], "set apart class by class"
    np.testing.assert_array_equal(splits.train_y["size"][:, 1], splits.train_x[:, 0] - 1.5)
    x, y = splits.test_sets["night"]
    assert x[:, 0].tolist() == [2, 3, 4, 5, 6]
    assert y["kind"].tolist() == [0, 2, 0, 2, 0]
    told = read(FLOWERS, target=target, columns=("wide",), test_sets=str(tmp_path / "sets"), slices=("kind",))
    assert list(told.test_set_slices["night"]["kind"]) == ["lily", "tulip", "lily", "tulip", "lily"]
    named = read(FLOWERS, target=target, columns=("wide",), class_names={"kind": ("tulip", "rose")})
    assert named.class_names["kind"] == ("tulip", "rose")


@pytest.mark.parametrize("found", [None, "a.txt"])
def test_a_folder_of_test_sets_holds_them_alone(found: str | None, read: Any, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    if found:
        (tmp_path / "sets" / found).write_text(FLOWERS)
    with pytest.raises(DataError, match=r"sets: holds (no test set|'a.txt')\n  .*NAME.csv"):
        read(FLOWERS, target=("kind",), test_sets=str(tmp_path / "sets"))


@pytest.mark.parametrize(
    ("outputs", "params", "key", "why"),
    [
        (("kind",), {"target": ("a",)}, "target", "the project learns several outputs"),
        ((), {"target": {"kind": ("a",)}}, "target", "the project learns one output"),
        (("kind",), {"target": {"kin": ("a",)}}, "target", "there is no output 'kin', did you mean 'kind'?"),
        (("kind",), {"target": {"kind": ()}}, "target", "no column is named for 'kind'"),
        (("kind",), {"target": {"kind": ("a",)}, "class_names": ("x",)}, "class_names", "it is one list for several outputs"),
        (("kind",), {"target": {"kind": ("a",)}, "class_names": {"a": ("x",)}}, "class_names", "there is no output 'a'"),
        ((), {"target": ("a",), "class_names": {"a": ("x",)}}, "class_names", "the project learns one output"),
        (("kind",), {"target": {"kind": ("a",)}, "as_text": True}, "as_text", "texts are learnt alone"),
    ],
)  # fmt: skip
def test_columns_are_named_as_the_project_learns(
    outputs: tuple[str, ...], params: dict[str, Any], key: str, why: str
) -> None:
    context = msgspec.structs.replace(AROUND, outputs=outputs)
    base = {"class_names": (), "as_text": False, "columns": (), "sent": "", "folder": None, "files": ()}
    base["value_range"] = None
    assert [(one.key, one.why) for one in check(context, **{**base, **params})] == [(key, why)]


def visits(patients: int, first: int = 0) -> str:
    """Return a table with five visits of each patient."""
    rows = (f"{visit},{'ill' if visit % 3 else 'well'},p{first + visit // 5}" for visit in range(5 * patients))
    return "\n".join(("value,kind,patient", *rows, ""))


def test_a_group_is_on_one_side_and_no_part_of_a_sample(read: Any) -> None:
    splits = read(visits(20), target=("kind",), group="patient", test_fraction=0.2)
    assert (splits.train_x.shape, splits.test_x.shape) == ((80, 1), (20, 1))
    assert list(splits.groups) == [f"p{int(x) // 5}" for x in splits.train_x[:, 0]]
    assert not {*splits.groups} & {f"p{int(x) // 5}" for x in splits.test_x[:, 0]}


def test_a_group_in_both_files_is_told_as_is_one_without_a_name(read: Any, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text(visits(2, first=3))
    with pytest.raises(DataError, match="the group 'p3' has samples for training and for testing\n  leave them out"):
        read(visits(4), target=("kind",), group="patient", test=str(test))
    test.write_text(visits(2, first=4))
    assert len(read(visits(4), target=("kind",), group="patient", test=str(test)).groups) == 20
    with pytest.raises(DataError, match="the group of sample 2 is empty\n  fill it in"):
        read("value,kind,patient\n1,a,x\n2,b,y\n3,a,\n", target=("kind",), group="patient")
    with pytest.raises(DataError, match="group: there is no column 'patien', did you mean 'patient'"):
        read(visits(4), target=("kind",), group="patien")
