"""The models of an image, as the stages see them that pack, check and deploy it: one, or several by name and version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.files.json import read_json
from modelyard.launch.python_server import MODEL, MODELS
from modelyard.stage_settings import DeliverySettings

if TYPE_CHECKING:
    from modelyard.execution.job import Job

_FACTS = ("variant", "format", "sha256", "size_bytes", "gzip_bytes", "licence", "origin")
_STATES = ("states", "looped")
"""What a model has that keeps something from one request to the next."""


class Packed(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """A model of an image.

    Attributes:
        key: what it is called in the roles of a stage, `NAME.VERSION`; empty: it is the only one.
        name: its name in the URLs.
        version: its version there; None: it is the only one, and the server says it.
        folder: the folder with model.json and the model.
    """

    key: str
    name: str
    version: int | None
    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `select` says of it."""
        return read_json(self.folder / "model.json", dict)

    @property
    def place(self) -> str:
        """Its folder in an image whose server is in Python."""
        return f"{MODELS}/{self.name}/{self.version}" if self.key else MODEL

    @property
    def path(self) -> str:
        """What it is called, for people: `NAME`, or `NAME/VERSION` among several."""
        return f"{self.name}/{self.version}" if self.key else self.name

    @property
    def label(self) -> str:
        """What its labels begin with, among those of models."""
        return f"{self.key}." if self.key else ""

    def told(self) -> dict[str, str]:
        """Return what the labels of an image say of it."""
        own = {name: self.facts[name] for name in _FACTS if name in self.facts}
        return {name: str(value) for name, value in (own | self.facts.get("metrics", {})).items()}


def packed(job: Job) -> list[Packed]:
    """Return the models that a stage reads."""
    said = job.stage.settings_as(DeliverySettings).models
    if not said:
        return [Packed(key="", name=job.config.name, version=None, folder=job.inputs["model"])]
    return [
        Packed(key=key, folder=job.inputs[f"model:{key}"], name=one.name, version=one.version)
        for key, one in said.items()
    ]


def digest_of(models: Sequence[Packed]) -> str:
    """Return the digest of the only model, hex; of several one over those of all, with their names and versions."""
    if not models[0].key:
        return str(models[0].facts["sha256"])
    digests = sorted((one.path, str(one.facts["sha256"])) for one in models)
    return hashlib.sha256(msgspec.json.encode(digests)).hexdigest()


def joint_facts(models: Sequence[Packed]) -> dict[str, Any]:
    """Return what is true of all models of an image together: their size, one digest, and whether one keeps a state."""
    if not models[0].key:
        return models[0].facts
    kept = {name: one.facts[name] for one in models for name in _STATES if name in one.facts}
    size_bytes = sum(int(one.facts["size_bytes"]) for one in models)
    return {"size_bytes": size_bytes, "sha256": digest_of(models), **kept}


def of_model(job: Job, model: Packed) -> Job:
    """Return a stage as if it were about one of its models: its components and inputs by their usual names."""
    if not model.key:
        return job
    end, stage = f":{model.key}", job.stage
    uses = {role.removesuffix(end): use for role, use in stage.uses.items() if _concerns(role, end)}
    inputs = {role.removesuffix(end): path for role, path in job.inputs.items() if _concerns(role, end)}
    return msgspec.structs.replace(job, stage=msgspec.structs.replace(stage, uses=uses), inputs=inputs)


def _concerns(role: str, end: str) -> bool:
    """Tell whether a role is that of the model, or of all."""
    return role.endswith(end) or ":" not in role
