"""What of a machine shapes what is computed on it, and so is in the keys of the stages that run there: this one's, or another's."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import msgspec

from modelyard.code.versions import NOT_INSTALLED, all_versions, normalized, tool_version
from modelyard.keys.machine import accelerator


class Platform(Protocol):
    """What a key asks of the machine that a stage runs on."""

    @property
    def python(self) -> str:
        """Python's version, as far as it counts: `3.11`."""

    @property
    def machine(self) -> str:
        """The architecture: `x86_64`."""

    @property
    def accelerator(self) -> str:
        """The kind of accelerator that a framework would compute on, or `cpu`."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that are set."""

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the version of each of these distributions, or `not installed`."""


class Here:
    """This process's machine, looked at when it is asked for."""

    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def machine(self) -> str:
        """The architecture."""
        return os.uname().machine

    @property
    def accelerator(self) -> str:
        """The kind of accelerator."""
        return accelerator()

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of this process."""
        return os.environ

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return what is installed here."""
        return {name: tool_version(name) for name in names}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A machine elsewhere, as a process there described it.

    Attributes:
        python: Python's version, as far as it counts.
        machine: the architecture.
        accelerator: the kind of accelerator, or `cpu`.
        environment: of the variables that were asked for, those that are set.
        distributions: the versions of all installed distributions, by their normalized names.
    """

    python: str
    machine: str
    accelerator: str
    environment: dict[str, str]
    distributions: dict[str, str]

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return what is installed there."""
        return {name: self.distributions.get(normalized(name), NOT_INSTALLED) for name in names}


HERE = Here()
"""This machine."""


def describe(variables: Collection[str]) -> Described:
    """Return the description of this machine, for one elsewhere; `variables` are those that it asks for."""
    return Described(
        python=HERE.python,
        machine=HERE.machine,
        accelerator=HERE.accelerator,
        environment={name: os.environ[name] for name in variables if name in os.environ},
        distributions=all_versions(),
    )


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(describe(sys.argv[1:])).decode() + "\n")
