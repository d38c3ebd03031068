"""The pipeline that the tables below `[tool.modelyard]` say, each key checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from modelyard.component import PLACES, Component, Use
from modelyard.config import checks
from modelyard.config.chains import read_variants
from modelyard.config.config import Config, quantities
from modelyard.config.events import check_events, named_places
from modelyard.config.extending import extended
from modelyard.config.handlers import check_answer, check_runtime, requirements_file, with_requirements
from modelyard.config.keys import keys_of
from modelyard.config.measuring import checked_parts, read_bounds, read_gates, read_metric
from modelyard.config.names import check_name
from modelyard.config.outputs import WEIGHT, OutputTask, are_several, output_tasks
from modelyard.config.table_reader import TableReader
from modelyard.config.tables import (
    CROSS_VALIDATION,
    EXECUTOR,
    SIGNATURE,
    SOURCE,
    TABLES,
    TRAINED,
    USING,
    Events,
    Handlers,
    Image,
    Isa,
    Name,
    Seed,
    Settings,
    Threads,
)
from modelyard.config.training import Training
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.stage import THREADS
from modelyard.toml.places import KeyPlace, Where


class PipelineReader(TableReader):
    """Turns the raw table into a `Config`, or says what is wrong with it."""

    def config(self, packed_in: tuple[str, ...] = ()) -> Config:
        """Return what the tables say.

        Args:
            packed_in: the images that the model is in, if it has none of its own.

        Raises:
            ConfigError: something is wrong with them.
        """
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
            from modelyard.metrics.several import task_of  # most models have one output

            uses["task"] = Use(task_of({output: one.use.component for output, one in several.items()}), {})
        own: dict[str, Any] = {table: struct(**self.own(table)) for table, struct in TABLES.items() if table != "gates"}
        handlers: Handlers = own["handlers"]
        place = named_places(own[SOURCE], name)
        events = self.events(place, uses["runtime"].component) if SOURCE in self.raw else None
        metrics = {one: read_metric(self, one, uses["task"].component) for one in self.table("metrics")}
        folds = own[CROSS_VALIDATION]
        parts = checked_parts(self, own["evaluate"], uses, metrics, folds)
        measured = quantities(uses["task"].component, metrics, parts, folds)
        self.check_image(own["image"])
        seed, (variants, origins) = self.scalar("seed", Seed, 0), read_variants(self)
        config = Config(
            project=self.project,
            name=name,
            version=self.scalar("version", str, str(self.fallback.get("version", "0"))),
            seed=seed,
            threads=self.scalar("threads", Threads, THREADS),
            isa=self.scalar("isa", Isa, None),
            uses=uses,
            several={output: one.use for output, one in several.items()},
            loss_weights={output: one.weight for output, one in several.items()},
            settings=Settings(**{**own, SOURCE: place}, gates=read_bounds(self, measured)),
            before=self.handlers("before", handlers, uses["runtime"].component),
            after=self.handlers("after", handlers, uses["runtime"].component),
            events=events,
            executor=self.executor(own[EXECUTOR].kinds) if EXECUTOR in self.raw else None,
            signature=self.signature(uses["runtime"].component),
            metrics=metrics,
            gates=read_gates(self, measured),
            trainings=self.trainings(tuple(variants), seed),
            variants=variants,
            origins=origins,
            targets={name: self.target(name) for name in self.table("targets")},
            resources=self.resources(),
            kinds={name: self.kind(name) for name in self.plugins.of_kind("kind") if name in self.raw},
            source=self.source,
            pipeline=self.source.pipeline,
            project_name=project_name,
            packed_in=packed_in,
        )
        self.components.check_meaning(config)
        return config

    def signature(self, runtime: Component) -> dict[str, dict[str, Any]]:
        """What is said of the tensors in the model's file."""
        if not (tables := self.table(SIGNATURE)):
            return {}
        from modelyard.config.signature import check_signature  # most files say all there is

        return check_signature(tables, self.where(SIGNATURE), runtime)

    def several(self) -> dict[str, OutputTask]:
        """The tasks of several outputs; none where the project learns one."""
        table = self.table("task")
        if not are_several(table):
            return {}
        return output_tasks(
            table, self.where("task"), lambda own, where: self.take("task", own, where, more=(WEIGHT.name,))
        )

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
