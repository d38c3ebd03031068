"""Hooks for what serves a model, what stands around it there, and where it gets events: runtimes, handlers and sources.

Annotations are evaluated here at once, not kept as text: `TypedDict` compiles each text, in every `doit`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

from modelyard.contexts import BrokerCommand, BrokerPlace
from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits, Takes


class RuntimeTraits(Takes, ComponentTraits, total=False):
    """Traits of a runtime: `function(model_folder, **params)` opens a model and returns a `Predictor`; evaluation uses it as it ships.

    A server in Python is copied into the image: `server` is the folder of its package, `entrypoint` the command that
    starts it there, `requirements` a pip requirements file, every line pinned with hashes. `optional_requirements` are
    further ones, by the parameter that they are for: they are in the image, in a layer of their own, where that parameter
    is set (neither None nor false). `server_environment` are
    environment variables of the server, in the image and for `doit serve`; parameters become further ones,
    `MODELYARD_NAME`. `package` is the folder of a further package that lies beside the server: with modelyard's own, the
    backend that `MODELYARD_BACKEND` names.

    A server that a base image brings has `image` instead of these: `image(context: ServerContext, **params)` returns a
    `ServerImage`, which says which base, how the server starts there, and what is put beside it. `base` names that image
    where it is always the same, and `reads_settings` is false if its server does not take user name, password, certificate
    ... from the variables `MODELYARD_...`: builders and targets then know both before anything is trained.

    `serving_only` names parameters that concern the server alone. `evaluate` does not get them: in it they are at their
    defaults, and a change of them measures nothing anew. All others count there.

    `serves_several` says that the server takes several models: in Python, where the folder that `MODELYARD_MODEL_DIR` names
    has none itself, but folders `NAME/VERSION`; of a base image, those of `ServerContext.models`. Without it, no image of
    several models has this runtime.
    """

    server: Path
    package: Path
    requirements: Path
    optional_requirements: Mapping[str, Path] | None
    entrypoint: Sequence[str]
    server_environment: Mapping[str, str] | None
    image: Callable[..., Any]
    base: str
    reads_settings: bool
    serving_only: Sequence[str]
    serves_several: bool


class Ships(TypedDict):
    """What a handler must say: the package of its code."""

    package: Path


class HandlerTraits(Ships, ComponentTraits, total=False):
    """Traits of a handler: `function(place, **params)` opens it, here and in the image.

    `package` is the folder of a Python package that is copied into the image beside the server. It has a function of the
    same name as the registered one, which calls it and says the types of the parameters; it imports nothing of modelyard
    when it runs. `requirements`, a pip requirements file, every line pinned with hashes, is what the package needs beside
    the server's own: in the image, in a layer of its own. A parameter of the type `InputPath` names an asset, such as a
    vocabulary: it goes into the image, too.
    """

    requirements: Path


class Connects(TypedDict):
    """What a source must say: the package of its client, and `schemes`, those of the URLs that it connects to with their usual ports."""

    client: Path
    schemes: Mapping[str, int]


class SourceTraits(Connects, ComponentTraits, total=False):
    """Traits of a source of events: `function(place, **params)` opens it, here and in the image.

    `client` is the folder of a Python package that is copied into the image beside the server, and has
    `open_source(place)`: see `modelyard.serving.events.source`, which it does not import when it runs. `requirements`, a pip
    requirements file, every line pinned with hashes, is what it needs beside the server's own: in the image, in a layer of
    its own. Parameters become environment variables of the server, `MODELYARD_EVENTS_NAME`.

    `check` is given `input`, `output`, `dead_letter` and `group`, too, and may find them wrong. `broker(place)` says how its
    broker is started on this machine, for the check of an image.
    """

    requirements: Path
    broker: Callable[[BrokerPlace], BrokerCommand]


class RegisterRuntime(Protocol):
    """Registers a runtime."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[RuntimeTraits]) -> None: ...


class RegisterHandler(Protocol):
    """Registers a handler."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[HandlerTraits]) -> None: ...


class RegisterSource(Protocol):
    """Registers a source of events."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[SourceTraits]) -> None: ...


@hookspec
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register runtimes: what runs a model, both when it is evaluated and in the image."""


@hookspec
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register handlers: `function(place: Place, *, ...) -> Handler` opens what stands before the model, or after it."""


@hookspec
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register sources of events: `function(place: Place, *, ...) -> Source` opens what takes events from a broker."""
