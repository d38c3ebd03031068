"""What image builders say of an image whose archive they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.artifacts import ImageFacts, LayerFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.contexts.images import ImageContent
    from modelyard.oci.image import Image

ARCHIVE = "image.tar"


def facts_of(builder: str, content: ImageContent, image: Image, image_id: str, base: Mapping[str, str]) -> ImageFacts:
    """Return what `image.json` says of an image in the file `ARCHIVE`.

    Args:
        builder: the builder's name.
        content: what went into the image.
        image: what the archive holds.
        image_id: what an engine calls the image (`sha256:...`).
        base: name and version, or digest, of each part of the base.
    """
    layers = tuple(LayerFacts(layer.name, layer.digest, layer.size_bytes) for layer in image.layers)
    return ImageFacts(
        builder=builder,
        repository=content.repository,
        tag=content.tag,
        digest=image.digest,
        image_id=image_id,
        size_bytes=sum(layer.size_bytes for layer in layers),
        archive=ARCHIVE,
        platform=f"linux/{image.recipe.architecture}",
        user=image.recipe.settings.get("User", ""),
        port=content.port,
        labels=dict(image.recipe.annotations),
        layers=layers,
        base=dict(base),
    )
