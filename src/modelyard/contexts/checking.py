"""What a component is told before anything runs, and what it finds wrong or missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from modelyard.tensors import Loss


class Problem(msgspec.Struct, frozen=True):
    """What a component's `check` finds wrong with one of its parameters.

    Attributes:
        key: the parameter; `use`, where it is the component itself that does not fit; or `name` or `version`, the project's.
        why: what is wrong with its value, for instance `it is below replicas = 3`.
        instead: what to do, for instance `allowed: 3 or more`.
    """

    key: str
    why: str
    instead: str


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """For a component's `check`: what the project says beside the component's own parameters.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        runtime: the runtime's name.
        brings_server: whether the runtime's server comes with an image; otherwise it is a Python package.
        base: that image's name, if the runtime says it; else empty.
        reads_settings: whether the server takes user name, password, certificate ... from the variables `MODELYARD_...`.
        event_schemes: the URLs of brokers that its image takes events from, each scheme with its usual port; empty: of none.
        takes_tokens: whether its image can check tokens of OpenID Connect, for events.
        outputs: the names of several outputs that count; empty: there is one.
        loss: what training makes small; empty where several outputs are learnt.
        losses: what it makes small for each of them, by their names.
        models: the models of an image that serves those of pipelines, each `NAME/VERSION`; empty: it serves its own.
    """

    name: str
    version: str
    runtime: str
    brings_server: bool = False
    base: str = ""
    reads_settings: bool = True
    event_schemes: Mapping[str, int] = {}
    takes_tokens: bool = False
    outputs: tuple[str, ...] = ()
    loss: Loss = "cross-entropy"
    losses: Mapping[str, Loss] = {}
    models: tuple[str, ...] = ()


class Lack(msgspec.Struct, frozen=True):
    """What a component's `preflight` finds missing on this machine.

    Attributes:
        what: what is missing, for instance `no Docker engine answers`.
        instead: what to do about it.
        install: the distributions that are missing, if that is what it is; `instead` may then be empty.
    """

    what: str
    instead: str = ""
    install: tuple[str, ...] = ()


class PreflightContext(CheckContext, frozen=True, kw_only=True):
    """For a component's `preflight`: what `check` gets, and the machine's part.

    Attributes:
        project: the project's folder.
        cache: the folder for downloads; it need not be there yet.
        deploys: for a target: whether what it rendered will be applied, too.
        pushes: for a builder: whether the image will be pushed, too.
    """

    project: Path
    cache: Path
    deploys: bool = False
    pushes: bool = False
