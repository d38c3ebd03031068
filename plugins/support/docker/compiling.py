"""Bytecode, compiled with the base's own Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import ImageContent
    from modelyard.oci.tree import Tree

OUT = "/modelyard-bytecode"
"""Where a container of the base writes what it compiles."""


def with_bytecode(
    client: Any, image_id: str, trees: dict[str, Callable[[], Tree]], content: ImageContent
) -> dict[str, Callable[[], Tree]]:
    """Return `trees` with the bytecode of the server beside it, and that of what it imports below it."""
    from modelyard.oci.bytecode import Bytecode

    code = Bytecode(trees, content.server, lambda texts, places: _compiled(client, image_id, texts, places))
    return code.layers(trees)


def _compiled(client: Any, image_id: str, texts: Tree, places: list[str]) -> Tree:
    """Return the bytecode of the servers at `places` and of what they import, compiled in a container of the base.

    Raises:
        ToolError: it could not be.
    """
    import tempfile

    import docker as sdk

    from modelyard.oci import bytecode
    from modelyard.oci.tar import write_tar

    container = client.containers.create(
        image_id,
        bytecode.arguments(places, "", OUT),
        entrypoint=["python3"],
        environment=bytecode.variables(places),
        network_disabled=True,
        user="0",
    )
    try:
        with tempfile.TemporaryFile() as stream:
            write_tar(texts, stream, 0)
            stream.seek(0)
            container.put_archive("/", stream)
        container.start()
        if container.wait()["StatusCode"]:
            raise bytecode.not_run(container.logs().decode(errors="replace").strip().splitlines()[-1])
        return bytecode.packed(b"".join(container.get_archive(OUT)[0]))
    except sdk.errors.DockerException as exc:
        raise bytecode.not_run(str(exc)) from exc
    finally:
        container.remove(force=True)
