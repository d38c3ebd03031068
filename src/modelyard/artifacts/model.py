"""A model in a folder: `model.json`, and the file that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from modelyard.artifacts.dataset import DatasetFacts
from modelyard.artifacts.names import format_file, is_single_name
from modelyard.artifacts.samples import Tensors
from modelyard.errors import DataError, PluginError
from modelyard.files.json import read_json
from modelyard.signature import Signature
from modelyard.tensors import Activation, ConstantFacts, OutputFacts, Preprocessing, StateFacts

Output = Literal["logits", "probabilities"]


class ModelFacts(Tensors, frozen=True, kw_only=True):
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

    def each_ending_in(self, activations: Mapping[str, Activation | None]) -> ModelFacts:
        """Return these facts for a file of several outputs.

        Args:
            activations: what each of them ends in, by what the file calls it; None, or left out: nobody knows.

        Raises:
            PluginError: one ends in another activation than its task wants.
        """
        return replace(self, outputs=tuple(_ending_in(one, activations) for one in self.outputs))

    def at_once(self, most: int) -> int:
        """Return how many samples to run the model on at once: `most`, or fewer where it allows only those."""
        return most if self.batch is msgspec.UNSET else min(most, self.batch)


def _ending_in(output: OutputFacts, activations: Mapping[str, Activation | None]) -> OutputFacts:
    wanted = output.activation
    ends = activations.get(output.tensor or output.name) if wanted != "none" else None
    if ends is not None and ends not in ("none", wanted) and not output.inside:
        msg = (
            f"the model's output {output.name!r} ends in a {ends}, but the data set's answers are those of a {wanted}\n"
            f"  let it end in a {wanted}, or in neither: the {wanted} is then applied to what it answers"
        )
        raise PluginError(msg)
    return output if ends is None else replace(output, inside=output.inside or ends != "none")


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's file shows of itself, whatever is said of it; None: it shows nothing of that.

    Attributes:
        activation: the one that the model, or its first output, ends in; `none` where it ends in none.
        activations: the same of each output by its name, where there are several.
        batch: see `ModelFacts.batch`; 1 where activations share one scale that is found while the model runs.
        signature: the tensors that it takes and answers.
        quantized: the names of those whose whole numbers stand for real ones, by a scale: clients have float32.
        utf8: whether it takes no `bytes` but texts in UTF-8.
    """

    activation: Activation | None = None
    activations: Mapping[str, Activation | None] = {}
    batch: int | None = None
    signature: Signature | None = None
    quantized: tuple[str, ...] = ()
    utf8: bool = False


def self_contained(facts: ModelFacts) -> ModelFacts:
    """Return `facts` for a model with preprocessing and activation inside: it takes raw samples, nothing is done to its answer."""
    inputs = tuple(replace(one, preprocessing=Preprocessing()) for one in facts.inputs)
    return replace(facts.answering("probabilities"), inputs=inputs)


class Model(msgspec.Struct, frozen=True):
    """A model in a folder: `model.json` and the file that it names."""

    folder: Path
    facts: ModelFacts

    @classmethod
    def open(cls, folder: Path | str) -> Model:
        """Open the model in `folder`.

        Raises:
            DataError: `model.json` is missing or damaged, or the file that it names is not there, or elsewhere.
        """
        model = cls(Path(folder), read_json(Path(folder) / "model.json", ModelFacts))
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
