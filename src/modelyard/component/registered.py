"""A component as it was registered, and as the configuration uses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.component.kinds import called_with
from modelyard.component.parameters import Parameter, parameters_of
from modelyard.tensors import Loss


class Source(msgspec.Struct, frozen=True):
    """Where a plugin comes from.

    Attributes:
        name: the plugin's name: a module, or the name of an entry point.
        origin: `project`, `installed` or `built-in`.
        file: the module's file.
        distribution: name and version of the installed distribution, or empty.
    """

    name: str
    origin: str
    file: Path
    distribution: str = ""


class Component(msgspec.Struct, frozen=True, dict=True):
    """A function registered under `name` for one of `KINDS`, with its traits (see `hookspecs`)."""

    kind: str
    name: str
    function: Callable[..., Any]
    source: Source
    accepts: tuple[str, ...] = ()
    produces: str = ""
    produces_by: Callable[..., str] | None = None
    takes_model: bool = True
    learns: bool = True
    losses: tuple[str, ...] = ()
    trains_several: bool = False
    trains_like: str = ""
    answers: Literal["", "logits", "probabilities"] = ""
    tools: tuple[str, ...] = ()
    needs: tuple[str, ...] | None = None
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    reads_environment: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    check: Callable[..., Any] | None = None
    deterministic: bool = False
    preflight: Callable[..., Any] | None = None
    scripts: Callable[..., Any] | None = None
    templates: tuple[str, ...] = ()
    deploy: Callable[..., Any] | None = None
    undeploy: Callable[..., Any] | None = None
    server: Path | None = None
    requirements: Path | None = None
    optional_requirements: Mapping[str, Path] = msgspec.field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    server_environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    client: Path | None = None
    package: Path | None = None
    schemes: Mapping[str, int] = msgspec.field(default_factory=dict)
    broker: Callable[..., Any] | None = None
    image: Callable[..., Any] | None = None
    base: str = ""
    reads_settings: bool = True
    serving_only: tuple[str, ...] = ()
    serves_several: bool = False
    deploy_only: tuple[str, ...] = ()
    lock: Callable[..., Any] | None = None
    metrics: tuple[Any, ...] = ()
    loss: Loss = ""
    better: Literal["higher", "lower"] = "higher"
    unit: str = ""
    title: str = ""
    steady: bool = True
    starts_server: bool = False
    after: str = ""
    plan: Callable[..., Any] | None = None
    plan_only: tuple[str, ...] = ()
    seeded: bool = False
    host_bound: bool = False
    measures: bool = False
    parts: Mapping[str, str] = msgspec.field(default_factory=dict)
    settings: type[msgspec.Struct] | None = None

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The configuration that the function takes: its keyword-only parameters, or the fields of the struct `params`.

        Raises:
            PluginError: a parameter is positional, has no annotation, or one that no value can be checked against.
        """
        where = f"{self.kind} {self.name!r} ({self.source.file})"
        return parameters_of(self.function, where, called_with(self.kind))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The parameters that name a file or folder of the project, whose content counts."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.is_input)

    def bring(self) -> None:
        """Import the module of the project that has the function, where that is not loaded with the plugins."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The distributions that the function cannot run without."""
        return self.tools if self.needs is None else self.needs

    @property
    def trains(self) -> bool:
        """Whether it trains a model, so that it must know the loss: a trainer, or a model optimizer that trains further."""
        return self.takes_model if self.kind == "trainer" else bool(self.trains_like)

    @property
    def trained_losses(self) -> tuple[str, ...]:
        """The losses that one that trains can make small: cross-entropy alone where it says none."""
        return self.losses or ("cross-entropy",)

    @cached_property
    def file(self) -> Path:
        """The file that defines the function (which may be another than the plugin's)."""
        return Path(inspect.unwrap(self.function).__code__.co_filename)

    @property
    def label(self) -> str:
        """The name as the names of stages and folders may hold it."""
        return self.name.replace(":", ".")

    @property
    def template_folders(self) -> list[Path]:
        """Where the component's own templates are: the `templates` folder beside its plugin's module."""
        return [self.source.file.parent / "templates"]

    @property
    def documentation(self) -> str:
        """The function's docstring, without its indentation."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the documentation, without the full stop."""
        return self.documentation.partition("\n")[0].rstrip(".")


class Use(msgspec.Struct, frozen=True):
    """A component and the values of its parameters, every default filled in."""

    component: Component
    params: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def produces(self) -> str:
        """The format of the model that it gives, with these parameters."""
        by = self.component.produces_by
        return by(**self.params) if by else self.component.produces

    @property
    def scripts(self) -> tuple[str, ...]:
        """The Python files of the project that it runs with these parameters, relative to the project."""
        by = self.component.scripts
        return tuple(by(**self.params) or ()) if by else ()

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of the project's own code that its parameters name, `module:function`."""
        known = self.component.parameters
        named = (
            value for name, value in self.params.items() if name in known and known[name].names_function is not None
        )
        return tuple(filter(None, named))

    @property
    def optional_requirements(self) -> dict[str, Path]:
        """The requirements files of the parameters that are set, by parameter."""
        files = self.component.optional_requirements
        return {name: file for name, file in files.items() if self.params.get(name) not in (None, False)}
