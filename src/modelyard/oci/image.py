"""Layers joined to an image: config, manifest, and one archive that every loader reads.

Source: OCI image-spec (config.md, manifest.md, image-layout.md); Docker image spec v1.2 for `manifest.json`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard.files.atomic import replacing
from modelyard.oci.cache import canonical_json
from modelyard.oci.tar import write_tar
from modelyard.oci.tree import Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelyard.oci.layers import Layer
    from modelyard.oci.reference import Reference

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
FIXED_EPOCH = 1704067200
"""2024-01-01T00:00:00Z. Not 0, which people read as a fault."""


def source_epoch() -> int:
    """Return `SOURCE_DATE_EPOCH`, or a fixed time when it is not set; seconds since 1970.

    Raises:
        ToolError: it is set to something other than a whole number from 0.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "") or str(FIXED_EPOCH)
    if not text.isascii() or not text.isdigit():
        msg = f"SOURCE_DATE_EPOCH={text!r}: not a whole number of seconds since 1970\n  unset it or correct it"
        raise ToolError(msg)
    return int(text)


def timestamp(epoch: int) -> str:
    """Return `epoch` as RFC 3339 in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Recipe:
    """What an image is, beside its layers.

    Attributes:
        architecture: OCI's name, for instance `amd64`.
        settings: the `config` object: User, Env, Entrypoint, WorkingDir, ExposedPorts, Labels, StopSignal.
        annotations: of the manifest.
        epoch: seconds since 1970.
        base_history: history entries of a base image, kept.
    """

    reference: Reference
    architecture: str
    settings: Mapping[str, Any]
    annotations: Mapping[str, str]
    epoch: int
    base_history: Sequence[Mapping[str, Any]] = field(default=())


@dataclass(frozen=True)
class Image:
    """Config and manifest of an image, as bytes, and their digests (`sha256:...`)."""

    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]
    recipe: Recipe

    @property
    def image_id(self) -> str:
        """Digest of the config: the image's id in Docker's classic store."""
        return digest(self.config)

    @property
    def digest(self) -> str:
        """Digest of the manifest: what a registry and Kubernetes name."""
        return digest(self.manifest)


def digest(data: bytes) -> str:
    """Return `sha256:` and the SHA-256 of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def assemble(layers: Sequence[Layer], recipe: Recipe) -> Image:
    """Return the image of `layers`, the lowest first."""
    config = canonical_json(_config(layers, recipe))
    return Image(config, manifest(config, layers, recipe.annotations), tuple(layers), recipe)


def manifest(config: bytes, layers: Sequence[Layer], annotations: Mapping[str, str]) -> bytes:
    """Return the manifest of an image: the same bytes for the same config, layers and annotations."""
    said = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [layer.descriptor() for layer in layers],
        "annotations": dict(annotations),
    }
    return canonical_json(said)


def _config(layers: Sequence[Layer], recipe: Recipe) -> dict[str, Any]:
    created = timestamp(recipe.epoch)
    known = sum(not entry.get("empty_layer") for entry in recipe.base_history)
    new = [{"created": created, "created_by": "modelyard", "comment": layer.name} for layer in layers[known:]]
    return {
        "architecture": recipe.architecture,
        "os": "linux",
        "created": created,
        "config": dict(recipe.settings),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*map(dict, recipe.base_history), *new],
    }


def write_archive(image: Image, path: Path) -> None:
    """Write `image` to `path`: an OCI layout and a `docker save` archive in one tar, the same bytes every time."""
    tree = Tree()
    for layer in image.layers:
        tree.add(_blob(layer.digest), Entry("file", 0o644, size=layer.size_bytes, source=layer.blob))
    for data in (image.config, image.manifest):
        tree.add(_blob(digest(data)), Entry.file(data))
    tree.add("index.json", Entry.file(canonical_json(_index(image))))
    tree.add("manifest.json", Entry.file(canonical_json(_docker_manifest(image))))
    tree.add("oci-layout", Entry.file(canonical_json({"imageLayoutVersion": "1.0.0"})))
    with replacing(path) as draft, draft.open("wb") as stream:
        write_tar(tree, stream, image.recipe.epoch)


def _blob(digest_: str) -> str:
    return f"blobs/{digest_.replace(':', '/', 1)}"


def _index(image: Image) -> dict[str, Any]:
    reference = image.recipe.reference
    names = {"io.containerd.image.name": reference.full, "org.opencontainers.image.ref.name": reference.tag}
    platform = {"architecture": image.recipe.architecture, "os": "linux"}
    one = {"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest)}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**one, "platform": platform, "annotations": names}]}


def _docker_manifest(image: Image) -> list[dict[str, Any]]:
    layers = [_blob(layer.digest) for layer in image.layers]
    return [{"Config": _blob(image.image_id), "RepoTags": [image.recipe.reference.familiar], "Layers": layers}]
