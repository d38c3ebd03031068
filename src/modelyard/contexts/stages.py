"""What the stages of every kind are given, and those of kinds that plugins add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from modelyard.files.decoded import Decoded
    from modelyard.stage import Input, Stage


class Progress(Protocol):
    """Tells the person at the terminal how far a stage is."""

    def __call__(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Report that `done` of `total` (None: not known) `unit` are done; `note` is a short text, for instance a loss."""


class PlanContext(msgspec.Struct, frozen=True, kw_only=True):
    """For the `plan` of a kind of stage: what is planned already, and how to make a stage.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        variants: the names of the variants that the project asks for.
        stages: the stages that are planned already, by id (`evaluate:int8`).
        make: makes a stage of the kind; call `stage` instead.
    """

    name: str
    version: str
    variants: tuple[str, ...]
    stages: Mapping[str, Stage]
    make: Callable[..., Stage]

    def of_kind(self, kind: str) -> list[Stage]:
        """Return the stages of `kind` that are planned already, in the order of a build; none if there is no such kind."""
        return [stage for stage in self.stages.values() if stage.kind == kind]

    def stage(self, name: str, *inputs: Input, **settings: Any) -> Stage:
        """Return a stage of the kind.

        Args:
            name: tells it from the others of its kind; its task is `KIND:name`, its folder `artifacts/KIND/name`.
            inputs: what it reads, each in a role: `Input("model", "optimize:int8")`.
            settings: further values for it: the fields of the struct that the kind was registered with, else what JSON can
                hold; they are in its key, and in the context of its run.
        """
        return self.make(name, inputs, settings)


class StageContext(msgspec.Struct, frozen=True, kw_only=True):
    """What every component may use.

    Attributes:
        out: an empty folder; what it holds when the component returns is the artifact.
        project: the project's folder; read from it only what a parameter names.
        cache: a folder for downloads that outlives the stage; several stages may use it at once.
        seed: the seed for every random generator, from 0.
        threads: how many threads to compute with. Frameworks are told by environment variables; use it where a library
            takes the number as an argument, for instance a session of ONNX Runtime.
        progress: reports how far the stage is.
        log: writes a line to the stage's log.
        code: a digest of what the stage's component is beside its parameters: its code, the tools, the machine's kind.
        metrics: numbers to put into `stage.json`; fill it.
        warnings: what `warn` was told.
    """

    out: Path
    project: Path
    cache: Path
    seed: int
    progress: Progress
    log: Callable[[str], None]
    threads: int = 1
    code: str = ""
    metrics: dict[str, Any] = {}
    warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Warn of something that a person should know before this ships: one line, without a full stop.

        It goes to the stage's log; a model optimizer's warnings are shown with its variants in the table of `select`.
        """
        self.log(f"warning: {text}")
        self.warnings.append(text)

    def decoded(self, way: str = "") -> Decoded:
        """Return what the component made of samples in earlier runs; what is new is kept for those to come.

        Use it in a `with` block: `pixels = decoded.once(file.read_bytes(), decode)`, all of it bytes. It forgets when the
        component's code, a tool or the machine's kind is another, and may forget at any time: it is a cache.

        Args:
            way: what else decides what is made of a sample, such as the parameters that say how large a picture becomes.
        """
        import hashlib

        from modelyard.files.decoded import Decoded

        return Decoded(self.cache, hashlib.sha256(f"{self.code} {way}".encode()).hexdigest())


class KindContext(StageContext, frozen=True, kw_only=True):
    """For the stages of a kind that a plugin registered.

    Attributes:
        name: the stage's name, as `plan` said.
        inputs: what the stage reads, a folder or file by role, as `plan` said. `Model.open` and
            `Dataset.open` of `modelyard.artifacts` open what modelyard's own stages made.
        settings: what `plan` said of the stage beside its inputs: the struct that the kind was registered with, else a
            mapping.
    """

    name: str
    inputs: Mapping[str, Path]
    settings: Any
