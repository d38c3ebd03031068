"""What was decoded before leaves in the order in which it was used."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from modelyard.files.decoded import FOLDER, Decoded
from modelyard.store.decoded import sweep_decoded
from modelyard.store.gc import Bounds

_DAY_S = 86400.0


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a folder with what was decoded in three ways: today, and one and two days ago."""
    for days, way in enumerate(("today", "yesterday", "before")):
        with Decoded(tmp_path, way) as decoded:
            decoded.keep({b"a" * 32: b"pixels"})
        used = time.time() - days * _DAY_S
        os.utime(tmp_path / FOLDER / f"{way}.sqlite", (used, used))
    return tmp_path


def left(cache: Path) -> set[str]:
    return {one.stem for one in (cache / FOLDER).iterdir()}


@pytest.mark.parametrize(
    ("bounds", "stay"),
    [
        (Bounds(), {"today", "yesterday", "before"}),
        (Bounds(older_than_s=1.5 * _DAY_S), {"today", "yesterday"}),
        (Bounds(max_size_bytes=1000), set()),
        (Bounds(max_size_bytes=10**9), {"today", "yesterday", "before"}),
    ],
)
def test_what_is_too_old_or_too_much_goes(cache: Path, bounds: Bounds, stay: set[str]) -> None:
    dry = sweep_decoded(cache, bounds, 1000, dry_run=True)
    assert left(cache) == {"today", "yesterday", "before"}
    assert sweep_decoded(cache, bounds, 1000, dry_run=False) == dry
    assert left(cache) == stay


def test_what_was_used_longest_ago_goes_first_until_it_fits_beside_the_store(cache: Path) -> None:
    each = (cache / FOLDER / "today.sqlite").stat().st_size
    swept = sweep_decoded(cache, Bounds(max_size_bytes=500 + 2 * each), 500, dry_run=False)
    assert (swept.freed_bytes, swept.left_bytes) == (each, 2 * each)
    assert left(cache) == {"today", "yesterday"}


def test_where_nothing_was_decoded_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert sweep_decoded(tmp_path, Bounds(older_than_s=0.0), 0, dry_run=False).freed_bytes == 0
