"""A stage: one node of the build, what it runs and what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from modelyard.component import Component, Use
from modelyard.kinds import BUILT_IN, Kind
from modelyard.stage_settings import by_name

S = TypeVar("S", bound=msgspec.Struct)

CLASSES_ROLE = "model:classes"
"""The role of the project's model in a stage that does not build it, but reads a file that names its classes."""
_WIDTH = 60
"""Characters of a stage's line that its parameters may take."""

THREADS = 2
"""Of a machine's cores nothing is asked: their number must not shape a model. Two is what the smallest CI machines have."""


class Input(msgspec.Struct, frozen=True):
    """What a stage reads of an earlier one.

    Attributes:
        role: what it is to the stage: `dataset`, `model`, `evaluation:int8` ...
        stage: the earlier stage's id.
        part: a file or folder of that artifact, or empty for all of it.
    """

    role: str
    stage: str
    part: str = ""


class Stage(msgspec.Struct, frozen=True):
    """One node of the build.

    Attributes:
        kind: what the kind is called, see `modelyard.kinds`.
        name: what tells it from the others of its kind; also its folder's name.
        uses: the components that it runs, by role: the component's kind, with a name where there may be several.
        settings: further values for it: the struct that its kind's row names, or a mapping if it names none.
        inputs: what it reads of earlier stages.
        seed: the seed, for kinds that draw random numbers.
        resources: named resources that it holds while it runs.
        threads: how many threads it computes with.
        isa: the instruction set that it uses at most; None: what the processor has, or it does not compute.
        pipeline: which of several pipelines it is of; empty: there is but one, or a plugin made it for none.
        registered: the kind's row, where a plugin registered it; the plan fills it in.
        made_at: the file and line of the plugin that made it, for messages; empty: the project's configuration asks for it.
    """

    kind: str
    name: str
    uses: Mapping[str, Use] = msgspec.field(default_factory=dict)
    settings: msgspec.Struct | Mapping[str, Any] = msgspec.field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    seed: int | None = None
    resources: tuple[str, ...] = ()
    threads: int = THREADS
    isa: str | None = None
    pipeline: str = ""
    registered: Kind | None = None
    made_at: str = ""

    @property
    def row(self) -> Kind:
        """All that there is to know of its kind."""
        return self.registered or BUILT_IN[self.kind]

    def settings_as(self, kind: type[S]) -> S:
        """Return its settings, which are a `kind`, as its kind's row says, or a part of that."""
        assert isinstance(self.settings, kind), f"{self.id} has {type(self.settings).__name__}, not {kind.__name__}"
        return self.settings

    @property
    def id(self) -> str:
        """`kind:name`, also the doit task's name."""
        return f"{self.kind}:{self.name}"

    @property
    def own_name(self) -> str:
        """Its name in its pipeline."""
        return self.name.removeprefix(f"{self.pipeline}.") if self.pipeline else self.name

    @property
    def place(self) -> str:
        """Its artifact's folder, from the project's."""
        return f"artifacts/{self.kind}/{self.name}"

    def handle(self, part: str = "") -> str:
        """Return the file, from the project's folder, that stands for its artifact, or for a part of it, in doit's graph."""
        return f"{self.place}/{self.row.parts.get(part, part) or 'stage.json'}"

    @property
    def is_deterministic(self) -> bool:
        """Whether its component says that it gives the same bytes each time on an accelerator, too."""
        return next(iter(self.uses.values())).component.deterministic if self.uses else True

    @property
    def doc(self) -> str:
        """One line on what the stage does, for `doit list`."""
        use = next(iter(self.uses.values()), None)
        words = {**by_name(self.settings), "name": self.name, "summary": use.component.summary if use else ""}
        text = self.row.doc.format_map(words)
        return f"{_changed(use)}{text}" if use and self.row.many else text


def outline(stage: Stage) -> str:
    """Return what the configuration and the plugins say of the stage, as JSON: equal for two processes that see the same."""
    uses = {role: (_traits(use.component), use.produces, use.params) for role, use in stage.uses.items()}
    what = (stage.kind, stage.name, stage.settings, stage.inputs, stage.seed, stage.threads, stage.isa, uses)
    return msgspec.json.encode(what, order="deterministic", enc_hook=str).decode()


def _traits(component: Component) -> tuple[Any, ...]:
    return (
        component.kind,
        component.name,
        component.file,
        component.environment,
        component.templates,
        component.server,
        component.requirements,
        component.optional_requirements,
        component.entrypoint,
        component.client,
        component.package,
        component.schemes,
        component.server_environment,
    )


def _changed(use: Use) -> str:
    """Return the parameters that are not at their defaults, for the many stages of one kind."""
    defaults = {name: parameter.default for name, parameter in use.component.parameters.items()}
    changed = [f"{name}={value}" for name, value in use.params.items() if value != defaults[name]]
    text = " ".join(", ".join(changed).split())
    return f"({text if len(text) <= _WIDTH else text[: _WIDTH - 1] + '…'}) " if changed else ""
