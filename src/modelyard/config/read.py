"""Read `[tool.modelyard]`: strict, with a profile and the command line's overrides laid over it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from modelyard.component import Component, Parameter, Use, check_values, in_quotes, written_text
from modelyard.config import checks
from modelyard.config.extending import extended
from modelyard.config.keys import default_components, keys_of
from modelyard.config.matrix import Combination, expand
from modelyard.config.profiles import choose_profile, lay_over, take_profiles
from modelyard.config.tables import PLAIN, USING, Isa, Name, Seed, Threads, gate_parameters, parameters_of_table
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.registered import quantity_of
from modelyard.metrics.standard import STANDARD
from modelyard.plugins.load import Plugins
from modelyard.stage import THREADS
from modelyard.toml.places import FILE, ConfigSource, KeyPlace, Where


class Config(msgspec.Struct, frozen=True):
    """A project's pipeline.

    Attributes:
        project: the project's folder, absolute.
        name: the project's name, a DNS label.
        version: the project's version.
        seed: the seed of every random generator.
        threads: how many threads each stage computes with.
        isa: the instruction set that stages use at most; None: what the processor has.
        uses: the component of each table in `USING`; no `model` where the trainer brings one.
        settings: modelyard's own values, a dict for each table of `tables.TABLES`.
        variants: for each variant, its chain of model optimizers; those of `[tool.modelyard.variants]` come first.
        targets: for each deploy target, its component.
        resources: how many stages may hold each named resource at once.
        source: what it was read from, for messages.
        origins: the table that each variant comes from: `("variants",)` or `("matrix", NAME)`.
        target_names: the names of all targets, of all profiles.
        metrics: the plugins' metrics that are measured beside those of every evaluation, by name.
        gates: the plugins' gates that variants must pass beside the bounds in `settings`, by name.
        kinds: for each kind of stage that a plugin registered and the project asks for, its component.
    """

    project: Path
    name: str
    version: str
    seed: int
    threads: int
    isa: str | None
    uses: dict[str, Use]
    settings: dict[str, dict[str, Any]]
    variants: dict[str, tuple[Use, ...]]
    targets: dict[str, Use]
    resources: dict[str, int]
    source: ConfigSource = ConfigSource()
    origins: dict[str, tuple[str, ...]] = {}
    target_names: frozenset[str] = frozenset()
    kinds: dict[str, Use] = {}
    metrics: dict[str, Use] = {}
    gates: dict[str, Use] = {}

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is measured of every variant."""
        return quantities(self.metrics)

    def where_variant(self, variant: str) -> Where:
        """Return the place of a variant, for messages."""
        table = self.origins.get(variant, ("variants",))
        where = self.source.where(*table)
        return where.at(variant) if table == ("variants",) else where


def quantities(metrics: Mapping[str, Use]) -> tuple[Quantity, ...]:
    """Return what is measured: what every evaluation measures, and the `metrics` of plugins."""
    return (*STANDARD, *(quantity_of(name, use.component) for name, use in metrics.items()))


def load_config(project: Path, plugins: Plugins, overrides: Mapping[str, str] | None = None) -> Config:
    """Read the configuration of `project`.

    Args:
        project: the folder that holds pyproject.toml.
        plugins: the plugins that the configuration may name.
        overrides: dotted key -> value in TOML, from the command line: `{"train.epochs": "3"}`; the key `profile`
            names a profile to lay over the file first.

    Raises:
        ConfigError: the file is missing or not TOML, or a key, name or value is not allowed; also in a profile that
            is not chosen, save that the files which it names need not be there.
    """
    file, values = project / FILE, dict(overrides or {})
    base, fallback = _read(file)
    defaults = default_components(plugins)
    profiles = take_profiles(base, keys_of(plugins), ConfigSource(file))
    profile = values.pop("profile", "")
    raw = deepcopy(lay_over(base, choose_profile(profiles, profile), defaults))
    if values:
        from modelyard.config.overrides import override  # most builds have none

        override(raw, values, plugins)
    given = " ".join(f"{key}={value}" for key, value in (overrides or {}).items())
    reader = _Reader(project, plugins, raw, fallback, ConfigSource(file, profile, values))
    config = _config(reader, given and f"the command line sets {given}")
    names = {*config.targets, *_subtable(base, "targets")}
    for name, tables in profiles.items():
        laid = lay_over(base, tables, defaults)
        other = _Reader(project, plugins, laid, fallback, ConfigSource(file, name), look_at_inputs=False)
        names |= _config(other, f"in the profile {name!r}").targets.keys()
    return msgspec.structs.replace(config, target_names=frozenset(names))


def _config(reader: _Reader, note: str) -> Config:
    try:
        return reader.config()
    except ConfigError as exc:
        if not note or str(exc).startswith("command line: "):
            raise
        msg = f"{exc}\n  {note}"
        raise ConfigError(msg) from exc


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        msg = f"{path}: not found\n  run `modelyard init` to start a project here"
        raise ConfigError(msg) from exc
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise ConfigError(msg) from exc
    except (ValueError, RecursionError) as exc:
        from modelyard.toml.mistakes import explain  # nobody makes mistakes as a rule

        raise ConfigError(explain(str(path), path.read_bytes(), exc)) from exc
    raw = _subtable(document, "tool").get("modelyard")
    if not isinstance(raw, dict):
        msg = f"{path}: there is no table [tool.modelyard]\n  run `modelyard init` in an empty folder to see one"
        raise ConfigError(msg)
    return raw, _subtable(document, "project")


def _subtable(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


class _Reader:
    """Turns the raw table into a `Config`."""

    def __init__(
        self,
        project: Path,
        plugins: Plugins,
        raw: dict[str, Any],
        fallback: dict[str, Any],
        source: ConfigSource,
        *,
        look_at_inputs: bool = True,
    ) -> None:
        self.project, self.plugins, self.raw, self.fallback = project, plugins, raw, fallback
        self.where, self.look_at_inputs = source.where, look_at_inputs
        self.source, self.origins = source, dict[str, tuple[str, ...]]()
        self.used: list[tuple[Use, Where]] = []

    def config(self) -> Config:
        keys = keys_of(self.plugins)
        for key in self.raw:
            if key not in keys:
                allowed = (*keys, "profiles")
                msg = f"{self.where().at(key)}: unknown key {key!r}{did_you_mean(key, allowed)}\n  allowed: {listing(allowed)}"
                raise ConfigError(msg)
        uses = self.uses()
        settings = {table: self.own(table) for table in ("dataset", *PLAIN) if table != "gates"}
        metrics = {name: self.metric(name) for name in self.table("metrics")}
        config = Config(
            project=self.project,
            name=self.scalar("name", Name, self.default_name()),
            version=self.scalar("version", str, str(self.fallback.get("version", "0"))),
            seed=self.scalar("seed", Seed, 0),
            threads=self.scalar("threads", Threads, THREADS),
            isa=self.scalar("isa", Isa, None),
            uses=uses,
            settings=settings | {"gates": self.bounds(metrics), "image": self.image()},
            metrics=metrics,
            gates=self.gates(metrics),
            variants=self.variants(),
            origins=self.origins,
            targets={name: self.target(name) for name in self.table("targets")},
            resources=self.resources(),
            kinds={name: self.kind(name) for name in self.plugins.of_kind("kind") if name in self.raw},
            source=self.source,
        )
        self.check_meaning(config)
        return config

    def check_meaning(self, config: Config) -> None:
        """Let each component check what the values of its parameters mean; all that is wrong is told at once."""
        context = checks.surroundings(config.name, config.version, config.uses["runtime"].component)
        found: dict[str, None] = {}
        for use, where in self.used:
            for problem in checks.problems(use.component, use.params, context):
                own = problem.key not in use.params
                value = getattr(context, problem.key) if own else use.params[problem.key]
                found[checks.told(problem, value, self.where() if own else where)] = None
        if found:
            raise ConfigError("\n".join(found))

    def default_name(self) -> str:
        name = str(self.fallback.get("name", self.project.name)).lower()
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:52].strip("-") or "project"

    def scalar(self, key: str, kind: Any, default: Any) -> Any:
        try:
            return msgspec.convert(self.raw.get(key, default), kind, strict=True)
        except msgspec.ValidationError as exc:
            text = written_text(self.raw.get(key, default), kind, self.where().at(key))
            if text is not None:
                return text
            notes = [m.description for m in getattr(kind, "__metadata__", ())]
            msg = f"{self.where().at(key)}: key {key!r}: {self.raw.get(key, default)!r} is not allowed\n  allowed: {'; '.join(filter(None, (notes[0] if notes else kind.__name__, in_quotes(self.raw.get(key), kind, str(exc)))))}"
            raise ConfigError(msg) from exc

    def table(self, *path: str) -> dict[str, Any]:
        value: Any = self.raw
        for part in path:
            value = value.get(part, {})
            if not isinstance(value, dict):
                msg = f"{self.where(*path)}: {value!r} is not a table\n  write [tool.modelyard.{'.'.join(path)}]"
                raise ConfigError(msg)
        return dict(value)

    def own(self, table: str) -> dict[str, Any]:
        """Modelyard's own keys of `table`; in a table with `use`, the component's keys are left out."""
        parameters = parameters_of_table(table)
        values = self.table(table)
        if table in USING:
            values = {k: v for k, v in values.items() if k in parameters}
        return check_values(parameters, values, self.where(table))

    def metric(self, name: str) -> Use:
        """A metric of a plugin's; it has a name of its own, by which gates call it."""
        where = self.where("metrics").at(name)
        taken = [one.name for one in STANDARD]
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", name) or name.replace("-", "_") in taken:
            msg = (
                f"{where}: {name!r} is not allowed as the name of a metric\n"
                f"  allowed: lower-case letters, digits and dashes, but for what is always measured: {listing(taken)}"
            )
            raise ConfigError(msg)
        values = self.table("metrics", name)
        return self.component("metric", values.pop("use", name), values, self.where("metrics", name))

    def bounds(self, metrics: Mapping[str, Use]) -> dict[str, Any]:
        """The gates that bound a metric, whose units are checked now: not only when every variant has been measured."""
        where, gates = self.where("gates"), gates_of(quantities(metrics))
        parameters = gate_parameters(quantities(metrics)) | parameters_of_table("gates")
        values = check_values(parameters, self.without_tables(parameters), where)
        for key, gate in gates.items():
            if values[key] is not None:
                gate.parse(values[key], KeyPlace(where, key))
        return values

    def without_tables(self, known: Collection[str]) -> dict[str, Any]:
        """What `[tool.modelyard.gates]` holds beside the tables, which are gates of plugins."""
        return {key: v for key, v in self.table("gates").items() if key in known or not isinstance(v, dict)}

    def gates(self, metrics: Mapping[str, Use]) -> dict[str, Use]:
        """The gates of plugins: the tables in `[tool.modelyard.gates]`."""
        bounds = {*gate_parameters(quantities(metrics)), *parameters_of_table("gates")}
        return {name: self.gate(name) for name in self.table("gates") if name not in self.without_tables(bounds)}

    def gate(self, name: str) -> Use:
        values = self.table("gates", name)
        return self.component("gate", values.pop("use", name), values, self.where("gates", name))

    def image(self) -> dict[str, Any]:
        """The image's name, which every registry must take."""
        values = self.own("image")
        if not (values["repository"] or values["tag"]):
            return values
        from modelyard.oci.reference import repository_problem, tag_problem

        for key, rule in {"repository": repository_problem, "tag": tag_problem}.items():
            if values[key] and (problem := rule(values[key])):
                raise ConfigError(checks.told(problem, values[key], self.where("image")))
        return values

    def uses(self) -> dict[str, Use]:
        trainer = self.use("train")
        if not trainer.component.takes_model and "model" in self.raw:
            msg = (
                f"{self.where('model')}: the trainer {trainer.component.name!r} brings the model, and trains none of the project's\n"
                "  remove the table, or choose another trainer in [tool.modelyard.train]"
            )
            raise ConfigError(msg)
        tables = [table for table in USING if table != "model" or trainer.component.takes_model]
        return {table: trainer if table == "train" else self.use(table) for table in tables}

    def use(self, table: str) -> Use:
        values = self.table(table)
        name = values.pop("use", default_components(self.plugins).get(table))
        if name is None:
            known = self.plugins.names(USING[table])
            msg = f"{self.where(table)}: key 'use' is missing\n  it names the {USING[table]}, one of: {listing(known)}"
            raise ConfigError(msg)
        own = parameters_of_table(table)
        others = {k: v for k, v in values.items() if k not in own}
        return self.component(USING[table], name, others, self.where(table), own)

    def component(
        self,
        kind: str,
        name: Any,
        values: dict[str, Any],
        where: Where,
        own: Mapping[str, Any] | None = None,
    ) -> Use:
        if not isinstance(name, str):
            msg = f"{where.at('use')}: key 'use': {name!r} is not the name of a {kind}"
            raise ConfigError(msg)
        if ":" in name:
            from modelyard.plugins.project_function import project_function

            found: Component = project_function(kind, self.project, name, where.at("use"))
        else:
            found = self.plugins.get(kind, name, where.at("use"))
        allowed = found.parameters
        unknown = [k for k in values if k not in allowed]
        if unknown:
            everything = {"use", *allowed, *(own or {})}
            msg = (
                f"{where.at(unknown[0])}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], everything)}\n"
                f"  the {kind} {name!r} takes: {listing(allowed)}; run `doit plugins {name}`"
            )
            raise ConfigError(msg)
        params = check_values(allowed, values, where)
        for key, parameter in allowed.items():
            if self.look_at_inputs and parameter.is_input and params[key] is not None:
                params[key] = self.input_path(params[key], parameter, where)
        use = Use(found, params)
        self.used.append((use, where))
        self.check_scripts(use, where)
        return use

    def check_scripts(self, use: Use, where: Where) -> None:
        for script in use.scripts if self.look_at_inputs else ():
            path = self.project / script
            if path.is_file() and path.resolve().is_relative_to(self.project):
                continue
            near = [one.name for one in path.parent.glob("*.py")]
            component = use.component
            msg = (
                f"{where}: the {component.kind} {component.name!r} runs {script!r}, which is no file of the project"
                f"{did_you_mean(path.name, near)}\n  write it, or name another, relative to {self.project}"
            )
            raise ConfigError(msg)

    def input_path(self, value: str, parameter: Parameter, where: Where) -> str:
        place = KeyPlace(where, parameter.name)
        try:
            path = self.project / Path(value).expanduser()
            near = None if path.exists() else [p.name for p in path.parent.glob("*")]
        except (OSError, RuntimeError, ValueError) as exc:  # a name that is too long, an unknown ~user, a null byte
            msg = f"{place}: {value!r} is not a path: {exc}"
            raise ConfigError(msg) from exc
        if near is not None:
            msg = f"{place}: there is no {value!r}{did_you_mean(path.name, near)}\n  {parameter.doc or path}"
            raise ConfigError(msg)
        return os.path.normpath(path)

    def check_name(self, what: str, name: str, where: Where) -> None:
        """Check a name that becomes a task's and a folder's."""
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?", name):
            msg = (
                f"{where}: {name!r} is not allowed as the name of a {what}\n"
                "  allowed: 1 to 100 lower-case letters, digits, dots and dashes, with a letter or digit at both ends"
            )
            raise ConfigError(msg)

    def variants(self) -> dict[str, tuple[Use, ...]]:
        found: dict[str, tuple[Use, ...]] = {}
        for name, steps in self.table("variants").items():
            where = self.where("variants").at(name)
            self.check_name("variant", name, where)
            if not isinstance(steps, list):
                msg = f'{where}: {name}: {steps!r} is not a list\n  write a chain of model optimizers, for instance {name} = ["int8"]'
                raise ConfigError(msg)
            chain = self.where("variants", name)
            found[name] = tuple(self.step(step, chain.at(number)) for number, step in enumerate(steps))
            self.origins[name] = ("variants",)
        for one in expand(self.table("matrix"), self.source):
            found[one.variant] = self.combination(one)
        if not found:
            msg = f'{self.where("variants")}: there is no variant\n  write at least one, for instance float32 = ["float32"]'
            raise ConfigError(msg)
        return found

    def combination(self, one: Combination) -> tuple[Use, ...]:
        """Return the chain of a variant that a matrix makes."""
        tables = ("matrix", one.matrix)
        where = self.where(*tables)
        self.check_name("variant", one.variant, where)
        if one.variant in self.origins:
            other = f"[tool.modelyard.{'.'.join(self.origins[one.variant])}]"
            msg = f"{where}: the variant {one.variant!r} is in {other}, too\n  give the matrix another name"
            raise ConfigError(msg)
        self.origins[one.variant] = tables
        try:
            return tuple(self.step(step, where.at("chain", n)) for n, step in enumerate(one.steps))
        except ConfigError as exc:
            msg = f"{exc}\n  {one.note}"
            raise ConfigError(msg) from exc

    def step(self, step: Any, where: Where) -> Use:
        values = {"use": step} if isinstance(step, str) else dict(step) if isinstance(step, dict) else {}
        if "use" not in values:
            msg = (
                f"{where}: {step!r} is not a step\n"
                '  write a model optimizer\'s name, or { use = "name", parameter = value }'
            )
            raise ConfigError(msg)
        name = values.pop("use")
        return self.component("optimizer", name, values, where)

    def target(self, name: str) -> Use:
        self.check_name("target", name, self.where("targets").at(name))
        self.table("targets", name)
        values = extended(self.table("targets"), name, self.where("targets"))
        return self.component("target", values.pop("use"), values, self.where("targets", name))

    def kind(self, name: str) -> Use:
        return self.component("kind", name, self.table(name), self.where(name))

    def resources(self) -> dict[str, int]:
        found = self.table("resources")
        for name, count in found.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                msg = f"{self.where('resources').at(name)}: key {name!r}: {count!r} is not allowed\n  allowed: a whole number from 1"
                raise ConfigError(msg)
        return found
