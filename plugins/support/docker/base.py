"""What the base of an image brings: its Python, or the server's program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import ImageContent, ImageContext
    from modelyard.oci.python import BasePython

PROBE = (
    "import json, os, platform, sys; libc, glibc = platform.libc_ver(); "
    "print(json.dumps([sys.executable, list(sys.version_info[:2]), libc, glibc, platform.machine()]))"
)


def python_parts(client: Any, context: ImageContext, image_id: str, base: str) -> tuple[str, list[Path], list[Path]]:
    """Return the base's interpreter, and the wheels for it: those of every image, and those that were asked for."""
    from modelyard.oci.cache import FileCache
    from modelyard.oci.wheels import fetch

    python = _python(client, image_id, base)
    report = lambda percent, text: context.progress(0, None, note=f"wheels: {text} {percent:.0f} %")  # noqa: E731
    cache, optional = FileCache(context.cache / "wheels"), context.content.optional_requirements
    wheels = fetch(context.content.requirements, python, cache, report)
    return python.executable, wheels, fetch(optional, python, cache, report) if optional else []


def program_parts(client: Any, content: ImageContent, image_id: str, base: str) -> tuple[str, list[Path], list[Path]]:
    """Check that the base brings the server's program; there is no interpreter, and there are no wheels."""
    import docker as sdk

    container = client.containers.create(image_id, entrypoint=[content.entrypoint[0]])
    try:
        container.get_archive(content.entrypoint[0])
    except sdk.errors.NotFound as exc:
        msg = (
            f"image builder 'docker': base {base!r} has no {content.entrypoint[0]}, which starts the server\n"
            f"  take {content.base!r}, or an image made from it: [tool.modelyard.image] base"
        )
        raise ToolError(msg) from exc
    finally:
        container.remove()
    return "", [], []


def _python(client: Any, image_id: str, base: str) -> BasePython:
    """Return the Python of the base, by asking it."""
    import docker as sdk

    from modelyard.oci.python import BasePython

    try:
        output = client.containers.run(
            image_id, ["-c", PROBE], entrypoint=["python3"], network_disabled=True, remove=True, stderr=False
        )
        executable, version, libc, glibc, machine = json.loads(output)
    except (sdk.errors.DockerException, ValueError) as exc:
        msg = f"image builder 'docker': base {base!r} does not run python3: {exc}\n  take a base that has Python 3"
        raise ToolError(msg) from exc
    if libc != "glibc":
        msg = (
            f"image builder 'docker': base {base!r} has no glibc, which wheels for Linux need\n"
            "  take a base on Debian, Ubuntu or alike"
        )
        raise ToolError(msg)
    numbers = [int(number) for number in glibc.split(".")[:2]]
    return BasePython(executable, (version[0], version[1]), (numbers[0], numbers[1]), machine)
