"""The pipeline that the tables below `[tool.modelyard]` say, each key checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from modelyard.component import PLACES, Component, Use, check_values, kind_name
from modelyard.config import checks
from modelyard.config.config import Config, quantities
from modelyard.config.events import check_events, named_places
from modelyard.config.extending import extended
from modelyard.config.handlers import check_answer, check_runtime, requirements_file, with_requirements
from modelyard.config.keys import default_components, keys_of
from modelyard.config.matrix import Combination, expand
from modelyard.config.names import check_name
from modelyard.config.outputs import are_several, output_tasks
from modelyard.config.scalar import scalar
from modelyard.config.tables import (
    EXECUTOR,
    OPTIONAL,
    SIGNATURE,
    SOURCE,
    TABLES,
    TRAINED,
    USING,
    Evaluate,
    Events,
    Handlers,
    Image,
    Isa,
    Name,
    Seed,
    Settings,
    Threads,
    gate_parameters,
    parameters_of_table,
)
from modelyard.config.training import Training
from modelyard.config.uses import Uses
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.registered import quantities_of
from modelyard.metrics.several import task_of
from modelyard.metrics.sliced import on_sets, sliced
from modelyard.metrics.standard import STANDARD
from modelyard.plugins.load import Plugins
from modelyard.stage import THREADS
from modelyard.toml.places import ConfigSource, KeyPlace, Where


class PipelineReader:
    """Turns the raw table into a `Config`, or says what is wrong with it."""

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
        self.source, self.where, self.origins = source, source.where, dict[str, tuple[str, ...]]()
        self.components = Uses(project, plugins, look_at_inputs=look_at_inputs)

    def config(self) -> Config:
        keys = keys_of(self.plugins)
        for key in self.raw:
            if key not in keys:
                allowed = (*keys, "profiles")
                msg = f"{self.where().at(key)}: unknown key {key!r}{did_you_mean(key, allowed)}\n  allowed: {listing(allowed)}"
                raise ConfigError(msg)
        project_name = self.scalar("name", Name, self.default_name())
        name = self.source.pipeline or project_name
        several = self.several()
        uses = {table: self.use(table) for table in USING if table not in TRAINED and not (several and table == "task")}
        if several:
            uses["task"] = Use(task_of({output: use.component for output, use in several.items()}), {})
        own: dict[str, Any] = {table: struct(**self.own(table)) for table, struct in TABLES.items() if table != "gates"}
        handlers: Handlers = own["handlers"]
        place = named_places(own[SOURCE], name)
        events = self.events(place, uses["runtime"].component) if SOURCE in self.raw else None
        metrics = {one: self.metric(one, uses["task"].component) for one in self.table("metrics")}
        measured = quantities(uses["task"].component, metrics, self.parts(own["evaluate"], uses, metrics))
        self.check_image(own["image"])
        seed, variants = self.scalar("seed", Seed, 0), self.variants()
        config = Config(
            project=self.project,
            name=name,
            version=self.scalar("version", str, str(self.fallback.get("version", "0"))),
            seed=seed,
            threads=self.scalar("threads", Threads, THREADS),
            isa=self.scalar("isa", Isa, None),
            uses=uses,
            several=several,
            settings=Settings(**{**own, SOURCE: place}, gates=self.bounds(measured)),
            before=self.handlers("before", handlers, uses["runtime"].component),
            after=self.handlers("after", handlers, uses["runtime"].component),
            events=events,
            executor=self.executor(own[EXECUTOR].kinds) if EXECUTOR in self.raw else None,
            signature=self.signature(uses["runtime"].component),
            metrics=metrics,
            gates=self.gates(measured),
            trainings=self.trainings(tuple(variants), seed),
            variants=variants,
            origins=self.origins,
            targets={name: self.target(name) for name in self.table("targets")},
            resources=self.resources(),
            kinds={name: self.kind(name) for name in self.plugins.of_kind("kind") if name in self.raw},
            source=self.source,
            pipeline=self.source.pipeline,
            project_name=project_name,
        )
        self.components.check_meaning(config)
        return config

    def signature(self, runtime: Component) -> dict[str, dict[str, Any]]:
        """What is said of the tensors in the model's file."""
        if not (tables := self.table(SIGNATURE)):
            return {}
        from modelyard.config.signature import check_signature  # most files say all there is

        return check_signature(tables, self.where(SIGNATURE), runtime)

    def several(self) -> dict[str, Use]:
        """The tasks of several outputs; none where the project learns one."""
        table = self.table("task")
        if not are_several(table):
            return {}
        return output_tasks(table, self.where("task"), lambda own, where: self.take("task", own, where))

    def default_name(self) -> str:
        name = str(self.fallback.get("name", self.project.name)).lower()
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:52].strip("-") or "project"

    def scalar(self, key: str, kind: Any, default: Any) -> Any:
        return scalar(key, self.raw.get(key, default), kind, self.where())

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
        if table in USING or table in OPTIONAL:
            values = {k: v for k, v in values.items() if k in parameters}
        return check_values(parameters, values, self.where(table))

    def metric(self, name: str, task: Component) -> Use:
        """A metric of a plugin's; it has a name of its own, by which gates call it."""
        where = self.where("metrics").at(name)
        taken = [one.name for one in (*quantities_of(task), *STANDARD)]
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", name) or name.replace("-", "_") in taken:
            msg = (
                f"{where}: {name!r} is not allowed as the name of a metric\n"
                f"  allowed: lower-case letters, digits and dashes, but for what is always measured: {listing(taken)}"
            )
            raise ConfigError(msg)
        values = self.table("metrics", name)
        return self.components.take("metric", values.pop("use", name), values, self.where("metrics", name))

    def parts(self, settings: Evaluate, uses: Mapping[str, Use], metrics: Mapping[str, Use]) -> Evaluate:
        """The test sets, and the columns of the test split, that are measured; what is called by them must be called so by nothing else."""
        task = quantities_of(uses["task"].component)
        known = quantities(uses["task"].component, metrics, Evaluate())
        taken = {*gates_of(known), *(one.name for one in known)}
        for key, names, of, what in (
            ("test_sets", settings.test_sets, on_sets, "test set"),
            ("slices", settings.slices, sliced, "column"),
        ):
            for number, name in enumerate(names):
                own = of(task, [name])
                made = {*gates_of(own), *(one.name for one in own)}
                if taken & made:
                    why = "is there twice" if name in names[:number] else "makes names that there are already"
                    msg = f"{KeyPlace(self.where('evaluate'), key)}: {name!r} {why}\n  call the {what} of the data set something else"
                    raise ConfigError(msg)
                taken |= made
        return settings

    def bounds(self, measured: Sequence[Quantity]) -> dict[str, Any]:
        """The gates that bound a metric, whose units are checked now: not only when every variant has been measured."""
        where, gates = self.where("gates"), gates_of(measured)
        parameters = gate_parameters(measured) | parameters_of_table("gates")
        values = check_values(parameters, self.without_tables(parameters), where)
        for key, gate in gates.items():
            if values[key] is not None:
                gate.parse(values[key], KeyPlace(where, key))
        return values

    def without_tables(self, known: Collection[str]) -> dict[str, Any]:
        """What `[tool.modelyard.gates]` holds beside the tables, which are gates of plugins."""
        return {key: v for key, v in self.table("gates").items() if key in known or not isinstance(v, dict)}

    def gates(self, measured: Sequence[Quantity]) -> dict[str, Use]:
        """The gates of plugins: the tables in `[tool.modelyard.gates]`."""
        bounds = {*gate_parameters(measured), *parameters_of_table("gates")}
        return {name: self.gate(name) for name in self.table("gates") if name not in self.without_tables(bounds)}

    def gate(self, name: str) -> Use:
        values = self.table("gates", name)
        return self.components.take("gate", values.pop("use", name), values, self.where("gates", name))

    def check_image(self, image: Image) -> None:
        """Check that every registry takes the image's name."""
        if not (image.repository or image.tag):
            return
        from modelyard.oci.reference import repository_problem, tag_problem

        for key, rule in {"repository": repository_problem, "tag": tag_problem}.items():
            if (value := getattr(image, key)) and (problem := rule(value)):
                raise ConfigError(checks.told(problem, value, self.where("image")))

    def trainings(self, variants: Sequence[str], seed: int) -> dict[str, Training]:
        """The trainings by name: those of `[tool.modelyard.trainings]`, or the only one, whose name is empty."""
        if not self.table("trainings"):
            tables, where = self.trained_tables(), {table: self.where(table) for table in TRAINED}
            uses = self.training_uses(tables, where, is_asked="model" in self.raw)
            return {"": Training(uses=uses, seed=seed, variants=tuple(variants), where=where)}
        from modelyard.config.several import several  # most projects have one

        found = several(self.raw, self.source, self.plugins, self.training_uses, variants, seed)
        return {one.name: one for one in found}

    def trained_tables(self) -> dict[str, dict[str, Any]]:
        """The tables of a training as they are, whatever is laid over them."""
        return {table: self.table(table) for table in TRAINED if table in self.raw}

    def training_uses(
        self, tables: Mapping[str, Mapping[str, Any]], where: Mapping[str, Where], *, is_asked: bool
    ) -> dict[str, Use]:
        """The components of one training; `is_asked`: the project wants a model of its own to be trained."""
        trainer = self.take("train", tables.get("train", {}), where["train"])
        if trainer.component.takes_model:
            return {"model": self.take("model", tables.get("model", {}), where["model"]), "train": trainer}
        if is_asked:
            msg = (
                f"{where['model']}: the trainer {trainer.component.name!r} brings the model, and trains none of the project's\n"
                "  remove the table, or choose another trainer in [tool.modelyard.train]"
            )
            raise ConfigError(msg)
        return {"train": trainer}

    def use(self, table: str, checked: Mapping[str, Any] | None = None) -> Use:
        return self.take(table, self.table(table), self.where(table), checked)

    def take(self, table: str, given: Mapping[str, Any], where: Where, checked: Mapping[str, Any] | None = None) -> Use:
        """The component that the values of `table` choose."""
        kind, values = {**USING, **OPTIONAL}[table], dict(given)
        name = values.pop("use", default_components(self.plugins).get(table))
        if name is None:
            known = self.plugins.names(kind)
            msg = f"{where}: key 'use' is missing\n  it names the {kind}, one of: {listing(known)}"
            raise ConfigError(msg)
        own = parameters_of_table(table)
        others = {k: v for k, v in values.items() if k not in own}
        return self.components.take(kind, name, others, where, own, checked)

    def events(self, place: Events, runtime: Component) -> Use:
        """The source of events, which checks where the events come from and go to, too."""
        use = self.use(SOURCE, {key: getattr(place, key) for key in PLACES})
        check_events(use.component, place, runtime, self.where(SOURCE))
        return use

    def handlers(self, side: Literal["before", "after"], settings: Handlers, runtime: Component) -> tuple[Use, ...]:
        """The handlers on one side of the model."""
        where, steps = self.where("handlers"), getattr(settings, side)
        if steps:
            check_runtime(runtime, where)
        check_answer(settings, where)
        file = requirements_file(self.project, settings.requirements, where)
        found = (self.step(step, where.at(side, number), "handler") for number, step in enumerate(steps))
        return tuple(with_requirements(one, file) for one in found)

    def executor(self, kinds: Sequence[str]) -> Use:
        """The executor; which kinds of stage run there is checked, too."""
        known = [row.name for row in self.plugins.kinds.values() if row.host_bound]
        for kind in kinds:
            if kind not in known:
                why = (
                    "its stages do not compute, and run here"
                    if kind in self.plugins.kinds
                    else "there is no such kind of stage"
                )
                where = KeyPlace(self.where(EXECUTOR), "kinds")
                msg = f"{where}: {kind!r} is not allowed: {why}{did_you_mean(kind, known)}\n  allowed: {listing(known)}"
                raise ConfigError(msg)
        return self.use(EXECUTOR)

    def variants(self) -> dict[str, tuple[Use, ...]]:
        found: dict[str, tuple[Use, ...]] = {}
        for name, steps in self.table("variants").items():
            where = self.where("variants").at(name)
            check_name("variant", name, where)
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
        check_name("variant", one.variant, where)
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

    def step(self, step: Any, where: Where, kind: str = "optimizer") -> Use:
        """One link of a chain: a component's name, or a table with `use`."""
        values = {"use": step} if isinstance(step, str) else dict(step) if isinstance(step, dict) else {}
        if "use" not in values:
            msg = (
                f"{where}: {step!r} is not a step\n"
                f'  write a {kind_name(kind)}\'s name, or {{ use = "name", parameter = value }}'
            )
            raise ConfigError(msg)
        name = values.pop("use")
        return self.components.take(kind, name, values, where)

    def target(self, name: str) -> Use:
        check_name("target", name, self.where("targets").at(name))
        self.table("targets", name)
        values = extended(self.table("targets"), name, self.where("targets"))
        return self.components.take("target", values.pop("use"), values, self.where("targets", name))

    def kind(self, name: str) -> Use:
        return self.components.take("kind", name, self.table(name), self.where(name))

    def resources(self) -> dict[str, int]:
        found = self.table("resources")
        for name, count in found.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                msg = f"{self.where('resources').at(name)}: key {name!r}: {count!r} is not allowed\n  allowed: a whole number from 1"
                raise ConfigError(msg)
        return found
