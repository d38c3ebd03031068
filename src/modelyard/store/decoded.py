"""What was decoded before, as `doit gc` sees it: it is the first to go, for it is made anew without a training."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from modelyard.files.decoded import FOLDER, files_in
from modelyard.files.state_file import remove_database
from modelyard.store.gc import Bounds


class Swept(msgspec.Struct, frozen=True):
    """What a clean-up came to: how many bytes went, and how many are left."""

    freed_bytes: int
    left_bytes: int


def sweep_decoded(cache: Path, bounds: Bounds, store_bytes: int, *, dry_run: bool) -> Swept:
    """Remove what was decoded and not used for longer than `bounds` say, and what was used longest ago until all fits.

    Args:
        cache: the project's folder for downloads.
        bounds: for the store and for this together.
        store_bytes: what the store takes.
        dry_run: whether to remove nothing.
    """
    found = sorted(((one.stat(), one) for one in files_in(cache / FOLDER)), key=lambda one: one[0].st_mtime)
    left, freed = sum(info.st_size for info, _ in found), 0
    for info, path in found:
        is_old = bounds.older_than_s is not None and info.st_mtime < time.time() - bounds.older_than_s
        if is_old or (bounds.max_size_bytes is not None and store_bytes + left > bounds.max_size_bytes):
            left, freed = left - info.st_size, freed + info.st_size
            if not dry_run:
                remove_database(path)
    return Swept(freed, left)
