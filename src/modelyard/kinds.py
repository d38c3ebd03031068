"""The kinds of stage: a table with one row for each, which says all that the build has to know of a kind.

The rows below are the road from data to manifests. A plugin adds a row with `modelyard_register_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelyard.stage_settings import (
    CheckSettings,
    DatasetSettings,
    EvaluateSettings,
    ImageSettings,
    OptimizeSettings,
    RenderSettings,
    SelectSettings,
    TrainSettings,
)


class ShapingHook(msgspec.Struct, frozen=True):
    """A hook that stages of some kinds call, and that may change what they write.

    Attributes:
        name: the hook's name.
        by_version: whether the versions of the libraries that it stands on count; not for one that reads files whose
            format no version of a library changes.
    """

    name: str
    by_version: bool = True


AROUND = (ShapingHook("modelyard_before_stage_run"), ShapingHook("modelyard_after_stage_run"))
"""The hooks that stages of every kind call."""
_READS_MODEL_FILE = ShapingHook("modelyard_read_model_file", by_version=False)
"""One for all frameworks: with their versions, those of all of them would be in the key of each one's trainings."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        name: what the kind is called: the doit task, the folder below `artifacts`, the first half of a stage's id.
        title: what its stages do together, for a dodo.py that does not say it.
        doc: what one stage does, for `doit list`: a format of its settings, `name`, and its component's `summary`.
        runner: the module whose `run` runs a stage.
        settings: the struct that its stages' settings are; None: a mapping, of what JSON can hold.
        seeded: whether its stages draw random numbers.
        host_bound: whether it computes: its output depends on the machine and on how many threads there are; other
            stages make the same bytes anywhere.
        measures: whether it measures times or memory, so that it writes other bytes each time; others make the same
            bytes under the same key.
        packs_server: whether the files of the runtime's server count.
        many: whether it has many stages with one component, so that each says what it has of its own.
        hooks: the hooks that its stages call beside those around every stage.
        parts: the parts of its artifact that a later stage may depend on alone, each with the file that stands for it.
        calls: the roles of the components whose functions its stages call; None for all: the rest is asked what it is.
        lacks: `module:function` of what tells, for a stage, what it needs of the machine beside its components; or empty.
        coming: what a person waits for while it is not yet built, in `doit goes on with ...`; or empty.
    """

    name: str
    title: str
    doc: str
    runner: str
    settings: type[msgspec.Struct] | None = None
    seeded: bool = False
    host_bound: bool = False
    measures: bool = False
    packs_server: bool = False
    many: bool = False
    hooks: tuple[ShapingHook, ...] = ()
    parts: Mapping[str, str] = msgspec.field(default_factory=dict)
    calls: tuple[str, ...] | None = None
    lacks: str = ""
    coming: str = ""


_ROWS = (
    Kind(
        name="dataset",
        title="get the data set, check it, and write its splits",
        doc="{summary}",
        runner="modelyard.stages.dataset",
        settings=DatasetSettings,
        seeded=True,
        host_bound=True,
    ),
    Kind(
        name="train",
        title="train the model",
        doc="{summary}: {name}",
        runner="modelyard.stages.train",
        settings=TrainSettings,
        seeded=True,
        host_bound=True,
        hooks=(_READS_MODEL_FILE,),
    ),
    Kind(
        name="optimize",
        title="quantize, prune and convert: every step of every variant",
        doc="{summary}",
        runner="modelyard.stages.optimize",
        settings=OptimizeSettings,
        seeded=True,
        host_bound=True,
        many=True,
        hooks=(_READS_MODEL_FILE,),
    ),
    Kind(
        name="evaluate",
        title="measure every variant as it ships: quality, size, latency",
        doc="measure {name} on the test split, as it ships",
        runner="modelyard.stages.evaluate",
        settings=EvaluateSettings,
        host_bound=True,
        measures=True,
    ),
    Kind(
        name="select",
        title="pick the variant that ships, of those that meet every gate",
        doc="pick the variant that ships, of those that meet every gate: {rule}",
        runner="modelyard.stages.select",
        settings=SelectSettings,
        parts={"model": "model/model.json", "reference": "reference/answers.npy"},
    ),
    Kind(
        name="image",
        title="build the container image that serves the model",
        doc="{summary}: {repository}",
        runner="modelyard.stages.image",
        settings=ImageSettings,
        packs_server=True,
        parts={"image.json": "image.json"},
        calls=("builder",),
        coming="the image",
    ),
    Kind(
        name="check",
        title="start the image's server and compare its answers with the evaluated model",
        doc="start the image's server and compare its answers with the evaluated model",
        runner="modelyard.stages.check",
        settings=CheckSettings,
        measures=True,
        packs_server=True,
        calls=("task",),
        lacks="modelyard.launch.needs:lacks",
        coming="its check",
    ),
    Kind(
        name="render",
        title="render the manifests of every deploy target",
        doc="{summary}",
        runner="modelyard.stages.render",
        settings=RenderSettings,
        hooks=(ShapingHook("modelyard_amend_manifests"),),
        coming="what is deployed",
    ),
)

BUILT_IN: Mapping[str, Kind] = {row.name: row for row in _ROWS}
"""The kinds of every project by name, in the order of a build."""
