"""An image that an engine made, as an archive: its digest in a registry is known before anything is pushed.

What `docker save` writes differs from engine to engine, and the classic ones name no manifest. The config stays as the
engine wrote it, so that its digest is still the image's id there; the layers are compressed as ours are.

Source: OCI image-spec, config.md ("ImageID", "Layer DiffID") and manifest.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import ToolError
from modelyard.oci.archive import decompressed, read_image
from modelyard.oci.content import model_layers
from modelyard.oci.image import Image, Recipe, manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from modelyard.oci.layers import Layer, LayerCache
    from modelyard.oci.reference import Reference


def repack(saved: Path, reference: Reference, names: Sequence[str], cache: LayerCache) -> Image:
    """Return the image in `saved`, which must stay until the image's archive is written.

    Args:
        saved: what the engine saved: one image.
        reference: what the image is called.
        names: of its layers, the lowest first.
        cache: compresses the layers, each once.

    Raises:
        ToolError: `saved` is not one image, or is damaged.
    """
    found = read_image(saved)
    layers = tuple(_packed(name, layer, cache) for name, layer in zip(names, found.layers, strict=True))
    labels = found.settings.get("Labels") or {}
    recipe = Recipe(reference, str(found.config["architecture"]), found.settings, labels, cache.epoch)
    return Image(found.config_bytes, manifest(found.config_bytes, layers, labels), layers, recipe)


def _packed(name: str, layer: Layer, cache: LayerCache) -> Layer:
    """Return `layer` compressed by `cache`.

    Raises:
        ToolError: its content is not what the config says.
    """
    if name in model_layers([name]):
        cache = cache.for_model(layer.size_bytes)
    packed = cache.tar(name, ["repacked", layer.diff_id], lambda stream: _copy(layer, stream))
    if packed.diff_id != layer.diff_id:
        msg = f"layer {name!r}: its content has digest {packed.diff_id}, the image's config says {layer.diff_id}\n  build the image again"
        raise ToolError(msg)
    return packed


def _copy(layer: Layer, stream: BinaryIO) -> None:
    with layer.blob() as blob:
        content = decompressed(blob, layer.media_type)
        while data := content.read(1 << 20):
            stream.write(data)
