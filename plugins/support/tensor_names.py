"""What a model's file calls the tensors of the data set and the task, where a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.artifacts import Model
from modelyard.errors import DataError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelyard.artifacts import FileFacts, ModelFacts


def named(
    facts: ModelFacts, inputs: Mapping[str, str] | None, output: str, outputs: Mapping[str, str] | None
) -> ModelFacts:
    """Return facts that say what the file calls its tensors.

    Args:
        facts: of the data set's arrays, and of the outputs that the task wants.
        inputs: the file's name of each of the data set's arrays.
        output: the file's name of the only answer that counts; empty: it is called as the task's, or is the only one.
        outputs: the file's name of each output with a task.

    Raises:
        DataError: the data set has no such array, or the project no such output.
    """
    return _named(facts, inputs or {}, _outputs(facts, output, outputs))


def shown(facts: ModelFacts, place: Path, read: Callable[[Model], FileFacts | None]) -> ModelFacts:
    """Return facts with the activation that the file in `place` ends in, if it shows that; `read` looks into it.

    Raises:
        DataError: of several outputs the file does not show it.
    """
    found, counted = read(Model(place.parent, facts)), facts.counted
    ends = [one for one in facts.outputs if one.activation != "none"]
    if len(facts.outputs) > 1 and ends and not (found and found.activations):
        msg = (
            f"[tool.modelyard.train]: {place.name!r} does not show whether its output {ends[0].name!r} ends in a {ends[0].activation}\n"
            '  say so for all of its outputs: answers = "probabilities" or "logits"'
        )
        raise DataError(msg)
    if found is None or len(ends) > 1:  # of several the stage looks at each
        return facts
    activation = found.activations.get(counted.tensor or counted.name, found.activation)
    return facts.ending_in(activation) if activation else facts


def _outputs(facts: ModelFacts, output: str, outputs: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return what the file calls each output.

    Raises:
        DataError: one tensor is named, and there are several outputs.
    """
    if not output:
        return outputs or {}
    if len(facts.outputs) > 1 or outputs:
        msg = (
            f"[tool.modelyard.train]: key 'output': {output!r} is one tensor, but there are several outputs\n"
            f"  say which each is, for instance outputs = {{ {facts.outputs[0].name} = {output!r} }}"
        )
        raise DataError(msg)
    return {facts.answer.name: output}


def _named(facts: ModelFacts, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> ModelFacts:
    _check_known("inputs", "the data set has no array", inputs, [one.name for one in facts.inputs])
    _check_known("outputs", "there is no output", outputs, [one.name for one in facts.outputs])
    replace = msgspec.structs.replace
    return replace(
        facts,
        inputs=tuple(replace(one, tensor=inputs.get(one.name, "")) for one in facts.inputs),
        outputs=tuple(replace(one, tensor=outputs.get(one.name, "")) for one in facts.outputs),
    )


def _check_known(key: str, lacks: str, names: Mapping[str, str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            msg = (
                f"[tool.modelyard.train]: key {key!r}: {lacks} {name!r}{did_you_mean(name, known)}\n"
                f"  {'arrays' if key == 'inputs' else key}: {listing(known)}"
            )
            raise DataError(msg)
