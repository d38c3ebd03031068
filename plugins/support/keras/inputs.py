"""What a model of either Keras takes: a tensor, or where it has several inputs a dict of tensors by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, listing
from modelyard_plugins.support.heads import each_answer
from modelyard_plugins.support.onnx.export import OUTPUT
from modelyard_plugins.support.training import check_answer, check_input_dtype, check_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.artifacts import DatasetFacts
    from modelyard.tensors import InputFacts


def named_inputs(model: Any) -> dict[str, Any]:
    """Return the symbolic tensors that `model` takes, by name, in its own order."""
    return {tensor.name.partition(":")[0]: tensor for tensor in model.inputs}


def output_names(model: Any) -> list[str]:
    """Return what several outputs of `model` are called in an exported file, in order; an only one has its name."""
    return [OUTPUT] if len(model.outputs) == 1 else list(model.output_names)


def type_of(tensor: Any) -> str:
    """Return the type of a symbolic tensor: `float32`, `int32` ..."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def type_name(dtype: str) -> str:
    """Return what TensorFlow calls the type of samples of `dtype`: texts are of the type `string`."""
    return "string" if dtype == "bytes" else dtype


def given(inputs: Sequence[InputFacts], arrays: Mapping[str, Any]) -> Any:
    """Return `arrays`, by the names that a sample's inputs have, as a model takes them: by those that its file has.

    Args:
        inputs: the inputs of a sample, as the model's facts have them.
        arrays: an array or tensor for each.
    """
    if len(inputs) == 1:
        return arrays[inputs[0].name]
    return {one.tensor or one.name: arrays[one.name] for one in inputs}


def check_inputs(model: Any, facts: DatasetFacts) -> None:
    """Check that `model` takes the data set's samples, and answers what its task wants.

    Raises:
        PluginError: it does not.
    """
    _check_answers(model, facts)
    if len(facts.inputs) == 1:
        takes, wanted = model.input_shape, (None, *facts.input_shape)
        check_shape(model.name, "takes", takes[0] if isinstance(takes, list) else takes, wanted)
        check_input_dtype(model.name, type_of(model.inputs[0]), facts.input)
        return
    tensors, names = named_inputs(model), [one.name for one in facts.inputs]
    if set(tensors) != set(names):
        msg = (
            f"the model {model.name!r} takes {listing(list(tensors))}, but the data set's arrays are {listing(names)}\n"
            "  name its inputs like them, for instance Input(shape, name='ids')"
        )
        raise PluginError(msg)
    for one in facts.inputs:
        name = f"{model.name}.{one.name}"
        check_shape(name, "takes", tuple(tensors[one.name].shape), (None, *facts.shapes[one.name]))
        check_input_dtype(name, type_of(tensors[one.name]), one)


def _check_answers(model: Any, facts: DatasetFacts) -> None:
    """Check the shape of each answer; where there are several, the model's are in the order of the outputs."""
    if not facts.losses:
        check_answer(model.name, model.output_shape, facts.output_shape)
        return
    shapes = dict(zip((one.name for one in facts.outputs), model.output_shape, strict=True))
    for name, shape in each_answer(facts).items():
        check_answer(f"{model.name}.{name}", tuple(shapes[name]), shape)
