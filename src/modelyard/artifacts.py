"""What passes between stages: facts in JSON beside plain files, and how to open them.

Nothing here imports numpy or a framework before an array is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from modelyard.errors import DataError, PluginError
from modelyard.files.columns import open_column
from modelyard.files.json import read_json
from modelyard.files.npy import open_array
from modelyard.signature import Axis, Signature
from modelyard.tensors import (
    Activation,
    ConstantFacts,
    InputFacts,
    Loss,
    OutputFacts,
    Preprocessing,
    StateFacts,
    model_inputs,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT_FILES = {
    "tf_keras": "model.keras",
    "tf_keras_qat": "model.keras",
    "keras": "model.keras",
    "keras_quantized": "model.keras",
    "tflite": "model.tflite",
    "onnx": "model.onnx",
    "saved_model": "saved_model",
    "tf_saved_model": "saved_model",
    "torch": "model.pt2",
    "torch_int8": "model.pt2",
}
"""The file, or folder, that holds a model of each known format; any other format `f` uses `model.f`.

A `saved_model` is a TensorFlow SavedModel that clients can send raw samples to, whatever made it: its signature
`serving_default` takes one tensor, `input` (raw samples in the data set's dtype, shape `(N, *input_shape)`, N free), and
answers one, which is called as the data set's answer is, for instance `probabilities` (float32, shape `(N, classes)`). Several
inputs are called as the data set calls them.
Preprocessing and activation are part of its graph, so its `model.json` is that of `self_contained`. `modelyard_plugins.support.keras.saved_model` writes one.
A `tf_saved_model` is one that somebody brought: it takes prepared samples and answers what its own signature says.
"""

Split = str
"""`train`, `test`, or what the data set calls a further test set."""
Labels = Any
"""An array of labels, or None; where several outputs are learnt a dict of such arrays, of which each task gets its own."""
Names = Any
"""A sequence of names; where several outputs are learnt a dict of such sequences, of which each task gets its own."""
Output = Literal["logits", "probabilities"]
Protocol = Literal["v1", "v2"]
SampleShape = tuple[int, ...] | dict[str, tuple[int, ...]]
"""The shape of one sample, without the axis of the batch: of its only input, or of each of several by name."""
_Tensor = TypeVar("_Tensor", InputFacts, OutputFacts)


ONLY_INPUT = "input"
"""What the input is called where a data set gives it no name."""


def samples_file(split: str, name: str) -> str:
    """Return the name of the file that holds the raw samples of `split` for the input `name`."""
    return f"{split}_x.npy" if name == ONLY_INPUT else f"{split}_x.{name}.npy"


def sent_file(split: str, name: str) -> str:
    """Return the beginning of the names of the files that hold what clients send for the input `name`, of a test split."""
    return f"{split}_sent.{name}"


def slice_file(column: str) -> str:
    """Return the name of the file that says of what each test sample is."""
    return f"test_slice.{column}.npy"


def format_file(model_format: str) -> str:
    """Return the name of the file that holds a model of `model_format`."""
    return FORMAT_FILES.get(model_format, f"model.{model_format}")


class Splits(msgspec.Struct, frozen=True):
    """What a data set plugin returns; `modelyard` checks it and writes it down.

    Attributes:
        train_x: raw samples, shape `(N, *input_shape)`, a numpy memory map is welcome: uint8 (pictures), float32
            (measurements), or int32 or int64 (whole numbers, such as token ids, which reach the model as they are). For a
            model of several inputs a dict of such arrays by the inputs' names.
        train_y: labels, shape `(N,)` or `(N, ...)`, as the task wants them: for a classification integers from 0, shape
            `(N,)`; None: there are none. Where several outputs are learnt, a dict of such arrays by the outputs' names.
        test_x: like `train_x`, for `M` samples.
        test_y: like `train_y`, for `M` samples.
        class_names: one name a label, in the order of the labels; for other tasks of each number of a label, if they
            have names. Where several outputs are learnt, a dict with those of each output that has some.
        value_range: the lowest and highest value that a raw sample may hold, for instance `(0, 255)`; for several inputs a
            dict of those that have one; the server refuses other values. None: 0 to 255 for uint8, else whatever the
            type holds. `auto` is the same, and one array of measurements without names is then scaled by what the
            training split holds, unless `normalize` says something else.
        test_sets: further samples and labels to test with, each like `test_x` and `test_y`, by what the set is called:
            `{"night": (x, y)}`; `[tool.modelyard.evaluate] test_sets` has a set measured by itself.
        slices: what each test sample is of, by what it is called: `{"camera": ["front", "rear", ...]}`, `M` texts or whole
            numbers each; `[tool.modelyard.evaluate] slices` has each value measured by itself.
    """

    train_x: NDArray[np.generic] | Mapping[str, NDArray[np.generic]]
    train_y: Labels
    test_x: NDArray[np.generic] | Mapping[str, NDArray[np.generic]]
    test_y: Labels
    class_names: Names = ()
    value_range: tuple[float, float] | Mapping[str, tuple[float, float]] | Literal["auto"] | None = "auto"
    slices: Mapping[str, Sequence[str | int] | NDArray[np.generic]] = {}
    test_sets: Mapping[
        str, tuple[NDArray[np.generic] | Mapping[str, NDArray[np.generic]], NDArray[np.generic] | None]
    ] = {}


class Streams(msgspec.Struct, frozen=True):
    """What a data set plugin may return instead of `Splits`: samples one after another, of which one is in memory at a time.

    `train` and `test` are each an iterator or a list of pairs `(x, y)`, a `tf.data.Dataset` of such (without batches), or
    a PyTorch `Dataset`. `x` is an array of numbers, a text, bytes or the `Path` of a file (for handlers), or a dict of these by
    the inputs' names; `y` is a label, or None. Samples of one input are alike but for their first axis: token ids, sounds
    and boxes may be of several lengths.

    Attributes:
        train: what gives the training samples.
        test: what gives the test samples.
        class_names: as those of `Splits`; so are `value_range` and `slices`.
        pad: what follows a sample that is shorter than the longest of both splits. None: there are none. Labels are
            padded with -1, which does not count.
        masks: whether the model gets an input `NAME_mask` beside each input of several lengths, int32, shape `(longest,)`: 1 where
            the sample is, 0 behind it. An input without a name is called `input`.
    """

    train: Any
    test: Any
    class_names: Sequence[str] = ()
    value_range: tuple[float, float] | Mapping[str, tuple[float, float]] | Literal["auto"] | None = "auto"
    slices: Mapping[str, Sequence[str | int] | NDArray[np.generic]] = {}
    pad: float | None = None
    masks: bool = False


class SplitFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many samples a split has, in all and with each label (in the order of the labels), where there are labels."""

    samples: int
    per_class: tuple[int, ...] = ()


class _Tensors(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of samples and answers, and the words for where there is one tensor of each.

    Attributes:
        task: the name of the task that is learnt.
        inputs: the tensors of a raw sample, in order.
        outputs: the tensors that the model answers, in order.
    """

    task: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]

    @property
    def input(self) -> InputFacts:
        """The only input.

        Raises:
            PluginError: there are several.
        """
        return _only(self.inputs, "input")

    @property
    def answer(self) -> OutputFacts:
        """The only output.

        Raises:
            PluginError: there are several.
        """
        return _only(self.outputs, "output")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without the axis of the batch."""
        return _fixed(self.input.shape, "samples")

    @property
    def sample_shape(self) -> SampleShape:
        """The shape of one sample; of a sample of several inputs, the shape of each by its name."""
        return self.shapes if len(self.inputs) > 1 else self.input_shape

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input of a sample by its name, without the axis of the batch."""
        return {one.name: _fixed(one.shape, f"samples of {one.name!r}") for one in self.inputs}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the answer to one sample, without the axis of the batch."""
        return _fixed(self.answer.shape, "answers")

    @property
    def preprocessing(self) -> Preprocessing:
        """What must be applied to a raw sample."""
        return self.input.preprocessing

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The lowest and highest value of a raw sample."""
        return self.input.value_range

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each number that the model answers; none where they have no names."""
        return self.answer.labels


def _only(tensors: tuple[_Tensor, ...], what: str) -> _Tensor:
    if len(tensors) != 1:
        names = ", ".join(repr(one.name) for one in tensors)
        msg = f"there are {len(tensors)} {what}s ({names}); one that has a single {what} is needed"
        raise PluginError(msg)
    return tensors[0]


def _fixed(shape: tuple[Axis, ...], what: str) -> tuple[int, ...]:
    if all(isinstance(axis, int) for axis in shape):
        return shape  # type: ignore[return-value]
    msg = (
        f"{what} have the shape ({', '.join(map(str, shape))}), whose length varies; one whose shape is fixed is needed"
    )
    raise PluginError(msg)


class DatasetFacts(_Tensors, frozen=True, kw_only=True, omit_defaults=True):
    """`dataset.json`: what the splits hold, and what a model must answer to them.

    Attributes:
        splits: how many samples each has.
        loss: what training makes small.
        sent: what clients send, where handlers make the inputs of it.
        measured: what the task measures, where a handler after the model gives it.
        slices: the values of each column that says of what test samples are.
        test_sets: how many samples each further test set has.
    """

    splits: dict[str, SplitFacts]
    loss: Loss = "cross-entropy"
    sent: tuple[InputFacts, ...] = ()
    measured: OutputFacts | None = None
    slices: dict[str, tuple[str, ...]] = {}
    test_sets: dict[str, SplitFacts] = {}

    @property
    def dtype(self) -> str:
        """The type of raw samples on disk: uint8, float32, int32 or int64."""
        return self.input.dtype


class Dataset(msgspec.Struct, frozen=True):
    """A data set as the `dataset` stage left it: `dataset.json` and `{train,test}_{x,y}.npy`."""

    folder: Path
    facts: DatasetFacts

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Open the data set in `folder`.

        Raises:
            DataError: `dataset.json` is missing or not what modelyard writes.
        """
        return cls(folder, read_json(folder / "dataset.json", DatasetFacts))

    def x(self, split: Split) -> NDArray[np.generic]:
        """Return the raw samples of `split`, shape `(N, *input_shape)`, memory-mapped read-only.

        Raises:
            PluginError: the samples have several inputs: see `raw`.
        """
        return self._load(samples_file(split, self.facts.input.name))

    def raw(self, split: Split) -> dict[str, NDArray[np.generic]]:
        """Return the raw samples of `split` by input, each of shape `(N, *shape)`, memory-mapped read-only."""
        return {one.name: self._load(samples_file(split, one.name)) for one in self.facts.inputs}

    def sent(self, split: Split = "test") -> dict[str, Any]:
        """Return what clients send of a test split, by input: raw samples, or what handlers make them of.

        Each is an array of the shape `(N, *shape)`, or a `modelyard.files.columns.Ragged` of texts or other bytes.
        """
        if not self.facts.sent:
            return {**self.raw(split)}
        return {one.name: open_column(self.folder, sent_file(split, one.name), one.dtype) for one in self.facts.sent}

    def y(self, split: Split) -> NDArray[np.generic]:
        """Return the targets of `split`, memory-mapped read-only.

        What they are goes by the loss: with `cross-entropy` the number of each sample's class, int64, shape `(N,)`, or
        of the class at each of its positions, int32, shape `(N, *positions)`, -1 where it does not count; with `binary-cross-entropy` 0 or 1 for each label, uint8, shape `(N, labels)`; with an error numbers, float32, shape
        `(N, k)`.
        """
        return self._load(f"{split}_y.npy")

    def slice_of(self, column: str) -> NDArray[np.int32]:
        """Return what each test sample is of: numbers of `facts.slices[column]`, int32, shape `(N,)`."""
        codes: NDArray[np.int32] = self._load(slice_file(column))  # type: ignore[assignment]
        return codes

    @property
    def has_labels(self) -> bool:
        """Whether there are labels."""
        return (self.folder / "test_y.npy").is_file()

    def inputs(self, split: Split, rows: slice | NDArray[np.generic] = slice(None)) -> NDArray[Any]:
        """Return `rows` of `split` as the model takes them, shape `(n, *input_shape)`: float32, preprocessed.

        Whole numbers (int32 and int64) stay what they are.
        """
        return self.tensors(split, rows)[self.facts.input.name]

    def tensors(self, split: Split, rows: slice | NDArray[np.generic] = slice(None)) -> dict[str, NDArray[Any]]:
        """Return `rows` of `split` as the model takes them, as `inputs` does, by the name of each input."""
        raw = self.raw(split)
        return {one.name: model_inputs(raw[one.name][rows], one.dtype, one.preprocessing) for one in self.facts.inputs}

    def _load(self, name: str) -> NDArray[np.generic]:
        array: NDArray[np.generic] = open_array(self.folder / name)
        return array


class ModelFacts(_Tensors, frozen=True, kw_only=True):
    """`model.json`: what a model file is, what it takes and what it answers.

    Attributes:
        format: `tf_keras`, `tflite`, `onnx` ... ; formats are how the plan checks that optimizers fit together.
        file: the model's file or folder, beside `model.json`.
        batch: how many samples the model may be run on at once, where its answer to one depends on the others beside it,
            so that it is measured and served in batches of that size at most; left out: any number.
        warnings: what the model optimizers that made it warned of, the first one's first.
        signature: the tensors that the file says it takes and answers; left out where it does not say.
        states: what the model keeps from one step of a stream to the next; left out: nothing.
        looped: whether its file takes one step of a stream, where a sample is a whole one: the first axis of each input and
            output is then that of time.
        constants: the inputs of the file that are always the same; left out: there are none.
        licence: of a model that was brought, its licence; left out where nobody said.
        origin: where it was brought from; left out where nobody said.
    """

    format: str
    file: str
    batch: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    warnings: tuple[str, ...] = ()
    signature: Signature | msgspec.UnsetType = msgspec.UNSET
    states: tuple[StateFacts, ...] | msgspec.UnsetType = msgspec.UNSET
    looped: bool | msgspec.UnsetType = msgspec.UNSET
    constants: tuple[ConstantFacts, ...] | msgspec.UnsetType = msgspec.UNSET
    licence: str | msgspec.UnsetType = msgspec.UNSET
    origin: str | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, dataset: DatasetFacts, model_format: str) -> ModelFacts:
        """Return what is known of a model of `model_format` for `dataset` before there is one."""
        return ModelFacts(
            format=model_format,
            file=format_file(model_format),
            task=dataset.task,
            inputs=dataset.inputs,
            outputs=dataset.outputs,
        )

    @property
    def input_dtype(self) -> str:
        """The type of a raw sample, before preprocessing."""
        return self.input.dtype

    @property
    def counted(self) -> OutputFacts:
        """The output that is the task's answer, of several: the one with an activation, else the first."""
        return next((one for one in self.outputs if one.activation != "none"), self.outputs[0])

    @property
    def fed(self) -> tuple[str, ...]:
        """What the file calls those of its inputs that nobody sends: its states and constants."""
        return (*(one.tensor for one in self.states or ()), *(one.tensor for one in self.constants or ()))

    @property
    def keeps(self) -> bool:
        """Whether the model keeps something from one step of a stream to the next."""
        return bool(self.states) or any(one.overlap for one in self.inputs)

    @property
    def output(self) -> Output:
        """Whether the file answers logits, so that an activation is still to be applied, or what clients get."""
        return "logits" if any(one.outside != "none" for one in self.outputs) else "probabilities"

    def answering(self, output: Output) -> ModelFacts:
        """Return these facts for a file that answers `output`."""
        inside = output == "probabilities"
        outputs = (one if one.activation == "none" else replace(one, inside=inside) for one in self.outputs)
        return replace(self, outputs=tuple(outputs))

    def ending_in(self, activation: Activation) -> ModelFacts:
        """Return these facts for a file that ends in `activation`.

        Raises:
            PluginError: the answer has another activation, and nothing says that the file answers what clients get.
        """
        wanted = self.counted.activation
        if activation in ("none", wanted):
            return self.answering("logits" if activation == "none" else "probabilities")
        if wanted == "none" or self.counted.inside:
            return self
        msg = (
            f"the model ends in a {activation}, but the data set's answers are those of a {wanted}\n"
            f"  let it end in a {wanted}, or in neither: the {wanted} is then applied to what it answers; "
            'if its answers are meant as they are, say answers = "probabilities"'
        )
        raise PluginError(msg)

    def at_once(self, most: int) -> int:
        """Return how many samples to run the model on at once: `most`, or fewer where it allows only those."""
        return most if self.batch is msgspec.UNSET else min(most, self.batch)


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's file shows of itself, whatever is said of it; None: it shows nothing of that.

    Attributes:
        activation: the one that the model, or its first output, ends in; `none` where it ends in none.
        activations: the same of each output by its name, where there are several.
        batch: see `ModelFacts.batch`; 1 where activations share one scale that is found while the model runs.
        signature: the tensors that it takes and answers.
    """

    activation: Activation | None = None
    activations: Mapping[str, Activation | None] = {}
    batch: int | None = None
    signature: Signature | None = None


def is_single_name(name: str) -> bool:
    """Return whether `name` stays in the folder that it is looked up in."""
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)


def self_contained(facts: ModelFacts) -> ModelFacts:
    """Return `facts` for a model with preprocessing and activation inside: it takes raw samples, nothing is done to its answer."""
    inputs = tuple(replace(one, preprocessing=Preprocessing()) for one in facts.inputs)
    return replace(facts.answering("probabilities"), inputs=inputs)


class Model(msgspec.Struct, frozen=True):
    """A model in a folder: `model.json` and the file that it names."""

    folder: Path
    facts: ModelFacts

    @classmethod
    def open(cls, folder: Path) -> Model:
        """Open the model in `folder`.

        Raises:
            DataError: `model.json` is missing or damaged, or the file that it names is not there, or elsewhere.
        """
        model = cls(folder, read_json(folder / "model.json", ModelFacts))
        if not is_single_name(model.facts.file):
            msg = f"{folder}: model.json names {model.facts.file!r}\n  allowed: the name of a file or folder beside it, without '/'"
            raise DataError(msg)
        if not model.path.exists():
            msg = f"{folder}: model.json names {model.facts.file!r}, which is not there\n  build the stage that wrote it again"
            raise DataError(msg)
        return model

    @property
    def path(self) -> Path:
        """The model's file or folder."""
        return self.folder / self.facts.file


class LayerFacts(msgspec.Struct, frozen=True):
    """One layer of an image: what it holds, its digest (`sha256:...`) as shipped, and its size in bytes as shipped."""

    name: str
    digest: str
    size_bytes: int


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How the server in an image is asked and looked after; the check and the deploy targets go by it.

    Attributes:
        live: HTTP path that answers 200 as long as the server answers at all.
        ready: HTTP path that answers 200 only while the model can be asked.
        protocols: what it speaks on its port: `v1` is TF Serving's REST API, `v2` the Open Inference Protocol.
        grpc_port: the port that it listens on for gRPC; 0: none.
        timeout_s: how long it takes for a request at most, in seconds; a proxy must wait as long.
        reads_settings: whether it takes user name, password, certificate, port ... from the variables `MODELYARD_...`.
            In front of a server that does not, a target puts a proxy.
        event_schemes: the URLs of brokers that it takes events from, each scheme with its usual port; empty: of none.
        event_places: where such a broker has them: `input`, `output`, `dead_letter`; `group`, who takes them; and the
            source's own parameters.
    """

    live: str = "/v2/health/live"
    ready: str = "/v2/health/ready"
    protocols: tuple[Protocol, ...] = ("v1", "v2")
    grpc_port: int = 0
    timeout_s: int = 60
    reads_settings: bool = True
    event_schemes: dict[str, int] = {}
    event_places: dict[str, str] = {}


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`image.json`: what a builder made.

    Attributes:
        builder: the builder's name.
        repository: the image's name without tag, for instance `registry.example/team/digits`.
        tag: the image's tag.
        digest: digest of the OCI manifest (`sha256:...`); what Kubernetes YAML names.
        image_id: what an engine calls the image (`sha256:...`); in Docker's classic store the digest of its config.
        size_bytes: sum of the layers as shipped.
        archive: name of the archive in the same folder, or None where the builder writes none: then `doit push` cannot push it.
        platform: `linux/amd64` or alike.
        user: numeric user and group, `uid:gid`.
        port: the port that the server listens on by default.
        labels: the image's labels.
        layers: in order, the lowest first.
        base: what the base was made of, name and version or digest of each part.
        server: how its server is asked; modelyard fills it in.
    """

    builder: str
    repository: str
    tag: str
    digest: str
    image_id: str
    size_bytes: int
    archive: str | None
    platform: str
    user: str
    port: int
    labels: dict[str, str]
    layers: tuple[LayerFacts, ...]
    base: dict[str, str] = msgspec.field(default_factory=dict)
    server: ServerFacts = ServerFacts()

    @property
    def reference(self) -> str:
        """`repository:tag@digest`, what a Kubernetes manifest names."""
        return f"{self.repository}:{self.tag}@{self.digest}"


FACTS = (DatasetFacts, ModelFacts, ImageFacts)
"""What artifacts say of themselves, each in a JSON file that a later stage reads."""
