"""Results of stages that nothing ran: written by hand, under the keys that the stages have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standins import manifests

from modelyard.files.json import write_json
from modelyard.store.record import RECORD, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelyard.build.engine import Engine
    from modelyard.stage import Stage

FILES = {"x.npy": "numbers", "sub/y.npy": "labels"}


def write(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """Write files into a new folder and return it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def record_of(folder: Path, stage: str = "train:net", key: str = "ab" * 32, **more: object) -> Record:
    """Return the record of the files in a folder."""
    return manifests.record_of(folder, key, stage, **more)


def kept(engine: Engine, stage: Stage, folder: Path, **more: object) -> Record:
    """Have the store of a project know a result of one of its stages, made in the new `folder`."""
    key = engine.judge.fingerprint(stage).key
    record = record_of(write(folder), stage.id, key, **more)
    return engine.store.add(record, folder)[0]


def artifact(folder: Path, record: Record) -> None:
    """Write the record of a folder beside its files."""
    write_json(folder / RECORD, record)
