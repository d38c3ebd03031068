"""The settings of the stages of each kind: modelyard's own values, beside components, inputs and seed.

Each kind's row in `modelyard.kinds` names one of these structs. A field that has a default counts in the action key, and is
in it, only where it is not at that default: so a project does not pay for what it does not use. Such a default is None, an empty
text or an empty container: msgspec tells others by their identity, so that an equal number might count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Normalize = Literal["auto", "unit", "standard", "none"]
"""How samples are brought to a range that models learn well from; see `[tool.modelyard.dataset]`."""


class StageSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the settings of modelyard's own kinds have in common."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that belong together and count one by one, each with the group's name in front: `events_input`."""


class HeldOut(msgspec.Struct, frozen=True):
    """A fold of a cross-validation: the part of the training split that its data set holds out to be measured on.

    Attributes:
        folds: how many parts there are, 2 or more.
        fold: which of them it is, from 0.
    """

    folds: int
    fold: int


class DatasetSettings(StageSettings, frozen=True, kw_only=True):
    """Of `dataset`.

    Attributes:
        normalize: how samples are brought to a range.
        outputs: the tensors of the model that handlers after it take, where that is not the task's answer alone.
        answer: the tensor that the task measures, where a handler gives it.
        fold: what it holds out, of a cross-validation; None: it is the project's data set as it is.
    """

    normalize: Normalize
    outputs: list[str] = []
    answer: str = ""
    fold: HeldOut | None = None


class TrainSettings(StageSettings, frozen=True, kw_only=True):
    """Of `train`.

    Attributes:
        loss_weights: where several outputs are learnt, what the loss of each counts in their sum.
        signature: what the project says of the tensors in the model's file, see `config.signature`.
    """

    loss_weights: Mapping[str, float] = {}
    signature: Mapping[str, Mapping[str, Any]] = {}


class OptimizeSettings(StageSettings, frozen=True, kw_only=True):
    """Of `optimize`.

    Attributes:
        loss_weights: as in `TrainSettings`, for a step that trains further.
    """

    loss_weights: Mapping[str, float] = {}


class EvaluateSettings(StageSettings, frozen=True, kw_only=True):
    """Of `evaluate`, as `[tool.modelyard.evaluate]` says; a fold is measured with one call, on no further test set.

    Attributes:
        batch_size: samples a call when answers are measured.
        latency_samples: calls with one sample that are timed.
        warmup: calls with one sample before those.
        workers: predictors that answer side by side; None: as many as there are CPUs, and memory for.
        test_sets: further test sets.
        slices: columns of the test split, or `SET.COLUMN` of one of `test_sets`.
    """

    batch_size: int
    latency_samples: int
    warmup: int
    workers: int | None
    test_sets: list[str]
    slices: list[str]


class Lineage(msgspec.Struct, frozen=True):
    """The training of a variant, in a project with several trainings.

    Attributes:
        training: the training's name.
        baseline: the variant of the same training that relative bounds and latency ratios compare with.
        over_seeds: what the variants have in common that differ in the seed of their training alone; empty: there are
            no others.
    """

    training: str
    baseline: str
    over_seeds: str = ""


class SelectSettings(StageSettings, frozen=True, kw_only=True):
    """Of `select`.

    Attributes:
        rule: how the variant that ships is picked; empty in a report on a plan that picks none.
        gates: the bounds that are set and how they are judged, by key of `[tool.modelyard.gates]`.
        baseline: the variant that relative bounds and latency ratios compare with.
        trained_alike: for variants that were trained on, the baseline that was trained as long.
        trained_unlike: why there is no such baseline, for those that have none.
        controls: the variants that are there for this comparison alone.
        lineages: the training of each variant; empty in a project with one training.
    """

    rule: str
    gates: Mapping[str, float | str]
    baseline: str
    trained_alike: Mapping[str, str]
    trained_unlike: Mapping[str, str]
    controls: list[str]
    lineages: Mapping[str, Lineage] = {}


class ModelName(msgspec.Struct, frozen=True, kw_only=True):
    """One of several models of an image: its name in the URLs, and its version there."""

    name: str
    version: int


class CheckedModel(ModelName, frozen=True, kw_only=True):
    """One of several models of an image, and how closely it is looked at: see `CheckSettings`."""

    samples: int
    tolerance: float


class DeliverySettings(StageSettings, frozen=True, kw_only=True):
    """Of the stages that make, check and deploy an image.

    Attributes:
        models: its models by what the roles of the stage call each, `NAME.VERSION`; empty: it has but one.
    """

    models: Mapping[str, ModelName] = {}


class ServerEvents(Group, frozen=True, kw_only=True):
    """What a server is told of the events that it answers, but for the broker, which is another wherever it runs.

    `[tool.modelyard.events]` says what each is; times are in seconds.
    """

    input: str
    output: str
    dead_letter: str
    group: str
    order: str
    attempts: int
    retry_s: float
    ack_wait_s: float
    max_in_flight: int


class ServerSettings(DeliverySettings, frozen=True, kw_only=True):
    """What is known of a server before it runs.

    Attributes:
        name: the name of its only model in the URLs; of several, that of the server.
        port: the port that it listens on.
        events: of the events that it answers; None: it answers none.
    """

    name: str
    port: int
    events: ServerEvents | None = None


class ImageSettings(ServerSettings, frozen=True, kw_only=True):
    """Of `image`.

    Attributes:
        version: the project's version, for the image's labels.
        repository: what the image is called.
        tag: its tag; empty: the digest of the model.
    """

    version: str
    repository: str
    tag: str


class CheckSettings(DeliverySettings, frozen=True, kw_only=True):
    """Of `check`.

    Attributes:
        start: whether the image's server is started.
        events: whether it must answer events of a real broker; `auto`: where the broker's program is found.
        timeout_s: how long it may take to be ready, in seconds.
        samples: how many samples are compared, of the only model; None: each of several has its own.
        tolerance: by how much an answer may differ, of the only model; None: each of several has its own.
    """

    start: bool
    events: bool | Literal["auto"]
    timeout_s: float
    samples: int | None = None
    tolerance: float | None = None
    models: Mapping[str, CheckedModel] = {}

    def closeness(self, key: str) -> tuple[int, float]:
        """Return how many samples of a model are compared, and by how much an answer may differ; `key` is empty for the only one."""
        samples, tolerance = (
            (self.models[key].samples, self.models[key].tolerance) if key else (self.samples, self.tolerance)
        )
        assert samples is not None
        assert tolerance is not None
        return samples, tolerance


class RenderSettings(DeliverySettings, frozen=True, kw_only=True):
    """Of `render`: name and version of the project, for what is deployed."""

    name: str
    version: str


def by_name(settings: msgspec.Struct | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings by name, as JSON holds them: what is in an action key, and what a template is given."""
    if not isinstance(settings, msgspec.Struct):
        return settings
    found: dict[str, Any] = msgspec.to_builtins(settings)
    for name in settings.__struct_fields__:
        if isinstance(getattr(settings, name), Group):
            found |= {f"{name}_{key}": value for key, value in found.pop(name).items()}
    return found
