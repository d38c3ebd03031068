"""The Docker engine: asked for, and for the base of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError

if TYPE_CHECKING:
    pass


def open_engine() -> Any:
    """Return a client of the engine.

    Raises:
        ToolError: the package docker is missing, or no engine answers.
    """
    try:
        import docker as sdk
    except ImportError as exc:
        msg = (
            "image builder 'docker' needs the package docker\n"
            "  python -m pip install docker, or use the builder 'oci', which needs no engine"
        )
        raise ToolError(msg) from exc
    try:
        client = sdk.from_env()
        client.ping()
    except (sdk.errors.DockerException, OSError) as exc:
        msg = (
            f"image builder 'docker': no Docker engine answers: {exc}\n"
            '  start one, or set `use = "oci"` in [tool.modelyard.image], which needs no engine'
        )
        raise ToolError(msg) from exc
    return client


def base_image(client: Any, base: str, *, pull: bool) -> Any:
    """Return the base image that the engine has; with `pull`, a newer one that the registry has.

    Raises:
        ToolError: there is none of that name.
    """
    import docker as sdk

    try:
        return client.images.pull(*_split(base)) if pull else client.images.get(base)
    except sdk.errors.ImageNotFound as exc:
        msg = f"image builder 'docker': the engine has no image {base!r}\n  `docker pull {base}`, or set `pull = true`"
        raise ToolError(msg) from exc
    except sdk.errors.APIError as exc:
        msg = (
            f"image builder 'docker': base {base!r}: {exc.explanation or exc}\n"
            "  check its name and the engine's network"
        )
        raise ToolError(msg) from exc


def _split(base: str) -> tuple[str, str | None]:
    name, colon, tag = base.rpartition(":")
    return (name, tag) if colon and "/" not in tag and "@" not in base else (base, None if "@" in base else "latest")
