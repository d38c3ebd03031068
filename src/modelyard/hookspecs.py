"""The hooks, in the order of a build. This page can be read alone.

A plugin is a module. It marks a function with `@hookimpl`, named like one of the hooks below, and
takes whichever of the hook's arguments it needs. The `modelyard_register_*` hooks and
`modelyard_amend_plan` are called once, when the project is loaded, in the `doit` process: import
nothing heavy at the top of a plugin. The stage hooks are called in the worker process that runs the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

import pluggy

if TYPE_CHECKING:
    from modelyard.artifacts import FileFacts, Model, Output
    from modelyard.contexts import Lack, Locked, Problem, StageContext
    from modelyard.metrics import Better, Quantity, Unit
    from modelyard.stage import Stage
    from modelyard.tensors import Loss

hookspec = pluggy.HookspecMarker("modelyard")


class Traits(TypedDict, total=False):
    """The common traits, all of them optional, for every kind of component.

    Components that have theirs in common keep them in one place: `register(name, function, **TENSORFLOW)`.

    Attributes:
        tools: distributions whose versions shape the output; they enter the action key.
        needs: distributions that the function cannot run without; those of `tools` when it is left out.
        environment: environment variables to set before the worker starts.
        reads_environment: names of environment variables that the function reads; their values enter the action key.
        preload: modules to import before the stage starts, so that one import may serve several stages.
        resources: named resources that it uses, for instance `gpu`; `[tool.modelyard.resources]` says how many there are.
        deterministic: whether it gives the same bytes each time on an accelerator, too: it uses none, or lets
            deterministic kernels run only. Where it does not say so, what it makes on one is recorded as not reproducible.
    """

    tools: Sequence[str]
    needs: Sequence[str]
    environment: Mapping[str, str]
    reads_environment: Sequence[str]
    preload: Sequence[str]
    resources: Sequence[str]
    deterministic: bool


class ComponentTraits(Traits, total=False):
    """What a component of any kind may be registered with: the common traits, and two functions of its own.

    Attributes:
        check: `check(context: CheckContext, **params)` yields a `Problem` for each parameter whose value has the right
            type and cannot be right. It is called whenever the project is loaded: it reads no file and imports nothing
            heavy.
        preflight: `preflight(context: PreflightContext, **params)` yields a `Lack` for each thing that this machine lacks:
            a program, a service, a distribution that only some parameters need. It is called in the `doit` process before
            the first stage of a build runs, if the component's stage is among those that will, and by `modelyard doctor`:
            it is quick, changes nothing and imports nothing heavy.
        scripts: `scripts(**params)` yields the Python files of the project, relative to it, that the parameters name and the
            function runs. They count as the component's own code does: by meaning, with all that they import.
    """

    check: Callable[..., Iterable[Problem]] | None
    preflight: Callable[..., Iterable[Lack]] | None
    scripts: Callable[..., Iterable[str]] | None


class Measures(TypedDict):
    """What is learnt must say how well it went: `metrics`, the one that counts most first."""

    metrics: Sequence[Quantity | Mapping[str, Any]]


class TaskTraits(Measures, ComponentTraits, total=False):
    """Traits of a task. `metrics` are those that it measures, each a `modelyard.metrics.Quantity` or a dict of its fields.

    The first is the task's own measure of quality: rules break ties by it, and the report plots it.

    `loss` is what training minimises: trainers say which they know (`cross-entropy`, `binary-cross-entropy`,
    `squared-error`, `absolute-error`); left out, no built-in trainer trains for this task.
    """

    loss: Loss


class Gives(TypedDict):
    """What gives a model must say its format: `produces`."""

    produces: str


class GivesByParameters(TypedDict):
    """What gives a model of one of several formats may say which by a function of its parameters: `produces(**params)`."""

    produces: str | Callable[..., str]


class Takes(TypedDict):
    """What takes a model must say the formats that it can read: `accepts`."""

    accepts: Sequence[str]


class Renders(TypedDict):
    """What renders must name its templates, as paths below a `templates` folder; they enter the action key."""

    templates: Sequence[str]


class ModelTraits(Gives, ComponentTraits, total=False):
    """Traits of a model: `produces` is the format that the trainer must give.

    `answers` says what the model answers, `logits` or `probabilities`; left out, its file says it where it ends in a
    softmax, and it answers logits where it does not.
    """

    answers: Output


class TrainerTraits(GivesByParameters, ComponentTraits, total=False):
    """Traits of a trainer: `produces` is the format that it gives.

    `takes_model` is false if it trains no model of the project's: it brings one, which was trained elsewhere. The project
    then has no `[tool.modelyard.model]`, and `context.build_model` is not to be called.

    `losses` are those that it can make small (`modelyard.tensors.Loss`), "" among them if it trains for tasks that name
    none; left out, cross-entropy alone. A task with another loss is refused when the project is loaded. One that takes no
    model is not asked.
    """

    takes_model: bool
    losses: Sequence[Loss]


class OptimizerTraits(Takes, Gives, ComponentTraits, total=False):
    """Traits of a model optimizer: it takes one of the formats `accepts` and gives `produces`.

    One that trains the model further names in `trains_like` the model optimizer that trains as it does, given the
    parameters of the same names, and changes nothing else (which names itself). Its variants are compared with a
    baseline that went through that one, so that extra training is not taken for the optimizer's gain. It says in
    `losses` what a trainer says there.
    """

    trains_like: str
    losses: Sequence[Loss]


class RuntimeTraits(Takes, ComponentTraits, total=False):
    """Traits of a runtime: `function(model_folder, **params)` opens a model and returns a `Predictor`; evaluation uses it as it ships.

    A server in Python is copied into the image: `server` is the folder of its package, `entrypoint` the command that
    starts it there, `requirements` a pip requirements file, every line pinned with hashes. `optional_requirements` are
    further ones, by the parameter that they are for: they are in the image, in a layer of their own, where that parameter
    is set (neither None nor false). `server_environment` are
    environment variables of the server, in the image and for `doit serve`; parameters become further ones,
    `MODELYARD_NAME`.

    A server that a base image brings has `image` instead of these: `image(context: ServerContext, **params)` returns a
    `ServerImage`, which says which base, how the server starts there, and what is put beside it. `base` names that image
    where it is always the same, and `reads_settings` is false if its server does not take user name, password, certificate
    ... from the variables `MODELYARD_...`: builders and targets then know both before anything is trained.

    `serving_only` names parameters that concern the server alone. `evaluate` does not get them: in it they are at their
    defaults, and a change of them measures nothing anew. All others count there.
    """

    server: Path
    requirements: Path
    optional_requirements: Mapping[str, Path] | None
    entrypoint: Sequence[str]
    server_environment: Mapping[str, str] | None
    image: Callable[..., Any]
    base: str
    reads_settings: bool
    serving_only: Sequence[str]


class Connects(TypedDict):
    """What a source must say: the package of its client, and the URLs that it connects to, each scheme with its usual port."""

    client: Path
    schemes: Mapping[str, int]


class SourceTraits(Connects, ComponentTraits, total=False):
    """Traits of a source of events: `function(place, **params)` opens it, here and in the image.

    `client` is the folder of a Python package that is copied into the image beside the server, and has
    `open_source(place)`: see `modelyard.serving.events.source`, which it does not import when it runs. `requirements`, a pip
    requirements file, every line pinned with hashes, is what it needs beside the server's own: in the image, in a layer of
    its own. Parameters become environment variables of the server, `MODELYARD_EVENTS_NAME`.

    `check` is given `input`, `output`, `dead_letter` and `group`, too, and may find them wrong.
    """

    requirements: Path


class Directed(TypedDict):
    """What measures must say which of two values is the better one: `better` is `higher` or `lower`."""

    better: Better


class MetricTraits(Directed, ComponentTraits, total=False):
    """Traits of a metric: what its values are, see `modelyard.metrics.Quantity`.

    `unit` is that of its values; `title` the head of its column. `steady=False` says that another run gives another value,
    as times and memory do: then it is compared by its interval, and is in no reproducible file.
    """

    unit: Unit
    title: str
    steady: bool


class GateTraits(ComponentTraits, total=False):
    """Traits of a gate: none but those that every component may have."""


class BuilderTraits(ComponentTraits, total=False):
    """Traits of an image builder; `templates` are the Jinja2 templates that it renders, they enter the action key.

    `lock(file: Path, **params)` is what `doit lock` calls: it writes down exactly what the image's base is made of today, to
    the file that the parameters name or else to `file`, and returns `Locked`. Without it there is nothing to lock.
    """

    templates: Sequence[str]
    lock: Callable[..., Locked] | None


class TargetTraits(Renders, ComponentTraits, total=False):
    """Traits of a deploy target; `deploy(context: DeployContext, **params)` applies what was rendered.

    Without it the target has no `deploy` task. `undeploy`, of the same form, takes away what was deployed.

    `deploy_only` names parameters that concern `deploy` and `undeploy` alone. The function, `preflight` and the action key
    do without them: a change of them renders nothing anew.
    """

    deploy: Callable[..., Any] | None
    undeploy: Callable[..., Any] | None
    deploy_only: Sequence[str]


class Stands(TypedDict):
    """What a kind of stage must say: the kind that it stands behind, and the function that plans its stages."""

    after: str
    plan: Callable[..., Iterable[Stage]]


class KindTraits(Stands, ComponentTraits, total=False):
    """Traits of a kind of stage. Its stages are planned where `[tool.modelyard.NAME]` is there, which holds its parameters.

    `after` names the kind behind which it stands, in the order of a build. `plan(context: PlanContext, **params)` yields
    its stages, each made by `context.stage(name, *inputs)`; it is called whenever the project is loaded, after the stages
    of modelyard's own and those of the kinds that stand before it are planned.

    `plan_only` names parameters that concern `plan` alone: the function and the action key do without them.

    `seeded` says that its stages draw random numbers: they get the project's seed. `host_bound` says that they compute, so
    that their output depends on the machine and on how many threads there are. `measures` says that they measure times or
    memory, and so write other bytes each time. `parts` names what a later stage may read alone, each with the file that
    stands for it: `{"scores.json": "scores.json"}`.
    """

    plan_only: Sequence[str]
    seeded: bool
    host_bound: bool
    measures: bool
    parts: Mapping[str, str]


TRAITS: dict[str, Any] = {
    "dataset": ComponentTraits,
    "task": TaskTraits,
    "model": ModelTraits,
    "trainer": TrainerTraits,
    "optimizer": OptimizerTraits,
    "runtime": RuntimeTraits,
    "source": SourceTraits,
    "metric": MetricTraits,
    "gate": GateTraits,
    "builder": BuilderTraits,
    "target": TargetTraits,
    "kind": KindTraits,
}
"""What a component of each kind may, and must, be registered with."""


class Register(Protocol):
    """Registers a data set."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[ComponentTraits]) -> None: ...


class RegisterTask(Protocol):
    """Registers a task."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TaskTraits]) -> None: ...


class RegisterModel(Protocol):
    """Registers a model."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[ModelTraits]) -> None: ...


class RegisterTrainer(Protocol):
    """Registers a trainer."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TrainerTraits]) -> None: ...


class RegisterOptimizer(Protocol):
    """Registers a model optimizer."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[OptimizerTraits]) -> None: ...


class RegisterRuntime(Protocol):
    """Registers a runtime."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[RuntimeTraits]) -> None: ...


class RegisterSource(Protocol):
    """Registers a source of events."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[SourceTraits]) -> None: ...


class RegisterMetric(Protocol):
    """Registers a metric."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[MetricTraits]) -> None: ...


class RegisterGate(Protocol):
    """Registers a gate."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[GateTraits]) -> None: ...


class RegisterBuilder(Protocol):
    """Registers an image builder."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[BuilderTraits]) -> None: ...


class RegisterTarget(Protocol):
    """Registers a deploy target."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TargetTraits]) -> None: ...


class RegisterKind(Protocol):
    """Registers a kind of stage."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[KindTraits]) -> None: ...


@hookspec
def modelyard_register_datasets(register: Register) -> None:
    """Register data sets: `function(context: StageContext, *, ...) -> Splits`.

    The plugin returns arrays; modelyard checks shapes, dtypes and label range and writes memory-mapped splits.
    """


@hookspec
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register tasks: `function(*, ...) -> modelyard.task.Task` says what is learnt, and how well a model does."""


@hookspec
def modelyard_register_models(register: RegisterModel) -> None:
    """Register models: `function(input_shape, classes, *, ...)` returns a new, untrained model for the trainer.

    `input_shape` leaves the batch axis out; `classes` is the number of outputs. The model answers logits, or
    probabilities where it ends in a softmax.
    """


@hookspec
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register trainers: `function(context: TrainContext, *, ...)` trains `context.build_model(...)` and saves it.

    The trainer writes the file of its format (see `modelyard.artifacts.format_file`) and `history.json` below `context.out`.
    It returns nothing; or `ModelFacts`, made from `context.facts`, where the model takes or answers something else.
    """


@hookspec
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register model optimizers: `function(context: OptimizeContext, *, ...)` reads `context.model` and writes a new model.

    It writes the file of the format it produces below `context.out`; modelyard writes `model.json` beside it. It returns
    nothing; or `ModelFacts`, made from `context.model.facts`, where the new model takes or answers something else than
    its parent did (see `modelyard.artifacts.self_contained`).
    """


@hookspec
def modelyard_register_runtimes(register: RegisterRuntime) -> None:
    """Register runtimes: what runs a model, both when it is evaluated and in the image."""


@hookspec
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register sources of events: `function(place: Place, *, ...) -> Source` opens what takes events from a broker."""


@hookspec
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register metrics: `function(context: MetricContext, *, ...)` returns what it measured of one variant.

    A number; or a number and the ends of its 95 % interval, `(value, low, high)`; or an array with a value for each test
    sample, whose mean is the metric. It is measured where the project has it in `[tool.modelyard.metrics]`.
    """


@hookspec
def modelyard_register_gates(register: RegisterGate) -> None:
    """Register gates: `function(context: GateContext, *, ...)` yields each reason why a variant must not ship, as a text.

    It judges what was measured, and is asked where the project has it in `[tool.modelyard.gates]`, as a table.
    """


@hookspec
def modelyard_register_builders(register: RegisterBuilder) -> None:
    """Register image builders: `function(context: ImageContext, *, ...) -> ImageFacts`."""


@hookspec
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register deploy targets: `function(context: TargetContext, *, ...)` writes manifests with `context.write`."""


@hookspec
def modelyard_register_kinds(register: RegisterKind) -> None:
    """Register kinds of stage: `function(context: KindContext, *, ...)` runs one stage and writes below `context.out`.

    What it reads of earlier stages is in `context.inputs`, a folder or file by role, as `plan` said.
    """


@hookspec(firstresult=True)
def modelyard_read_model_file(model: Model) -> FileFacts | None:
    """Return what the file of `model`, just written, shows of itself; None for a format that is another's.

    Called in the worker after a trainer or a model optimizer, the nearest plugin's first: the project's, those of installed
    distributions, the built-in one, which knows `onnx`, `tflite`, `tf_keras`, `keras` and `torch`.
    """


@hookspec
def modelyard_amend_plan(stages: list[Stage]) -> None:
    """Change the list of stages in place before it is checked; called once a load, in the `doit` process."""


@hookspec
def modelyard_before_stage_run(stage: str, context: StageContext) -> None:
    """Called in the worker before the stage's component; raising stops the stage.

    Its code is in every stage's key; with `@hookimpl(kinds=("train",))` it is called for trainings only and in their keys
    only, and with `@hookimpl(observes=True)` it is in none.
    """


@hookspec
def modelyard_amend_manifests(target: str, documents: list[dict[str, Any]]) -> None:
    """Change Kubernetes objects in place after a target wrote them and before they are checked; called in the worker."""


@hookspec
def modelyard_after_stage_run(stage: str, context: StageContext) -> None:
    """Called in the worker after the component returned and before the artifact is taken; see above for its key."""


@hookspec
def modelyard_on_stage_error(stage: str, context: StageContext, error: Exception) -> None:
    """Called in the worker when the component raised; the error is reported whatever this does."""
