"""What runtimes and image builders are given and return: what goes into an image, said without saying how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.contexts.stages import StageContext

if TYPE_CHECKING:
    from modelyard.artifacts import Model, ServerFacts


class Locked(msgspec.Struct, frozen=True):
    """What a builder's `lock` wrote down.

    Attributes:
        file: the lock file.
        packages: what is locked, as JSON can hold it, one item a package.
    """

    file: Path
    packages: tuple[Any, ...]


def _own_server() -> ServerFacts:
    from modelyard.artifacts import ServerFacts  # whoever plans a build makes no image

    return ServerFacts()


class ImageContent(msgspec.Struct, frozen=True):
    """What goes into an image above its base, said without saying how.

    Attributes:
        repository: the image's name without a tag.
        tag: the image's tag.
        requirements: lines of a pip requirements file, each pinned with hashes; installed for the base's Python.
        optional_requirements: further ones, for what was asked for; in a layer of their own.
        server: path in the image -> file or folder here; the server's code, or its configuration.
        model: path in the image -> file or folder here; the model.
        entrypoint: the command, with `python3` standing for the base's interpreter.
        environment: environment variables; never a secret.
        labels: the image's labels.
        port: the port that the server listens on by default.
        base: an image that brings the server: `entrypoint[0]` is a program in it; empty: the server is the Python
            package in `server`, and any base with Python will do.
        facts: how the server is asked.
        several: whether each place of `model` is a model of its own, which has a layer of its own: of several, those that
            did not change are sent and pulled once.
    """

    repository: str
    tag: str
    requirements: tuple[str, ...]
    server: Mapping[str, Path]
    model: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    port: int
    base: str = ""
    facts: ServerFacts = msgspec.field(default_factory=_own_server)
    optional_requirements: tuple[str, ...] = ()
    several: bool = False


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server has: its name in the URLs, and its version; None: it is the only one, and the runtime says it."""

    name: str
    version: int | None
    model: Model


class ServerContext(StageContext, frozen=True, kw_only=True):
    """For runtimes whose server a base image brings: the project's name, and the model to serve.

    Small files for the image, such as the server's configuration, are written below `context.out`. A runtime that
    `serves_several` asks `models`, whose first one `model` is.
    """

    name: str
    model: Model
    models: tuple[ServedModel, ...] = ()


class ServerImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime's `image` function returns: the parts of `ImageContent` that make its server, by the same names.

    `base` may be left out where the runtime is registered with it. What the runtime is registered with as
    `reads_settings` goes into `facts`.
    """

    entrypoint: tuple[str, ...]
    model: Mapping[str, Path]
    port: int
    facts: ServerFacts
    base: str = ""
    server: Mapping[str, Path] = msgspec.field(default_factory=dict)
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)


class ImageContext(StageContext, frozen=True, kw_only=True):
    """For image builders: the content; the builder writes `image.tar` (if it makes an archive) and returns `ImageFacts`."""

    content: ImageContent
