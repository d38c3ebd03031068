"""Find pictures in one folder per class, in an order that is the same everywhere."""

from __future__ import annotations

from pathlib import Path

from modelyard.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})

Picture = tuple[Path, int]
"""A file and its label."""


def is_split(root: Path) -> bool:
    """Return whether `root` holds `train` and `test`, each with folders of their own, rather than two classes."""
    return all(_folders(root / name) for name in ("train", "test"))


def find_pictures(root: Path) -> tuple[list[Picture], tuple[str, ...]]:
    """Return the pictures below `root`, by class and then by name, and the names of the classes, sorted.

    Hidden files and files of another kind are left out.

    Raises:
        DataError: there is no folder, or a class without pictures.
    """
    names = _folders(root)
    if not names:
        msg = (
            f"{root}: holds no folders\n"
            f"  make one for each class, with its pictures: {root.name}/cat/1.png, {root.name}/dog/1.png"
        )
        raise DataError(msg)
    pictures: list[Picture] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (root / name).iterdir() if _is_picture(p))
        if not found:
            msg = f"{root / name}: holds no pictures\n  endings that are read: {', '.join(sorted(SUFFIXES))}"
            raise DataError(msg)
        pictures += [(path, label) for path in found]
    return pictures, names


def _folders(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        return ()
    return tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
