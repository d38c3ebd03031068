"""The build in the engine, from a context that is written as one stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

from modelyard.errors import StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.contexts import ImageContext
    from modelyard.oci.tree import Tree


def build_image(client: Any, context: ImageContext, text: str, trees: Mapping[str, Tree]) -> Any:
    """Build and tag the image; raise StageFailed with the engine's words if it does not."""
    import tempfile

    tag = f"{context.content.repository}:{context.content.tag}"
    with tempfile.TemporaryFile() as stream:
        _write_build_context(stream, text, trees)
        stream.seek(0)
        events = client.api.build(
            fileobj=stream, custom_context=True, tag=tag, rm=True, forcerm=True, network_mode="none", decode=True
        )
        image_id = _follow(events, context)
    return client.images.get(image_id or tag)


def _write_build_context(stream: BinaryIO, text: str, trees: Mapping[str, Tree]) -> None:
    from modelyard.oci.image import source_epoch
    from modelyard.oci.tar import write_tar
    from modelyard.oci.tree import Entry, Tree

    whole = Tree()
    whole.add("Dockerfile", Entry.file(text.encode()))
    for name, tree in trees.items():
        for path, entry in tree:
            whole.add(f"{name}/{path}", entry)
    write_tar(whole, stream, source_epoch())


def _follow(events: Iterator[Mapping[str, Any]], context: ImageContext) -> str:
    image_id = ""
    for event in events:
        line = str(event.get("stream", "")).rstrip()
        if "error" in event:
            msg = f"docker build: {event['error']}\n  the Dockerfile is kept in the stage's folder"
            raise StageFailed(msg)
        step = re.match(r"Step (\d+)/(\d+) : (.*)", line)
        if step:
            context.progress(int(step[1]), int(step[2]), unit="steps", note=step[3][:60])
        if line:
            context.log(line)
        image_id = (event.get("aux") or {}).get("ID", image_id)
    return image_id
