"""What the last build that did anything did with each stage: `.modelyard/last-build.json`, for `doit report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.files.atomic import replacing
from modelyard.files.json import find_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


class Journal(msgspec.Struct):
    """One run of `doit`.

    Attributes:
        outcomes: `built`, `restored` or `fresh` (another build was faster), for each stage that was not up to date.
        failures: for each stage that failed, why.
    """

    outcomes: dict[str, str] = {}
    failures: dict[str, str] = {}

    def write(self, path: Path) -> None:
        """Write the run down, unless nothing happened in it: then the one before still says how things came to be."""
        if self.outcomes or self.failures:
            with replacing(path) as draft:
                write_json(draft, self)


def read_journal(path: Path) -> Journal:
    """Return the last run, or an empty one if none can be read."""
    return find_json(path, Journal) or Journal()
