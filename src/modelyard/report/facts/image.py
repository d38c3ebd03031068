"""What a report says of the image."""

from __future__ import annotations

import msgspec

from modelyard.report.facts.build import State


class LayerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the image as shipped: what it holds, its digest, its size in bytes."""

    name: str
    digest: str
    size_bytes: int


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The image: its name, the digest of its OCI manifest, its size in bytes as shipped, its layers, lowest first.

    `variant` is the variant that it serves; empty if its labels do not say. `state` is that of the stage that made it.
    """

    repository: str
    tag: str
    digest: str
    size_bytes: int
    platform: str
    builder: str
    variant: str
    layers: tuple[LayerSummary, ...]
    base: dict[str, str] = {}
    state: State = "up-to-date"
