"""What a store keeps of a stage's result, and by which names, in a folder here and on a remote alike.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.files.json import as_json, decode
from modelyard.files.manifest import Manifest, manifest_digest

RECORD = "stage.json"
"""The file of an artifact that holds its record, and so no output's name."""


_REMEMBERED = 8
"""Of how many different reads of one key the names are kept."""


class InputRecord(msgspec.Struct, frozen=True):
    """What a stage read of an earlier one, and its digest at that time."""

    stage: str
    part: str
    digest: str


class Accepted(msgspec.Struct, frozen=True):
    """That a person took new code as equivalent: who (`user@host`), when (ISO 8601), and the key that it was made under."""

    who: str
    when: str
    from_key: str


class Record(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`stage.json`: what a stage made and of what.

    Attributes:
        stage: `kind:name`.
        key: the action key.
        digest: the digest of the outputs' manifest.
        outputs: every file with its digest and size in bytes.
        inputs: what it read of earlier stages, by role.
        parts: all that the key was made of, by name.
        code: the files that it stands on, with a digest for each function.
        discovered: what it was seen to read that is not in the key, files by path and variables by `$NAME`, each with a
            digest, empty for a variable that was not set: it holds only while these are the same.
        discovered_before: the names of what earlier results of the same key were seen to read, where these are others.
        metrics: numbers that the stage reported.
        started: when the stage began, ISO 8601 with time zone.
        duration_s: how long its work took, in seconds.
        peak_memory_bytes: the most memory that its process took at once, without what it mapped from files.
        git: the commit it was made at, with `+` behind it if the tree was not clean; empty outside git.
        made_on: the instruction sets, the processor and the accelerator of the machine that made it.
        reproducible: whether the same key makes the same bytes; false for what an accelerator computed by kernels that
            add up in any order.
        accepted: set if `doit accept` took the code for equivalent to what made it.
    """

    stage: str
    key: str
    digest: str
    outputs: Manifest
    inputs: dict[str, InputRecord] = {}
    parts: dict[str, Any] = {}
    code: dict[str, dict[str, str]] = {}
    discovered: dict[str, str] = {}
    discovered_before: list[list[str]] = []
    metrics: dict[str, Any] = {}
    started: str = ""
    duration_s: float = 0.0
    peak_memory_bytes: int = 0
    git: str = ""
    made_on: str = ""
    reproducible: bool = True
    accepted: Accepted | None = None

    @functools.cached_property
    def text(self) -> bytes:
        """The record as files have it, which is written twice of each result: beside its outputs, and to the store."""
        return as_json(self)


class Brief(msgspec.Struct, frozen=True):
    """The fields of a record that say whether it still holds; the rest is skipped when reading."""

    key: str
    digest: str
    outputs: Manifest
    discovered: dict[str, str] = {}


def discovered_key(key: str, discovered: Mapping[str, str]) -> str:
    """Return the key of what `key` stood for while the stage read `discovered` as well, which no key can know before."""
    return hashlib.sha256(msgspec.json.encode([key, discovered], order="deterministic")).hexdigest()


def reads_of(record: Record) -> list[list[str]]:
    """Return the names that results of the record's key were seen to read, its own first."""
    return [sorted(record.discovered), *record.discovered_before]


def succeed(record: Record, earlier: Record | None) -> Record:
    """Return `record` as what stands for the key of `earlier` from now on, and knows what that one and those before read."""
    if earlier is None or not (record.discovered or earlier.discovered):
        return record
    others = [names for names in reads_of(earlier) if names != sorted(record.discovered)]
    return msgspec.structs.replace(record, key=earlier.key, discovered_before=others[:_REMEMBERED])


def trace_name(key: str) -> str:
    """Return the name of the trace of `key` below the root of a store."""
    return f"traces/{key[:2]}/{key[2:]}.json"


def object_name(digest: str) -> str:
    """Return the name of the object with `digest` below the root of a store."""
    return f"objects/{digest[:2]}/{digest[2:]}"


def read_trace(data: bytes, key: str) -> Record:
    """Return the record that a trace holds.

    Raises:
        ValueError: it is damaged, stands for another key, or names a file outside its folder or the record itself.
    """
    record = decode(data, Record)
    if record.key != key or record.digest != manifest_digest(record.outputs):
        msg = "it is not the record of its key"
        raise ValueError(msg)
    for name, entry in record.outputs.items():
        parts = name.split("/")
        if (
            name == RECORD
            or {"", ".", ".."} & set(parts)
            or "\0" in name
            or not re.fullmatch(r"[0-9a-f]{64}", entry.digest)
        ):
            msg = f"{name!r} is not a file of an artifact"
            raise ValueError(msg)
    return record
