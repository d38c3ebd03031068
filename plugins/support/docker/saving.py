"""The image as an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError
from modelyard_plugins.support.image_facts import ARCHIVE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelyard.contexts import ImageContext
    from modelyard.oci.image import Image


def layer_names(base: Sequence[str], built: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return what the image's layers are called: a template of the project may make other ones than ours."""
    above = len(built) - len(base)
    upper = own if above == len(own) else [f"layer-{number}" for number in range(above)]
    return [*(f"base-{number}" for number in range(len(base))), *upper]


def archived(context: ImageContext, built: Any, names: Sequence[str]) -> Image:
    """Write the image's archive, and return what is in it."""
    from modelyard.oci.image import source_epoch, write_archive
    from modelyard.oci.layers import LayerCache
    from modelyard.oci.reference import parse
    from modelyard.oci.repacking import repack

    saved = context.out / "saved.tar"
    try:
        _save(built, saved, context)
        cache = LayerCache(context.cache / "layers", "auto", source_epoch())
        reference = parse(context.content.repository, context.content.tag)
        context.progress(0, None, note="pack the layers")
        image = repack(saved, reference, names, cache)
        write_archive(image, context.out / ARCHIVE)
        return image
    finally:
        saved.unlink(missing_ok=True)


def _save(built: Any, path: Path, context: ImageContext) -> None:
    """Write what the engine has of the image to `path`.

    Raises:
        ToolError: the engine does not give it.
    """
    import docker as sdk
    from requests import RequestException

    size, done = int(built.attrs["Size"]), 0
    try:
        with path.open("wb") as file:
            for chunk in built.save():
                done += file.write(chunk)
                context.progress(min(done, size), size, unit="B", note="save the image")
    except (sdk.errors.DockerException, RequestException) as exc:
        msg = f"image builder 'docker': the engine does not save the image: {exc}\n  see the engine's log, and its disk"
        raise ToolError(msg) from exc
