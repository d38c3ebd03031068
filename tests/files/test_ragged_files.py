"""Columns of samples of several lengths on disk: in shards, memory-mapped, and what is told of damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.files.ragged_files import open_ragged, write_ragged
from tests.files.test_ragged import LENGTHS, column


def written(folder: Path, ragged: RaggedArray, block: int = 1 << 20, most: int | None = None) -> RaggedArray:
    for _ in write_ragged(folder, "words", ragged.dtype, ragged.shape[2:], ragged.blocks(block), most):
        pass
    return open_ragged(folder, "words", -1)


@given(lengths=LENGTHS, block=st.integers(1, 200), most=st.integers(1, 99))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_whatever_the_blocks_and_shards(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], block: int, most: int
) -> None:
    folder = tmp_path_factory.mktemp("ragged")
    ragged, samples = column(lengths, 0)
    found = written(folder, ragged, block, most)
    assert [found[row].tolist() for row in range(len(lengths))] == [one.tolist() for one in samples]
    np.testing.assert_array_equal(found[:], ragged[:])
    for file in folder.glob("words.values-*.npy"):
        values = np.load(file)
        assert values.nbytes <= most or values.tolist() in [one.tolist() for one in samples]


def test_files_do_not_depend_on_the_blocks_and_are_those_of_numpy(tmp_path: Path) -> None:
    ragged, samples = column([3, 0, 5, 2], 0)
    for name, block in (("one", 1), ("all", 1 << 20)):
        (tmp_path / name).mkdir()
        written(tmp_path / name, ragged, block, 40)
    own = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert own == {path.name: path.read_bytes() for path in (tmp_path / "all").iterdir()}
    np.save(tmp_path / "own.npy", samples[2])
    assert own["words.values-00001.npy"] == (tmp_path / "own.npy").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A column of three shards."""
    written(tmp_path, column([4, 4, 4], 0)[0], most=32)
    return tmp_path


def test_a_shard_that_is_missing_is_told(folder: Path) -> None:
    (folder / "words.values-00001.npy").unlink()
    with pytest.raises(DataError, match=r"words.values-00001.npy: the shard is not there\n  build the stage"):
        open_ragged(folder, "words", 0)


def test_the_last_shard_that_is_missing_is_told(folder: Path) -> None:
    (folder / "words.values-00002.npy").unlink()
    with pytest.raises(DataError, match=r"words.offsets.npy: its samples end at 12, but there are 8 values\n"):
        open_ragged(folder, "words", 0)


def test_a_shard_that_was_cut_short_is_told(folder: Path) -> None:
    file = folder / "words.values-00002.npy"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"words.values-00002.npy: cannot be read as an array: .*\n  build the stage"):
        open_ragged(folder, "words", 0)


def test_a_shard_of_another_type_is_told(folder: Path) -> None:
    np.save(folder / "words.values-00001.npy", np.zeros((4, 3), np.int32))
    with pytest.raises(DataError, match=r"00001.npy: holds int32 of the shape \(3,\), other shards int32 of \(2,\)\n"):
        open_ragged(folder, "words", 0)


def test_an_offset_between_the_others_that_lies_elsewhere_is_told(folder: Path) -> None:
    np.save(folder / "words.offsets.npy", np.array([0, 4, 99, 12]))
    with pytest.raises(DataError, match=r"words: sample 1 is said to lie from 4 to 99, but there are 12 values\n"):
        open_ragged(folder, "words", 0)[:]


IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from modelyard.artifacts import Dataset, Streams
from modelyard.stages.splits.streams import splits_of
from tests.tasks import write_dataset

folder, quiet = Path(sys.argv[1]), lambda *_, **__: None
one = np.ones(1 << 20, np.float32)
used = int(next(one for one in open("/proc/self/status") if one.startswith("VmData")).split()[1]) << 10
allowed = 24 << 20
resource.setrlimit(resource.RLIMIT_DATA, (used + allowed, -1))
samples = lambda count: ((one[: len(one) - 1000 * number], number % 2) for number in range(count))
splits = splits_of(Streams(samples(60), samples(4), ("a", "b"), pad=0, ragged=True), folder, quiet)
write_dataset(splits, folder, progress=quiet)
column = Dataset.open(folder).x("train")
assert sum(column[row : row + 1].sum() for row in range(60)) == column.lengths.sum()
assert column.lengths.sum() * 4 > 9.5 * allowed, column.lengths.sum()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_data_set_of_ten_times_the_memory_is_written_and_read(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IN_LITTLE_MEMORY, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
