"""A table of digests, and which files it read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.files import digests
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import Hashed, Sized, hash_and_stat

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DigestTable]:
    table = DigestTable(tmp_path / "state" / "state.sqlite")
    yield table
    table.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in order."""
    names: list[str] = []

    def counted(files: list[Sized]) -> list[Hashed]:
        names.extend(Path(path).name for path, _ in files)
        return hash_and_stat(files)

    monkeypatch.setattr(digests, "hash_and_stat", counted)
    return names
