"""The trainer `command`: any script, notebook or program that reads the data set and writes a model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import Output, format_file
from modelyard.contexts import Lack, Problem
from modelyard.params import InputPath
from modelyard_plugins.formats.known import modelyard_read_model_file
from modelyard_plugins.support.commands import read_metrics, run_program, run_script
from modelyard_plugins.support.notebooks import is_notebook, no_parameters, run_notebook
from modelyard_plugins.support.tensor_names import named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import CheckContext, PreflightContext, TrainContext
    from modelyard.hookspecs import RegisterTrainer

_PYTHON = ("python", "python3")
_PLACES = ("dataset", "out", "model", "input", "seed", "threads")


def command(
    context: TrainContext,
    *,
    run: str,
    produces: Literal["onnx", "keras", "tf_keras", "tflite", "torch", "saved_model"],
    input: InputPath | None = None,  # noqa: A002 - what it is called in the command, too
    answers: Output | None = None,
    inputs: dict[str, str] | None = None,
    output: str = "",
    outputs: dict[str, str] | None = None,
) -> ModelFacts | None:
    """Train by a command: `python train.py --data {dataset} --out {model}`, a notebook, or any program.

    A Python script runs in the stage's own process, as the file that it is: its code counts by meaning, with all of the
    project that it imports, and a file of the project that it reads without saying so fails the stage. So does a notebook,
    `train.ipynb data={dataset} model={model}`: its code cells, with these variables set behind the cell that is tagged
    `parameters`. Of another program the words count, and `input`.

    Args:
        context: the data set.
        run: the command, split into words as a shell would; no shell runs it. `{dataset}` is the data set's folder, `{model}`
            the file to write, `{out}` the folder around it, `{input}` the value of `input`, `{seed}` and `{threads}` are
            numbers. A line `modelyard: {"done": 3, "total": 10, "unit": "epochs"}` on its output shows how far it is, and
            numbers in `{out}/metrics.json` are kept with the stage.
        produces: the format of the model that it writes; `saved_model` is the folder that `tf.saved_model.save` writes.
        input: a further file or folder that it reads, for instance weights to start from; its content counts.
        answers: whether the model answers `logits` or `probabilities`, where its file does not show it.
        inputs: for a model of several inputs, which of its tensors each of the data set's arrays is, where the two have other
            names: `{ ids = "input_ids:0" }`.
        output: for a model that answers several tensors, the one that counts.
        outputs: where several count, which of its tensors each output with a task is, where the two have other names:
            `{ note = "StatefulPartitionedCall:1" }`.
    """
    facts = named(context.facts, inputs, output, outputs)  # told before hours of training
    place = context.out / format_file(format_of(produces=produces))
    places = {
        "dataset": context.dataset.folder,
        "out": context.out,
        "model": place,
        "input": input or "",
        "seed": context.seed,
        "threads": context.threads,
    }
    words = [_filled(word, places) for word in shlex.split(run)]
    if is_notebook(words[0]):
        run_notebook(context, words)
    elif _script(run):
        run_script(context, words[1:])
    else:
        run_program(context, words)
    context.metrics.update(read_metrics(context.out / "metrics.json"))
    if not (answers or inputs or output or outputs):
        return None
    return facts.answering(answers) if answers else shown(facts, place, modelyard_read_model_file)


def format_of(*, produces: str, **_: Any) -> str:
    """Return the format of the model that is written; what is called saved_model elsewhere takes raw samples."""
    return "tf_saved_model" if produces == "saved_model" else produces


def _filled(word: str, places: Mapping[str, object]) -> str:
    """Return `word` with each place in it filled in; other braces stay."""
    for name, value in places.items():
        word = word.replace(f"{{{name}}}", str(value))
    return word


def _words(run: str) -> list[str]:
    try:
        return shlex.split(run)
    except ValueError:  # told by `problems`
        return []


def _script(run: str) -> str:
    """Return the Python file or notebook that the command runs, or nothing."""
    words = _words(run)
    if words and is_notebook(words[0]):
        return words[0]
    return words[1] if len(words) > 1 and words[0] in _PYTHON and words[1].endswith(".py") else ""


def scripts(*, run: str, **_: Any) -> tuple[str, ...]:
    """Return the project's Python file or notebook that the command runs."""
    return (_script(run),) if _script(run) else ()


def problems(_context: CheckContext, *, run: str, input: str | None, **_: Any) -> Iterator[Problem]:  # noqa: A002
    """Yield what cannot be run, and what would leave no model."""
    words = _words(run)
    if not words:
        yield Problem("run", "it is no command", "write words, with quotes closed: python train.py --out {model}")
    elif words[0] in _PYTHON and not _script(run):
        yield Problem(
            "run", "it runs Python, but no file of the project", "name a script: python train.py --out {model}"
        )
    elif is_notebook(words[0]) and (wrong := no_parameters(words[1:])):
        yield Problem(
            "run", f"{wrong[0]!r} is no variable with a value", "write: train.ipynb data={dataset} model={model}"
        )
    elif "{out}" not in run and "{model}" not in run:
        yield Problem("run", "it does not say where the model goes", "put {model} or {out} among its words")
    if "{input}" in run and input is None:
        yield Problem("run", "it names {input}, which is not set", "set input, or leave {input} out")


def lacks(_context: PreflightContext, *, run: str, **_: Any) -> Iterator[Lack]:
    """Yield that the program is not there, or what runs a notebook."""
    from shutil import which

    program = _words(run)[0]
    if is_notebook(program):
        yield Lack("", install=("ipython",))
    elif not _script(run) and which(program) is None:
        yield Lack(
            f"the command {program!r} is not found on PATH", "install it, or name another in [tool.modelyard.train]"
        )


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register(
        "command",
        command,
        produces=format_of,
        takes_model=False,
        check=problems,
        preflight=lacks,
        scripts=scripts,
    )
