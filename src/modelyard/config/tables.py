"""What `[tool.modelyard]` may hold, and the tables that are modelyard's own: each key with its type and default.

Tables with `use = "..."` hold a component's parameters too; those come from the component.

Annotations are evaluated here at once, not kept as text: msgspec compiles each text, in every `doit`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from modelyard.component import Parameter, default_of
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.params import NonNegativeInt, Port, PositiveFloat, PositiveInt
from modelyard.stage_settings import Normalize, ServerEvents

SCALARS = ("name", "version", "seed", "threads", "isa")
"""The keys that are no tables."""
USING = {
    "dataset": "dataset",
    "task": "task",
    "model": "model",
    "train": "trainer",
    "runtime": "runtime",
    "image": "builder",
}
"""The tables that choose one component with `use`, and the kind of that component."""
TRAINED = ("model", "train")
"""Those of them that `[tool.modelyard.trainings]` lays tables over."""
TRAININGS = "trainings"
"""The table of trainings, where there are several."""
SOURCE = "events"
"""The table that chooses a source of events with `use`."""
EXECUTOR = "executor"
"""The table that chooses where stages run with `use`."""
OPTIONAL = {SOURCE: "source", EXECUTOR: "executor"}
"""Tables as those of `USING` that stand only in projects which want what they are for."""
CROSS_VALIDATION = "cross_validation"
"""The table of how trainings are measured on parts of the training split."""
PLAIN = (
    "handlers",
    "evaluate",
    CROSS_VALIDATION,
    "select",
    "gates",
    "check",
    "serve",
    "push",
    "export",
    "store",
    "reads",
)
"""The tables that hold nothing but modelyard's own keys."""
SIGNATURE = "signature"
"""The table of tensors, by what the model's file calls them."""
PIPELINES = "pipelines"
"""The table of pipelines, where there are several."""
IMAGES = "images"
"""The table of images that serve the models of pipelines."""
GROUPS = (TRAININGS, SIGNATURE, "variants", "matrix", "metrics", "targets", "resources", PIPELINES, IMAGES)
"""The tables whose keys are names that the project chooses, or its model's."""
WHOLE = ("name", "resources", EXECUTOR, "store", "reads", PIPELINES, IMAGES)
"""What is the project's alone, and no pipeline's: a pipeline is called as its table is."""
DELIVERED = ("image", "check", "serve", "push", "export", "targets")
"""What concerns an image and what runs it, so that each of `[tool.modelyard.images]` has such tables of its own."""
KEYS = (*SCALARS, *USING, *OPTIONAL, *PLAIN, *GROUPS)
"""What there may be in every project; the kinds of stage that plugins registered have tables of their name besides."""

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?\Z",
        description="1 to 52 lower-case letters, digits and dashes, not starting or ending with a dash",
    ),
]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32, description="a whole number from 0 to 4294967295")]
"""What numpy and TensorFlow take as a seed: an unsigned number of 32 bits."""
Threads = Annotated[int, msgspec.Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]
"""How many threads one computation may use."""
Isa = Annotated[Literal["avx2"] | None, msgspec.Meta(description="'avx2', or leave it out")]
"""The instructions that computations may use at most; None: all that the processor has."""


class Dataset(msgspec.Struct):
    """`[tool.modelyard.dataset]`, beside the data set's own parameters."""

    normalize: Normalize = "auto"


TestSet = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]{0,30}\Z", description="a lower-case letter, then letters, digits and underscores"
    ),
]
"""What a data set calls a further test set."""


Slice = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([a-z][a-z0-9_]{0,30}\.)?[a-z][a-z0-9_]{0,30}\Z",
        description="a lower-case letter, then letters, digits and underscores; of a further test set its name and a dot before that",
    ),
]
"""What a data set calls a column of its test split, or `SET.COLUMN`, one of a further test set."""


class Evaluate(msgspec.Struct):
    """`[tool.modelyard.evaluate]`: how every variant is measured.

    Attributes:
        batch_size: samples a call when answers are measured.
        latency_samples: calls with one sample that are timed.
        warmup: calls with one sample before those.
        workers: models that answer side by side; None: as many as there are CPUs, and memory for.
        test_sets: further test sets of the data set, on each of which every metric of the task is measured, too.
        slices: columns of the test split, or `SET.COLUMN` of one of `test_sets`, of each of whose values every metric of the
            task is measured, too.
    """

    batch_size: PositiveInt = 256
    latency_samples: PositiveInt = 400
    warmup: NonNegativeInt = 20
    workers: PositiveInt | None = None
    test_sets: list[TestSet] = []
    slices: list[Slice] = []


class CrossValidation(msgspec.Struct):
    """`[tool.modelyard.cross_validation]`: each training once more for each fold, measured on what that fold holds out.

    Attributes:
        folds: how many parts the training split falls into; None: there is no cross-validation.
        variants: the variants that are measured so, or patterns of their names, beside the baseline; empty: all of them.
    """

    folds: Annotated[int, msgspec.Meta(ge=2, le=100, description="a whole number from 2 to 100")] | None = None
    variants: list[str] = []

    @property
    def measures_all(self) -> bool:
        """Whether every variant is measured on every fold, so that gates and rules may look at the means."""
        return self.folds is not None and not self.variants


class Select(msgspec.Struct):
    """`[tool.modelyard.select]`: which variant is shipped, of those that meet every gate."""

    rule: str = "smallest"
    baseline: str = ""


class Gates(msgspec.Struct):
    """`[tool.modelyard.gates]`, beside the gates themselves, which the metrics make: see `metrics.gating`."""

    undecided: Literal["measured", "pass", "fail"] = "measured"
    equal_training: bool = True


class Image(msgspec.Struct):
    """`[tool.modelyard.image]`, beside the builder's own parameters. `tag` is the model's digest when left out."""

    repository: str = ""
    tag: str = ""


class Check(msgspec.Struct):
    """`[tool.modelyard.check]`: how the image is compared with the evaluated model before anything is rendered.

    With `start = false` the image's server is not started, and the result says so: for machines that cannot run it. `events`
    is whether a server that takes events of a broker must answer those of a real one: `auto`, where its program is found.
    """

    start: bool = True
    events: bool | Literal["auto"] = "auto"
    samples: PositiveInt = 32
    tolerance: PositiveFloat = 1e-4
    timeout_s: PositiveFloat = 120.0


class Serve(msgspec.Struct):
    """`[tool.modelyard.serve]`: what the server listens on, in the image and under `doit serve`."""

    port: Port = 8080
    host: str = "127.0.0.1"


class Handlers(msgspec.Struct):
    """`[tool.modelyard.handlers]`: what stands around the model, wherever it is asked: text or pictures in, names or boxes out.

    Attributes:
        before: the handlers that make what the model takes of what a client sends, in order: names, or tables with `use`.
        after: those that make what a client gets of what the model answers.
        requirements: what the project's own handlers need in the image, a pip requirements file, every line pinned with
            hashes; empty: nothing but what the server has.
        outputs: the tensors of the model that those after it take, where that is not the task's answer alone.
        answer: the tensor that the task measures, where a handler gives it.
    """

    before: list[Any] = []
    after: list[Any] = []
    requirements: str = ""
    outputs: list[str] = []
    answer: str = ""


Stream = Annotated[
    str, msgspec.Meta(pattern=r"^[!-~]{0,200}\Z", description="up to 200 printable characters, no spaces")
]
"""What a broker calls a place of events: a subject, a key, a topic, a queue."""


class Events(msgspec.Struct):
    """`[tool.modelyard.events]`, beside the source's own parameters: events of a broker that the server answers.

    Attributes:
        input: where the events are: a subject, a stream; empty: the project's name and `.in`.
        output: where their answers go to; empty: the project's name and `.out`.
        dead_letter: where to put what cannot be answered; empty: that of `input` and `.dead`.
        group: the name that all servers have in common that share the work; empty: the project's name.
        url: the broker of `doit serve`; empty: `MODELYARD_EVENTS_URL` says it, or there is none.
        order: `none`, or `key`: events with the same `partitionkey` are answered one after another.
        attempts: how often an event is tried that the model fails on, or that its server does not survive.
        retry_s: how long it rests after the first time, in seconds; each time twice as long.
        ack_wait_s: after how many seconds an event whose server says nothing more is handed to another.
        max_in_flight: events that one worker holds at a time.
    """

    input: Stream = ""
    output: Stream = ""
    dead_letter: Stream = ""
    group: Stream = ""
    url: str = ""
    order: Literal["none", "key"] = "none"
    attempts: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a whole number from 1 to 1000")] = 5
    retry_s: PositiveFloat = 1.0
    ack_wait_s: Annotated[float, msgspec.Meta(ge=1, le=3600, description="seconds, 1 to 3600")] = 30.0
    max_in_flight: Annotated[int, msgspec.Meta(ge=1, le=10000, description="a whole number from 1 to 10000")] = 64

    def of_server(self) -> ServerEvents:
        """Return what the server is told of them: all but the broker."""
        return ServerEvents(
            input=self.input,
            output=self.output,
            dead_letter=self.dead_letter,
            group=self.group,
            order=self.order,
            attempts=self.attempts,
            retry_s=self.retry_s,
            ack_wait_s=self.ack_wait_s,
            max_in_flight=self.max_in_flight,
        )


class Executor(msgspec.Struct):
    """`[tool.modelyard.executor]`, beside the executor's own parameters: which stages run there, and not here.

    Attributes:
        kinds: the kinds of stage that do, of those that compute; empty: all of them.
        retries: how often a stage is tried again whose machine went away before it ended.
    """

    kinds: list[str] = []
    retries: NonNegativeInt = 2


class Push(msgspec.Struct):
    """`[tool.modelyard.push]`: `insecure` allows plain http to a registry that is not on this machine."""

    insecure: bool = False


class Export(msgspec.Struct):
    """`[tool.modelyard.export]`: the folder, below the project's or absolute, that `doit export` writes to, one folder a target."""

    folder: Annotated[str, msgspec.Meta(min_length=1, description="a folder")] = "deploy"


class Store(msgspec.Struct):
    """`[tool.modelyard.store]`: where artifacts are kept for reuse; `path` may be shared by several projects.

    Attributes:
        path: the store's folder, below the project's or absolute.
        wait: whether to wait for another build that makes the same stage; otherwise that is an error.
        remote: a store that several machines share, as an fsspec URL; empty for none.
        mode: whether results are taken from the remote and given to it, only taken, or neither.
        timeout_s: how long the remote may take to answer, in seconds; each MB of a transfer adds one.
        options: what fsspec's file system takes, for instance `{ endpoint_url = "https://..." }`; no secrets.
    """

    path: str = ".modelyard/store"
    wait: bool = True
    remote: str = ""
    mode: Literal["read-write", "read-only", "off"] = "read-write"
    timeout_s: PositiveFloat = 20.0
    options: dict[str, Any] = {}


class Reads(msgspec.Struct):
    """`[tool.modelyard.reads]`: what a stage may read of the project beside what its key is made of.

    Attributes:
        undeclared: what becomes of a file of the project, or of a variable that its code asks for, that does not count:
            the stage fails and says so (`error`); it counts from then on (`record`); or nobody cares (`allow`).
        harmless_files: patterns of files, from the project's folder, that shape no result: `["notes/*.md"]`.
        harmless_variables: environment variables that shape no result, for instance a password.
    """

    undeclared: Literal["error", "record", "allow"] = "error"
    harmless_files: list[str] = []
    harmless_variables: list[str] = []


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of modelyard's own values, by table. `gates` has those of `Gates`, and each bound on a metric, None where there is none."""

    dataset: Dataset
    handlers: Handlers
    evaluate: Evaluate
    cross_validation: CrossValidation
    gates: dict[str, Any]
    select: Select
    image: Image
    check: Check
    serve: Serve
    events: Events
    executor: Executor
    push: Push
    export: Export
    store: Store
    reads: Reads


TABLES: dict[str, type[msgspec.Struct]] = {
    "dataset": Dataset,
    "evaluate": Evaluate,
    CROSS_VALIDATION: CrossValidation,
    "select": Select,
    "gates": Gates,
    "image": Image,
    "check": Check,
    "serve": Serve,
    "handlers": Handlers,
    "events": Events,
    "executor": Executor,
    "push": Push,
    "export": Export,
    "store": Store,
    "reads": Reads,
}


def parameters_of_table(table: str) -> dict[str, Parameter]:
    """Return the keys of modelyard's own in `table`; none for a table that has only a component's."""
    if table not in TABLES:
        return {}
    return {f.name: Parameter(f.name, f.type, default_of(f)) for f in msgspec.structs.fields(TABLES[table])}


def gate_parameters(quantities: Iterable[Quantity]) -> dict[str, Parameter]:
    """Return the gates on `quantities` as keys of a table: each may be left out, and then bounds nothing."""
    return {key: Parameter(key, gate.annotation, None) for key, gate in gates_of(quantities).items()}
