"""A project's pipeline as `[tool.modelyard]` says it: the components with their parameters, and modelyard's own values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.component import Component, Use
from modelyard.config.tables import CrossValidation, Evaluate, Settings
from modelyard.config.training import Training
from modelyard.metrics import Quantity
from modelyard.metrics.registered import quantities_of, quantity_of
from modelyard.metrics.sliced import on_sets, over_folds, sliced
from modelyard.metrics.standard import STANDARD
from modelyard.tensors import Loss
from modelyard.toml.places import ConfigSource, Where


class PackedModel(msgspec.Struct, frozen=True):
    """A model in an image that serves the models of pipelines.

    Attributes:
        config: the pipeline that gives it.
        name: its name in the URLs.
        version: its version there.
    """

    config: Config
    name: str
    version: int

    @property
    def key(self) -> str:
        """What tells it from the others of the image in the roles of a stage."""
        return f"{self.name}.{self.version}"


class Config(msgspec.Struct, frozen=True):
    """A project's pipeline, or one of its images that serve the models of pipelines.

    Attributes:
        project: the project's folder, absolute.
        name: the project's name, a DNS label; of several pipelines, the pipeline's.
        version: the project's version.
        seed: the seed of every random generator.
        threads: how many threads each stage computes with.
        isa: the instruction set that stages use at most; None: what the processor has.
        uses: the component of each table in `USING` but those of a training.
        settings: modelyard's own values, by table.
        trainings: the trainings by name; the only one's is empty where the project names none.
        variants: for each variant, its chain of model optimizers; those of `[tool.modelyard.variants]` come first.
        targets: for each deploy target, its component.
        resources: how many stages may hold each named resource at once.
        source: what it was read from, for messages.
        origins: the table that each variant comes from: `("variants",)` or `("matrix", NAME)`.
        target_names: what the stages of all targets are called, of all profiles and pipelines.
        before: the handlers before the model, in the order in which they run.
        after: the handlers after it.
        events: the source of events that the server answers; None: of none.
        metrics: the plugins' metrics that are measured beside those of every evaluation, by name.
        executor: what runs stages that compute; None: this machine.
        pipeline: which of several pipelines it is; empty: the project has but one.
        project_name: the project's name, which is also `name` where there is but one pipeline.
        others: the project's other pipelines, then its images of several models, in that of the first one.
        models: what an image serves that is said apart from pipelines; empty: this is a pipeline.
        packed_in: the names of the images that its model is in, so that it has none of its own.
        signature: what is said of tensors by what the model's file calls them, see `config.signature`.
        gates: the plugins' gates that variants must pass beside the bounds in `settings`, by name.
        several: the task of each output by its name, where several outputs count; `uses` has them as one, too.
        loss_weights: what the loss of each of them counts in their sum; 0: nothing is learnt for it.
        kinds: for each kind of stage that a plugin registered and the project asks for, its component.
    """

    project: Path
    name: str
    version: str
    seed: int
    threads: int
    isa: str | None
    uses: dict[str, Use]
    settings: Settings
    trainings: dict[str, Training]
    variants: dict[str, tuple[Use, ...]]
    targets: dict[str, Use]
    resources: dict[str, int]
    source: ConfigSource = ConfigSource()
    origins: dict[str, tuple[str, ...]] = {}
    target_names: frozenset[str] = frozenset()
    kinds: dict[str, Use] = {}
    several: dict[str, Use] = {}
    loss_weights: dict[str, float] = {}
    metrics: dict[str, Use] = {}
    gates: dict[str, Use] = {}
    before: tuple[Use, ...] = ()
    after: tuple[Use, ...] = ()
    events: Use | None = None
    executor: Use | None = None
    pipeline: str = ""
    project_name: str = ""
    others: tuple[Config, ...] = ()
    signature: Mapping[str, Mapping[str, Any]] = {}
    models: tuple[PackedModel, ...] = ()
    packed_in: tuple[str, ...] = ()

    @property
    def pipelines(self) -> tuple[Config, ...]:
        """All pipelines of the project, where this is the first one, and behind them its images of several models."""
        return (self, *self.others)

    def of(self, pipeline: str) -> Config:
        """Return the pipeline, or image, called so; this one where there is none, for stages that plugins made for none."""
        return next((one for one in self.others if one.pipeline == pipeline), self)

    def called(self, name: str) -> str:
        """Return what a stage is called that is `name` in this pipeline: `PIPELINE.NAME` where there are several."""
        return f"{self.pipeline}.{name}" if self.pipeline else name

    @property
    def training(self) -> Training:
        """The only training, or the first one."""
        return next(iter(self.trainings.values()))

    @property
    def measured(self) -> tuple[str, ...]:
        """The variants of all trainings by their full names, in the order of the configuration."""
        return tuple(one.full(variant) for one in self.trainings.values() for variant in one.variants)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is measured of every variant."""
        settings = self.settings
        return quantities(self.uses["task"].component, self.metrics, settings.evaluate, settings.cross_validation)

    @property
    def tasks(self) -> dict[str, Use]:
        """What is learnt, by role: `task`; or where several outputs count, `task:OUTPUT` for each."""
        return {f"task:{name}": use for name, use in self.several.items()} or {"task": self.uses["task"]}

    @property
    def losses(self) -> dict[str, Loss]:
        """What training makes small for each of several outputs that is learnt; empty where there is one output."""
        return {name: use.component.loss for name, use in self.several.items() if self.loss_weights[name]}

    @property
    def handlers(self) -> dict[str, Use]:
        """What stands around the model, by role: `before:1`, `after:1` ...; around several, `before:1:NAME.VERSION`."""
        sides = {"before": self.before, "after": self.after}
        own = {f"{side}:{number}": use for side, uses in sides.items() for number, use in enumerate(uses, 1)}
        return own | {f"{role}:{one.key}": use for one in self.models for role, use in one.config.handlers.items()}

    @property
    def every_use(self) -> Iterator[Use]:
        """Yield each component that the configuration names, with its parameters, whatever its kind."""
        yield from (use for training in self.trainings.values() for use in training.uses.values())
        yield from (step for chain in self.variants.values() for step in chain)
        for named in (self.uses, self.several, self.metrics, self.gates, self.targets, self.kinds):
            yield from named.values()
        yield from (*self.before, *self.after, *filter(None, (self.events, self.executor)))

    def where_variant(self, variant: str) -> Where:
        """Return the place of a variant, for messages."""
        table = self.origins.get(variant, ("variants",))
        where = self.source.where(*table)
        return where.at(variant) if table == ("variants",) else where


def quantities(
    task: Component, metrics: Mapping[str, Use], settings: Evaluate, folds: CrossValidation
) -> tuple[Quantity, ...]:
    """Return what is measured: what the task does, also on further test sets, by slices and over folds, the sizes and times, and `metrics` of plugins."""
    own = tuple(quantity_of(name, use.component) for name, use in metrics.items())
    known = quantities_of(task)
    means = over_folds((*known, *own)) if folds.measures_all else ()
    return (*known, *on_sets(known, settings.test_sets), *sliced(known, settings.slices), *means, *STANDARD, *own)
