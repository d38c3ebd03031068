from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.files.sizes import file_sizes, total_size


def test_a_file_is_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(7))
    assert file_sizes(tmp_path / "a") == {tmp_path / "a": 7}
    assert total_size(tmp_path / "a") == 7


def test_a_folder_is_all_its_files_in_order(tmp_path: Path) -> None:
    for name, size in (("b", 2), ("a/z", 3), ("a/b/c", 4)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert list(file_sizes(tmp_path).items()) == [(tmp_path / "a/b/c", 4), (tmp_path / "a/z", 3), (tmp_path / "b", 2)]
    assert total_size(tmp_path) == 9


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert file_sizes(tmp_path) == {}
    assert total_size(tmp_path) == 0


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        total_size(tmp_path / "none")
