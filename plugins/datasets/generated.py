"""The data set `generated`: samples at random, of the shapes that a model takes, for a model that comes without data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard import hookimpl
from modelyard.artifacts import FileFacts, Model, ModelFacts, Splits
from modelyard.errors import DataError, did_you_mean, listing
from modelyard.params import InputPath, PositiveInt
from modelyard.signature import NO_TENSORS
from modelyard_plugins.support.importing import SUFFIXES, format_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register
    from modelyard.signature import TensorSpec


_WHOLE = ("uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
"""Types of whole numbers of which samples are int32 or int64; those of bytes are pictures."""


def generated(
    context: StageContext,
    *,
    model: InputPath,
    samples: PositiveInt = 256,
    length: PositiveInt = 16,
    high: PositiveInt = 100,
    inputs: dict[str, list[PositiveInt]] | None = None,
    signature: str = "",
) -> Splits:
    """Random samples of the shapes that a model's file takes; there are no labels.

    Real samples say more: what is measured on these is whether a variant answers as the model did, not how good it is.

    Args:
        context: the seed decides the samples.
        model: the model's file or folder, whose inputs they are for.
        samples: how many, half of them for testing.
        length: how long an axis is whose length varies.
        inputs: the axes of a sample, without that of the batch, for each input that is sent, where it is not all of them as
            the file has them: `{ samples = [25, 4] }` are streams of 25 steps for a model that keeps a state.
        high: whole numbers are from 0 to below this, or as far as their type goes, bytes are of their whole range, truth
            values 0 or 1; other numbers have mean 0 and deviation 1.
        signature: of a SavedModel with several signatures, the one whose inputs they are for, as the trainer `import` has it.
    """
    import numpy as np

    random = np.random.default_rng(context.seed)
    shown, quantized = _shown(Path(model), signature)
    taken = _chosen(shown, inputs)
    _check_axes(taken, Path(model))
    found = {one.name: _array(one, quantized, samples, length, high, random) for one in taken}
    cut = samples - samples // 2
    if len(found) == 1 and (x := next(iter(found.values()))).ndim > 1:
        return Splits(x[:cut], None, x[cut:], None, value_range=None)
    named = {re.sub(r"[^\w.-]", "_", name): array for name, array in found.items()}
    train, test = ({name: array[rows] for name, array in named.items()} for rows in (slice(cut), slice(cut, None)))
    return Splits(train, None, test, None, value_range=None)


def _shown(path: Path, signature: str) -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """Return the tensors that the model in the file `path` takes, and the names of its quantized ones.

    Raises:
        DataError: the file does not say.
    """
    from modelyard_plugins.formats.known import modelyard_read_model_file

    known = ModelFacts(format=format_at(path), file=path.name, task="", inputs=(), outputs=())
    shown = modelyard_read_model_file(Model(path.parent, known)) or FileFacts()
    if known.format == "tf_saved_model":
        from modelyard_plugins.support.keras.brought_saved_model import brought_facts, signature_key

        signature_key(path, signature)  # says which there are, where none is meant
        shown = brought_facts(path, signature)
    taken = shown.signature.inputs if shown.signature else ()
    if not taken:
        msg = (
            f"{path}: does not say which tensors it takes\n"
            f"  samples are generated for {', '.join(sorted(SUFFIXES))} and SavedModels; for another model write a data set of your own"
        )
        raise DataError(msg)
    return taken, shown.quantized


def _chosen(taken: tuple[TensorSpec, ...], inputs: dict[str, list[int]] | None) -> tuple[TensorSpec, ...]:
    """Return the inputs that are sent, with the axes that they shall have.

    Raises:
        DataError: the file has no such input, or one of them says no axes of its own.
    """
    names = [one.name for one in taken]
    for name in inputs or ():
        if name not in names:
            msg = f"[tool.modelyard.dataset]: key 'inputs': the model has no input {name!r}{did_you_mean(name, names)}\n  it takes: {listing(names)}"
            raise DataError(msg)
    if inputs is None:
        return taken
    return tuple(msgspec.structs.replace(one, shape=("", *inputs[one.name])) for one in taken if one.name in inputs)


def _check_axes(taken: tuple[TensorSpec, ...], path: Path) -> None:
    for one in taken:
        if one.dtype in NO_TENSORS:
            msg = f"{path}: takes {one.name!r}, of the kind {one.dtype!r}, and clients send tensors\n  export the model with tensors alone"
            raise DataError(msg)
        if one.shape == ():
            msg = (
                f"{path}: {one.name!r} is one value, whatever the samples are, so that nobody sends it\n"
                f"  say it: [tool.modelyard.signature] {one.name!r} = {{ constant = ... }}, and name the inputs that are sent here: inputs = {{ ... = [...] }}"
            )
            raise DataError(msg)
        if not one.shape:
            msg = f"{path}: does not say which axes a sample of {one.name!r} has\n  say it: inputs = {{ {one.name!r} = [...] }}; what nobody sends is left out"
            raise DataError(msg)


def _array(
    one: TensorSpec, quantized: Sequence[str], samples: int, length: int, high: int, random: Any
) -> NDArray[np.generic]:
    import numpy as np

    assert one.shape is not None
    shape = (samples, *(axis if isinstance(axis, int) else length for axis in one.shape[1:]))
    if one.dtype == "uint8":
        return random.integers(0, 256, shape, "uint8")  # type: ignore[no-any-return]
    if one.dtype == "bool":
        return random.integers(0, 2, shape, "int32")  # type: ignore[no-any-return]
    if one.dtype in _WHOLE and one.name not in quantized:
        held = "int64" if one.dtype in ("int64", "uint32", "uint64") else "int32"
        most = min(high, int(np.iinfo(one.dtype).max) + 1)
        return random.integers(0, most, shape, held)  # type: ignore[no-any-return]
    if one.dtype.startswith("float") or not one.dtype or one.name in quantized:
        return random.standard_normal(shape, "float32")  # type: ignore[no-any-return]
    msg = f"the model takes {one}, for which no samples are generated\n  write a data set of your own"
    raise DataError(msg)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("generated", generated, tools=("numpy",), deterministic=True)
