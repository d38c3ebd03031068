"""What a component gets as its first argument, one class per kind of stage.

A component writes its files below `context.out` and nowhere else. That folder is taken as the
stage's artifact only when the component returns; if it raises, nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from modelyard.artifacts import Dataset, ImageFacts, Model, ModelFacts, SampleShape, ServerFacts
from modelyard.tensors import Loss

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.component import Use
    from modelyard.metrics import Metric
    from modelyard.stage import Input, Stage


class Progress(Protocol):
    """Tells the person at the terminal how far a stage is."""

    def __call__(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Report that `done` of `total` (None: not known) `unit` are done; `note` is a short text, for instance a loss."""


class Problem(msgspec.Struct, frozen=True):
    """What a component's `check` finds wrong with one of its parameters.

    Attributes:
        key: the parameter; or `name` or `version`, the project's.
        why: what is wrong with its value, for instance `it is below replicas = 3`.
        instead: what to do, for instance `allowed: 3 or more`.
    """

    key: str
    why: str
    instead: str


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """For a component's `check`: what the project says beside the component's own parameters.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        runtime: the runtime's name.
        brings_server: whether the runtime's server comes with an image; otherwise it is a Python package.
        base: that image's name, if the runtime says it; else empty.
        reads_settings: whether the server takes user name, password, certificate ... from the variables `MODELYARD_...`.
        event_schemes: the URLs of brokers that its image takes events from, each scheme with its usual port; empty: of none.
        takes_tokens: whether its image can check tokens of OpenID Connect, for events.
        loss: what training makes small.
        models: the models of an image that serves those of pipelines, each `NAME/VERSION`; empty: it serves its own.
    """

    name: str
    version: str
    runtime: str
    brings_server: bool = False
    base: str = ""
    reads_settings: bool = True
    event_schemes: Mapping[str, int] = {}
    takes_tokens: bool = False
    loss: Loss = "cross-entropy"
    models: tuple[str, ...] = ()


class Lack(msgspec.Struct, frozen=True):
    """What a component's `preflight` finds missing on this machine.

    Attributes:
        what: what is missing, for instance `no Docker engine answers`.
        instead: what to do about it.
        install: the distributions that are missing, if that is what it is; `instead` may then be empty.
    """

    what: str
    instead: str = ""
    install: tuple[str, ...] = ()


class BrokerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker of a source is to be started with, for a check of an image: for loopback alone, with TLS and a password.

    Attributes:
        folder: an empty folder for what it writes.
        port: the port to listen on, of 127.0.0.1.
        other_ports: two more that are free, for a broker that cannot do without.
        certificate: its certificate, PEM, which is its own authority, too.
        key: the private key, PEM.
        username: the only user.
        password: the user's password.
    """

    folder: Path
    port: int
    other_ports: tuple[int, int]
    certificate: Path
    key: Path
    username: str
    password: str


class BrokerCommand(msgspec.Struct, frozen=True):
    """How a broker is started.

    Attributes:
        url: its address, for the server.
        words: the program and its arguments; it runs until it is ended.
        files: the texts of files that it reads, by their names in the place's folder.
        environment: further variables of its process.
        programs: what it cannot run without, beside the first of its words.
    """

    url: str
    words: tuple[str, ...]
    files: dict[str, str] = {}
    environment: dict[str, str] = {}
    programs: tuple[str, ...] = ()


class Locked(msgspec.Struct, frozen=True):
    """What a builder's `lock` wrote down.

    Attributes:
        file: the lock file.
        packages: what is locked, as JSON can hold it, one item a package.
    """

    file: Path
    packages: tuple[Any, ...]


class PreflightContext(CheckContext, frozen=True, kw_only=True):
    """For a component's `preflight`: what `check` gets, and the machine's part.

    Attributes:
        project: the project's folder.
        cache: the folder for downloads; it need not be there yet.
        deploys: for a target: whether what it rendered will be applied, too.
        pushes: for a builder: whether the image will be pushed, too.
    """

    project: Path
    cache: Path
    deploys: bool = False
    pushes: bool = False


class PlanContext(msgspec.Struct, frozen=True, kw_only=True):
    """For the `plan` of a kind of stage: what is planned already, and how to make a stage.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        variants: the names of the variants that the project asks for.
        stages: the stages that are planned already, by id (`evaluate:int8`).
        make: makes a stage of the kind; call `stage` instead.
    """

    name: str
    version: str
    variants: tuple[str, ...]
    stages: Mapping[str, Stage]
    make: Callable[..., Stage]

    def of_kind(self, kind: str) -> list[Stage]:
        """Return the stages of `kind` that are planned already, in the order of a build; none if there is no such kind."""
        return [stage for stage in self.stages.values() if stage.kind == kind]

    def stage(self, name: str, *inputs: Input, **settings: Any) -> Stage:
        """Return a stage of the kind.

        Args:
            name: tells it from the others of its kind; its task is `KIND:name`, its folder `artifacts/KIND/name`.
            inputs: what it reads, each in a role: `Input("model", "optimize:int8")`.
            settings: further values for it, as JSON can hold them; they are in its key, and in the context of its run.
        """
        return self.make(name, inputs, settings)


class StageContext(msgspec.Struct, frozen=True, kw_only=True):
    """What every component may use.

    Attributes:
        out: an empty folder; what it holds when the component returns is the artifact.
        project: the project's folder; read from it only what a parameter names.
        cache: a folder for downloads that outlives the stage; several stages may use it at once.
        seed: the seed for every random generator, from 0.
        threads: how many threads to compute with. Frameworks are told by environment variables; use it where a library
            takes the number as an argument, for instance a session of ONNX Runtime.
        progress: reports how far the stage is.
        log: writes a line to the stage's log.
        metrics: numbers to put into `stage.json`; fill it.
        warnings: what `warn` was told.
    """

    out: Path
    project: Path
    cache: Path
    seed: int
    progress: Progress
    log: Callable[[str], None]
    threads: int = 1
    metrics: dict[str, Any] = {}
    warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Warn of something that a person should know before this ships: one line, without a full stop.

        It goes to the stage's log; a model optimizer's warnings are shown with its variants in the table of `select`.
        """
        self.log(f"warning: {text}")
        self.warnings.append(text)


class KindContext(StageContext, frozen=True, kw_only=True):
    """For the stages of a kind that a plugin registered.

    Attributes:
        name: the stage's name, as `plan` said.
        inputs: what the stage reads, a folder or file by role, as `plan` said. `Model.open` and
            `Dataset.open` of `modelyard.artifacts` open what modelyard's own stages made.
        settings: what `plan` said of the stage beside its inputs.
    """

    name: str
    inputs: Mapping[str, Path]
    settings: Mapping[str, Any]


class TrainContext(StageContext, frozen=True, kw_only=True):
    """For trainers: the data, and the model to train.

    Attributes:
        dataset: the data set.
        build_model: call it to get a new, untrained model: `build_model(input_shape, classes)` with its parameters filled in;
            `input_shape` is `dataset.facts.sample_shape`, a dict of shapes by name where samples have several inputs, and
            `classes` is how many numbers it answers, whatever the task, at each position if it answers at several:
            `dataset.facts.output_shape[-1]`.
        facts: what `model.json` will say of the trained model, if the trainer returns nothing and the file shows nothing else.
    """

    dataset: Dataset
    facts: ModelFacts
    build_model: Callable[[SampleShape, int], Any]


class OptimizeContext(StageContext, frozen=True, kw_only=True):
    """For model optimizers: the parent model, read from disk, and the data set (for calibration and fine-tuning)."""

    model: Model
    dataset: Dataset


class Predictor(Protocol):
    """A model that is loaded and ready: what a runtime's `open` returns."""

    def predict(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what clients get, shape `(N, *output.shape)`, for raw samples of shape `(N, *input_shape)`.

        Of a classification these are class probabilities, float32, shape `(N, classes)`.
        """
        ...

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return every output by name, each of shape `(N, *shape)`, for raw samples by input, each of shape `(N, *shape)`.

        A runtime whose models have one input and one output may leave it out.
        """
        ...


class MetricContext(StageContext, frozen=True, kw_only=True):
    """For metrics: a variant as it ships, and what it answers to the test split.

    Attributes:
        model: the model.
        dataset: the data set; `dataset.y("test")` are the labels, of a classification int64, shape `(samples,)`.
        answers: what the variant answers, shape `(samples, ...)`; of a classification the class probabilities, float32,
            shape `(samples, classes)`.
        open_model: opens the model anew with the runtime that serves it.
        runtime: that runtime with its parameters; a metric with the trait `starts_server` may start its server:
            `modelyard.launch.local_server.serving(context.runtime, context.model)`.
        side_by_side: how many models that predict at once keep every processor busy.
    """

    model: Model
    dataset: Dataset
    answers: NDArray[Any]
    open_model: Callable[[], Predictor]
    runtime: Use
    side_by_side: int = 1


class GateContext(msgspec.Struct, frozen=True, kw_only=True):
    """For gates: what was measured of a variant, and of the baseline.

    Attributes:
        variant: the variant's name.
        metrics: its metrics by name: `metrics["accuracy"].value`.
        baseline: those of the baseline.
        details: what the task says beside; of a classification `class_names`, in the order of the labels, and `confusion`:
            `confusion[i][j]` test samples of class `i` were labelled `j`.
        answers: what the variant answers to the test samples, shape `(samples, ...)`, memory-mapped; of a classification
            the class probabilities, float32, shape `(samples, classes)`.
        baseline_answers: those of the baseline.
    """

    variant: str
    metrics: Mapping[str, Metric]
    baseline: Mapping[str, Metric]
    details: Mapping[str, Any]
    answers: NDArray[Any]
    baseline_answers: NDArray[Any]


class ImageContent(msgspec.Struct, frozen=True):
    """What goes into an image above its base, said without saying how.

    Attributes:
        repository: the image's name without a tag.
        tag: the image's tag.
        requirements: lines of a pip requirements file, each pinned with hashes; installed for the base's Python.
        optional_requirements: further ones, for what was asked for; in a layer of their own.
        server: path in the image -> file or folder here; the server's code, or its configuration.
        model: path in the image -> file or folder here; the model.
        entrypoint: the command, with `python3` standing for the base's interpreter.
        environment: environment variables; never a secret.
        labels: the image's labels.
        port: the port that the server listens on by default.
        base: an image that brings the server: `entrypoint[0]` is a program in it; empty: the server is the Python
            package in `server`, and any base with Python will do.
        facts: how the server is asked.
        several: whether each place of `model` is a model of its own, which has a layer of its own: of several, those that
            did not change are sent and pulled once.
    """

    repository: str
    tag: str
    requirements: tuple[str, ...]
    server: Mapping[str, Path]
    model: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    port: int
    base: str = ""
    facts: ServerFacts = ServerFacts()
    optional_requirements: tuple[str, ...] = ()
    several: bool = False


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server has: its name in the URLs, and its version; None: it is the only one, and the runtime says it."""

    name: str
    version: int | None
    model: Model


class ServerContext(StageContext, frozen=True, kw_only=True):
    """For runtimes whose server a base image brings: the project's name, and the model to serve.

    Small files for the image, such as the server's configuration, are written below `context.out`. A runtime that
    `serves_several` asks `models`, whose first one `model` is.
    """

    name: str
    model: Model
    models: tuple[ServedModel, ...] = ()


class ServerImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime's `image` function returns: the parts of `ImageContent` that make its server, by the same names.

    `base` may be left out where the runtime is registered with it. What the runtime is registered with as
    `reads_settings` goes into `facts`.
    """

    entrypoint: tuple[str, ...]
    model: Mapping[str, Path]
    port: int
    facts: ServerFacts
    base: str = ""
    server: Mapping[str, Path] = msgspec.field(default_factory=dict)
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)


class ImageContext(StageContext, frozen=True, kw_only=True):
    """For image builders: the content; the builder writes `image.tar` (if it makes an archive) and returns `ImageFacts`."""

    content: ImageContent


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What a target rendered, now or earlier.

    Attributes:
        folder: the files.
        key: the action key of the render.
        commit: the commit that it was rendered at, with `+` behind it if the tree was not clean; empty outside git.
        when: when it was rendered, ISO 8601.
    """

    folder: Path
    key: str
    commit: str
    when: str


class DeployContext(msgspec.Struct, frozen=True, kw_only=True):
    """For a target's `deploy` and `undeploy`: what was rendered, and what a person asked for.

    Attributes:
        task: the task that is run, for messages: `deploy:kubernetes`.
        push_task: the task that pushes the image.
        target: the target's name in the configuration.
        name: the project's name.
        version: the project's version.
        repository: the name of the project's image, without a tag.
        insecure: whether plain http may be spoken to its registry.
        who: who deploys.
        rendered: what is rendered now.
        earlier: gives an earlier render by its key, or the beginning of one, while it is open.
        say: takes each line about what is done.
        asks: puts a question to the person and returns whether they agree; never called with `yes`.
        to: what to go back to; empty: nothing, what is rendered now is deployed.
        diff: whether changes are shown line by line.
        dry_run: whether to tell what would be done, and do nothing.
        yes: whether the person has agreed already.
    """

    task: str
    push_task: str
    target: str
    name: str
    version: str
    repository: str
    insecure: bool
    who: str
    rendered: Rendered
    earlier: Callable[[str], AbstractContextManager[Rendered]]
    say: Callable[[str], None] = print
    asks: Callable[[str], bool] = lambda _question: False
    to: str = ""
    diff: bool = False
    dry_run: bool = False
    yes: bool = False

    def agreed(self, question: str) -> bool:
        """Tell whether the person agrees to what cannot be taken back."""
        return self.yes or self.asks(question)


class TargetContext(StageContext, frozen=True, kw_only=True):
    """For deploy targets: the image and the model behind it, and a way to render templates.

    Attributes:
        name: the project's name, a DNS label.
        version: the project's version.
        image: the image to run.
        model: the model's facts: `variant`, `format`, `inputs`, `outputs`, `metrics` (by name), `size_bytes`, `sha256`; of
            an image of several models what is true of all of them together: `size_bytes`, `sha256`.
        models: the facts of each model of such an image, by `NAME/VERSION`; empty: there is one.
        render: `render("kubernetes/service.yaml.j2", **values)` gives the text of a template, with `name`, `version`,
            `image`, `model` and the stage's parameters (as `params`) always there; undefined names are an error.
        server_memory_bytes: what the server of the image took while it was checked, with headroom (see
            `modelyard.launch.footprint`); 0: it was not started.
    """

    name: str
    version: str
    image: ImageFacts
    model: Mapping[str, Any]
    render: Callable[..., str]
    server_memory_bytes: int = 0
    models: Mapping[str, Mapping[str, Any]] = {}

    def write(self, file: str, text: str) -> None:
        """Write `text` to `file` below `out`, UTF-8 with line feeds only."""
        path = self.out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
