"""The files of a training and a test split in one folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def split_files(path: Path, suffixes: Sequence[str]) -> tuple[list[Path], list[Path]] | None:
    """Return the files of the training and of the test split in a folder that holds both; None: it does not.

    They are in `train/` and `test/`, as Hugging Face's `save_to_disk` has them, or called `train-...` and `test-...`, in the
    folder or in `data/`, as in a repository of its hub.

    Args:
        path: the folder.
        suffixes: the endings of files that count.
    """
    for folder in (path, path / "data"):
        named = [[one for one in files_in(folder, suffixes) if one.name.startswith(f"{name}-")] for name in _SPLITS]
        for train, test in (named, [files_in(folder / name, suffixes) for name in _SPLITS]):
            if train and test:
                return train, test
    return None


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files in a folder that have one of these endings, in the order of their names."""
    return sorted(file for file in folder.iterdir() if file.suffix in suffixes) if folder.is_dir() else []


_SPLITS = ("train", "test")
