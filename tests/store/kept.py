"""What is kept in a store, and what it then holds."""

from __future__ import annotations

from pathlib import Path

from modelyard.files.manifest import manifest_digest
from modelyard.store.local import Store
from modelyard.store.record import Record
from tests.standins.manifests import manifest_of

KEY = "ab" * 32


def write(folder: Path, files: dict[str, tuple[bytes, bool]]) -> Path:
    folder.mkdir(parents=True)
    for name, (content, executable) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)
    return folder


def record_of(folder: Path, key: str = KEY) -> Record:
    outputs = manifest_of(folder)
    return Record(stage="train:net", key=key, digest=manifest_digest(outputs), outputs=outputs, metrics={"loss": 0.5})


def keep(store: Store, folder: Path, content: bytes = b"a model", name: str = "model.bin") -> Record:
    record = record_of(write(folder, {name: (content, False), "empty": (b"", False)}))
    store.add(record, folder)
    return record


def objects(store: Store) -> list[Path]:
    return [path for path in (store.root / "objects").rglob("*") if path.is_file()]


def half_made(store: Store) -> list[Path]:
    """Return the files that are still on their way; a folder for more of them may stay as long as the store is open."""
    return [path for path in (store.root / ".unfinished").glob("*/**/*") if path.is_file()]


def traces(store: Store) -> list[Path]:
    return [path for path in (store.root / "traces").rglob("*") if path.is_file()]


def stage_json(project: Path, stage: str, key: str) -> None:
    folder = project / "artifacts" / stage.replace(":", "/")
    folder.mkdir(parents=True)
    (folder / "stage.json").write_text(f'{{"key": "{key}"}}')
