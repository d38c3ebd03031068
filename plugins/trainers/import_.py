"""The trainer `import`: takes a model that is trained already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from modelyard import hookimpl
from modelyard.artifacts import Output, format_file
from modelyard.contexts import Lack, Problem
from modelyard.files.sizes import total_size
from modelyard.params import InputPath, OwnBuilder
from modelyard_plugins.formats.known import modelyard_read_model_file
from modelyard_plugins.support.importing import (
    DISTRIBUTIONS,
    SUFFIXES,
    bring,
    check_file,
    format_at,
    turn_input,
    turn_outputs,
)
from modelyard_plugins.support.tensor_names import named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import CheckContext, PreflightContext, TrainContext
    from modelyard.hookspecs import RegisterTrainer


WEIGHTS = ".safetensors"
_PICKLED = (
    "it may run any code when it is read; save the weights as .safetensors, or the program with torch.export.save"
)
_SAVED_OTHERWISE = {
    ".h5": "save it again as .keras: keras.models.load_model('it.h5', compile=False).save('it.keras')",
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _PICKLED),
}
"""What to do with a file of another suffix that models are often kept in."""


def import_model(
    context: TrainContext,
    *,
    path: InputPath,
    model_format: Literal["onnx", "keras", "tf_keras", "tflite", "torch", "saved_model"] | None = None,
    answers: Output | None = None,
    layout: Literal["channels-last", "channels-first"] = "channels-last",
    inputs: dict[str, str] | None = None,
    output: str = "",
    outputs: dict[str, str] | None = None,
    signature: str = "",
    builder: OwnBuilder = "",
    licence: str = "",
    origin: str = "",
) -> ModelFacts | None:
    """Bring a model that was trained elsewhere; its file stays what it is, byte for byte, unless `layout` turns its input or `signature` chooses one of several.

    An ONNX model that answers with the axis of the batch behind another, as recurrent networks do, is given an operator that
    puts it first.

    The model takes the data set's samples as `normalize` leaves them, each array as one tensor, and answers what the task wants.

    Args:
        context: the data set.
        path: the model's file: ONNX (`.onnx`), Keras (`.keras`), LiteRT (`.tflite`) or a program of torch.export (`.pt2`,
            saved without sample inputs); the folder of a SavedModel; of an ONNX model with external data, that with all of its
            files; or the weights of a PyTorch module (`.safetensors`), with a `builder`.
        model_format: the format of the file, where its suffix does not say it: `tf_keras` for a `.keras` file of Keras 2,
            `onnx` for a folder, `saved_model` for that of a TensorFlow SavedModel.
        answers: whether it answers `logits` or `probabilities`, where its file does not show it.
        layout: how a model of ONNX or PyTorch takes samples of two or more axes: with their channels last, as the data set has
            them, or first, as PyTorch's layers do; the model is then given a first operator that turns them.
        inputs: for a model of several inputs, which of its tensors each of the data set's arrays is, where the two have other
            names: `{ ids = "input_ids:0" }`.
        output: for a model that answers several tensors, the one that counts.
        outputs: where several count, which of its tensors each output with a task is, where the two have other names:
            `{ note = "StatefulPartitionedCall:1" }`.
        signature: of a SavedModel with several signatures, the one that is meant, where that is not `serving_default`; the
            others are taken out of it.
        licence: its licence, an SPDX expression; it is kept in the stage's record, in `model.json` and in the image's labels.
        origin: where it is from, for instance an address; it is kept as the licence is.
    """
    produces = format_of(path=path, model_format=model_format)
    place = context.out / format_file(produces)
    if is_weights(path):
        from modelyard_plugins.support.torch.built import write_built

        write_built(context, builder, Path(path), place, layout)
    else:
        bring(produces, Path(path), place, signature)
        check_file(produces, place, Path(path))
        if layout == "channels-first":
            _turn_input(context, produces, place, Path(path).name)
    turned = turn_outputs(place) if produces == "onnx" else []
    if turned:
        context.log(f"given an operator that puts the axis of the batch first: the outputs {', '.join(turned)}")
    told = {key: text for key, text in {"licence": licence, "origin": origin}.items() if text}
    size_bytes = total_size(place)
    context.metrics.update(size_bytes=size_bytes, **told)
    context.log(f"imported {Path(path).name}: {produces}, {size_bytes:,} bytes")
    if not (answers or inputs or output or outputs or told):
        return None
    facts = named(context.facts, inputs, output, outputs)
    return msgspec.structs.replace(
        facts.answering(answers) if answers else shown(facts, place, modelyard_read_model_file), **told
    )


def _turn_input(context: TrainContext, produces: str, place: Path, given: str) -> None:
    if produces == "onnx":
        turn_input(place)
    else:
        from modelyard_plugins.support.torch.built import turn_program

        turn_program(context, place, given)


def format_of(*, path: str, model_format: str | None, **_: Any) -> str:
    """Return the format of the model in the file `path`; empty if nothing says it."""
    if is_weights(path):
        return "torch"
    if model_format == "saved_model":
        return "tf_saved_model"  # what is called saved_model here takes raw samples
    return model_format or SUFFIXES.get(Path(path).suffix.lower(), "")


def is_weights(path: str) -> bool:
    """Whether the file holds weights alone, for a module that the project's `builder` makes."""
    return Path(path).suffix.lower() == WEIGHTS


def problems(
    _context: CheckContext,
    *,
    path: str,
    model_format: str | None,
    layout: str,
    signature: str,
    builder: str,
    **_: Any,
) -> Iterator[Problem]:
    """Yield that nothing says which format the file has, or that its input cannot be turned."""
    found = format_of(path=path, model_format=model_format)
    if layout != "channels-last" and found not in ("onnx", "torch", ""):
        why = "only a model of ONNX or PyTorch can be turned"
        yield Problem("layout", why, "export the model with its channels last")
    if signature and found not in ("tf_saved_model", ""):
        yield Problem("signature", "only a SavedModel has several signatures", "leave it out")
    if is_weights(path) and not builder:
        yield Problem("builder", "weights need a function that builds their module", "set builder = 'module:function'")
    if builder and not is_weights(path):
        yield Problem("builder", f"only a {WEIGHTS} file has one", "leave it out")
    if Path(path).name == "saved_model.pb":
        yield Problem("path", "it is one file of a SavedModel", "name its folder, and set model_format = 'saved_model'")
    elif not found:
        known, there = ", ".join(sorted((*SUFFIXES, WEIGHTS))), format_at(Path(path)).removeprefix("tf_")
        advice = f"set model_format = {there!r}" if there else "set model_format, for instance model_format = 'onnx'"
        advice = _SAVED_OTHERWISE.get(Path(path).suffix.lower(), advice)
        yield Problem("path", f"its suffix is none of {known}", advice)


def lacks(_context: PreflightContext, *, path: str, model_format: str | None, **_: Any) -> Iterator[Lack]:
    """Yield the distributions that read this format; those that are there count as nothing."""
    yield Lack("", install=DISTRIBUTIONS[format_of(path=path, model_format=model_format)])


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register(
        "import",
        import_model,
        produces=format_of,
        takes_model=False,
        learns=False,
        check=problems,
        preflight=lacks,
        deterministic=True,
        tools=(),
    )
