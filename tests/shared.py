"""What tests share: things that processes side by side make once, modules that few need, and which cells of a matrix every run tries."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")


def there(found: T | None) -> T:
    """Return what a test looked for, which is there."""
    assert found is not None
    return found


def array(given: object) -> NDArray[Any]:
    """Return the samples of a data set of one input, or the labels of one output: an array, or what is read as one."""
    assert hasattr(given, "shape"), type(given)
    return cast("NDArray[Any]", given)


def arrays(given: object) -> Mapping[str, NDArray[Any]]:
    """Return the samples of a data set of several inputs, or the labels of several outputs, by their names."""
    assert isinstance(given, Mapping), type(given)
    return given


def usual(cells: Iterable[Any], count: int) -> list[Any]:
    """Return the cells of a matrix, of which the first `count` are tried in every run, the others in thorough ones."""
    return [
        pytest.param(cell, marks=[pytest.mark.thorough] if place >= count else []) for place, cell in enumerate(cells)
    ]


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """Return the file or folder `path`; if it is not there, `make` makes it, in one process, and others wait for that.

    Args:
        path: what is wanted; it is whole, or not there.
        make: writes it to the path that it is given, which is not there yet.
    """
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_name(f"{os.getpid()}.{path.name}")
            try:
                make(partial)
                partial.rename(path)
            finally:
                shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
    return path


class Late:
    """A module that takes seconds to import, and is imported when something of it is first asked for.

    Every process of a run imports every file of tests, and most run none of those that need the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest asks everything in a file of tests for some such
            raise AttributeError(name)
        return getattr(importlib.import_module(self._name), name)
