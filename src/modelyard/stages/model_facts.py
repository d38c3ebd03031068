"""What `model.json` says: what the component that made the model returned, held against what its file shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import FileFacts, Model, ModelFacts, Output, format_file
from modelyard.component import kind_name
from modelyard.errors import PluginError, StageFailed
from modelyard.files.json import write_json
from modelyard.stages.batchless import without_batch
from modelyard.stages.signature_check import misfit
from modelyard.stages.told_signature import bind, with_axes
from modelyard.tensors import ANY_SHAPE, HELD, TIME, held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.component import Component
    from modelyard.execution.job import Job
    from modelyard.signature import Axis, TensorSpec
    from modelyard.tensors import Activation, OutputFacts


def write_model_facts(
    job: Job,
    role: str,
    given: ModelFacts,
    told: Any,
    warnings: tuple[str, ...] = (),
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> ModelFacts:
    """Write `model.json` beside the file that the component `role` wrote, and return what it says.

    Args:
        job: the stage.
        role: `trainer` or `optimizer`.
        given: what was known before: of the data set and the untrained model, or of the parent model.
        told: what the component returned: nothing, or facts.
        warnings: what it warned of.
        said: what the project says of the file's tensors, by their names there.

    Raises:
        PluginError: it returned something else, did not write its file or left it empty, or contradicts the file.
        StageFailed: the file takes or answers other tensors than the data set's, or than those that the project speaks of.
    """
    component, produces = job.stage.uses[role].component, job.stage.uses[role].produces
    _check_told(component, told)
    facts = msgspec.structs.replace(
        told or given,
        format=produces,
        file=format_file(produces),
        warnings=tuple(dict.fromkeys((*given.warnings, *warnings))),
    )
    model = Model(job.base.out, facts)
    _check_written(model, component)
    shown = job.plugins.hooks.read_model_file(model) or FileFacts()
    if said:
        facts = bind(facts, said, shown.signature)
    facts = without_batch(facts, shown.signature, said or {})
    handled = job.config.settings.handlers.outputs
    if shown.signature and (why := misfit(shown.signature, facts, shown.quantized, handled, utf8=shown.utf8)):
        msg = f"the {kind_name(component.kind)} {component.name!r} gave a model that {why}"
        raise StageFailed(msg)
    if len(facts.outputs) > 1 and not shown.activations:
        _check_said(facts, role, told)
    elif len([one for one in facts.outputs if one.activation != "none"]) > 1:
        facts = facts.each_ending_in(shown.activations)
    elif activation := _activation(facts, shown):
        facts = _seen(facts, activation, _said(job, component, told))
    facts = _as_in_file(facts, shown)
    if said:
        facts = with_axes(facts, said, shown.signature)
    facts = msgspec.structs.replace(
        facts,
        batch=facts.batch if shown.batch is None else shown.batch,
        signature=shown.signature or msgspec.UNSET,
    )
    write_json(job.base.out / "model.json", facts)
    return facts


def _as_in_file(facts: ModelFacts, shown: FileFacts) -> ModelFacts:
    """Return facts in which an output that the task leaves open is as long, and of the type, as the file says."""
    if shown.signature is None:
        return facts
    tensors = {one.name: one for one in shown.signature.outputs}
    only = shown.signature.outputs[0] if len(tensors) == 1 else None
    time = (TIME,) if facts.looped else ()
    known = {axis for one in facts.inputs for axis in one.shape if isinstance(axis, str)}
    outputs = ((one, tensors.get(one.tensor or one.name, only), shown.quantized) for one in facts.outputs)
    return msgspec.structs.replace(facts, outputs=tuple(_opened(*one, time, known) for one in outputs))


def _opened(
    output: OutputFacts, file: TensorSpec | None, quantized: Sequence[str], time: tuple[Axis, ...], known: set[str]
) -> OutputFacts:
    if file is None:
        return output
    if output.shape == ANY_SHAPE and held(file.dtype) in HELD and file.name not in quantized:
        output = msgspec.structs.replace(output, dtype=held(file.dtype))
    varying = {axis for axis in output.shape if isinstance(axis, str)}
    if file.shape is None or varying <= known:
        return output
    return msgspec.structs.replace(output, shape=(*time, *output.sample_axes(file.shape)))


def _said(job: Job, component: Component, told: ModelFacts | None) -> tuple[Component, Output] | None:
    """Return which component says what the model answers: the one that wrote the file, else the untrained model's."""
    if told is not None:
        return component, told.output
    model = job.stage.uses.get("model")
    return (model.component, model.component.answers) if model and model.component.answers else None


def _activation(facts: ModelFacts, shown: FileFacts) -> Activation | None:
    """Return what the output that is the task's answer ends in; None: the file does not show it."""
    counted = facts.counted
    return shown.activations.get(counted.tensor or counted.name, shown.activation)


def _check_said(facts: ModelFacts, role: str, told: ModelFacts | None) -> None:
    """Check that somebody says what each of several outputs ends in, where the file does not show it.

    Raises:
        StageFailed: nobody does.
    """
    unsaid = [one for one in facts.outputs if one.activation != "none"]
    if role == "trainer" and told is None and unsaid:
        msg = (
            f"the file {facts.file!r} does not show whether its output {unsaid[0].name!r} ends in a {unsaid[0].activation}\n"
            '  say so for all of its outputs, [tool.modelyard.train] answers = "probabilities" or "logits"; a trainer of your own returns ModelFacts'
        )
        raise StageFailed(msg)


def _seen(facts: ModelFacts, activation: Activation, said: tuple[Component, Output] | None) -> ModelFacts:
    """Return `facts` with what the file shows: the activation that it ends in.

    Raises:
        PluginError: the component that says what the model answers says something else.
    """
    seen = facts.ending_in(activation)
    if said and said[1] != seen.output and facts.counted.activation != "none":
        raise _contradiction(facts, said, seen.output, activation)
    return seen


def _contradiction(
    facts: ModelFacts, said: tuple[Component, Output], shown: Output, activation: Activation
) -> PluginError:
    component, output = said
    why = "" if activation == "none" else f" (it ends in a {activation})"
    return PluginError(
        f"the {kind_name(component.kind)} {component.name!r} ({component.file}) says that the model answers {output}, "
        f"but the file {facts.file!r} shows that it answers {shown}{why}\n"
        f"  let it say {shown}, or nothing: then the file is believed"
    )


def _check_told(component: Component, told: Any) -> None:
    if told is not None and not isinstance(told, ModelFacts):
        msg = (
            f"the {kind_name(component.kind)} {component.name!r} ({component.file}) returned {told!r:.80}\n"
            "  it returns nothing, or ModelFacts where the new model takes or answers something else"
        )
        raise PluginError(msg)


def _check_written(model: Model, component: Component) -> None:
    path = model.path
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        found = ", ".join(sorted(p.name for p in model.folder.iterdir())) or "nothing"
        msg = (
            f"{component.name!r} is registered with produces={model.facts.format!r} but did not write "
            f"{model.facts.file!r}\n  it wrote: {found}"
        )
        raise PluginError(msg)
