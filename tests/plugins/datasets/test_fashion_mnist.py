from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.shared import array

from modelyard import DataError
from modelyard_plugins.datasets.fashion_mnist import CLASS_NAMES, fashion_mnist, read_folder

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for split, samples in (("train", 20), ("t10k", 10)):
        images = random.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.arange(samples, dtype=np.uint8) % 10))
    return tmp_path


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="the Debian package dataset-fashion-mnist is not installed")
def test_reads_the_debian_package(bench: Bench) -> None:
    splits = fashion_mnist(bench.stage())
    train_x, train_y = array(splits.train_x), array(splits.train_y)
    assert train_x.shape == (60_000, 28, 28, 1)
    assert array(splits.test_x).shape == (10_000, 28, 28, 1)
    assert np.bincount(train_y).tolist() == [6000] * 10
    assert [CLASS_NAMES[label] for label in train_y[:2]] == ["Ankle boot", "T-shirt/top"]
    assert train_x.mean() == pytest.approx(72.94, abs=0.01)  # the published mean, 0.2860 of 255


def test_reads_gzipped_and_plain_files(folder: Path) -> None:
    splits = read_folder(folder)
    assert array(splits.train_x).shape == (20, 28, 28, 1)
    assert array(splits.test_y).tolist() == list(range(10))


def test_a_missing_file_is_named_with_what_to_do(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no t10k-labels-idx1-ubyte.gz(.|\n)*apt-get install dataset-fashion-mnist"):
        read_folder(folder)


def test_images_and_labels_of_different_sets_are_refused(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, np.uint8)))
    with pytest.raises(DataError, match="train: 20 images but 19 labels"):
        read_folder(folder)
