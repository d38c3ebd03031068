"""`[tool.modelyard.signature]`: what a project says of the tensors in its model's file, where the file does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.component import Component, Parameter, check_values, default_of
from modelyard.errors import ConfigError
from modelyard.params import NonNegativeInt
from modelyard.toml.places import KeyPlace, Where

FED = ("state", "constant")
"""The keys of an input that nobody sends."""
_STREAM = (*FED, "overlap")
"""The keys that a server of modelyard's own goes by, and no other's."""


class Tensor(msgspec.Struct):
    """`[tool.modelyard.signature.TENSOR]`: one tensor, by what the model's file calls it.

    Attributes:
        name: of an input, the data set's array that goes there; of an output, what clients call it.
        axes: its axes without that of the batch: a name where the length varies.
        labels: of an output, the name of each element along the last axis.
        batch: of an output, whether its first axis is that of the batch; without one the model is run on one sample at a time.
        range: of an input, the lowest and the highest value that the server takes.
        state: of an input, the output that it is at the next step of a stream.
        initial: what each element of a state is before the first step.
        constant: of an input, what it always is.
        overlap: of an input, how many elements along its last axis are those at the end of the step before, zeros at first.
    """

    name: str = ""
    axes: list[str | int] = []
    labels: list[str] = []
    batch: bool = True
    range: tuple[float, float] | None = None
    state: str = ""
    initial: float = 0.0
    constant: bool | int | float | str | list[Any] | None = None
    overlap: NonNegativeInt = 0


PARAMETERS = {one.name: Parameter(one.name, one.type, default_of(one)) for one in msgspec.structs.fields(Tensor)}


def check_signature(tables: Mapping[str, Any], where: Where, runtime: Component) -> dict[str, dict[str, Any]]:
    """Return what is said of each tensor, each key checked; what is left out stays left out.

    Raises:
        ConfigError: a key is unknown or has another type, two do not go together, or no server goes by them.
    """
    return {
        name: _tensor(values, Where(where.source, (*where.tables, name)), runtime) for name, values in tables.items()
    }


def _tensor(values: Any, where: Where, runtime: Component) -> dict[str, Any]:
    if not isinstance(values, dict):
        msg = f"{where}: {values!r} is not a table\n  write what the tensor is, for instance {{ constant = 16000 }}"
        raise ConfigError(msg)
    found = {key: value for key, value in check_values(PARAMETERS, values, where).items() if key in values}
    _check_together(found, where)
    if runtime.server is None and (key := next((one for one in _STREAM if one in found), "")):
        msg = (
            f"{KeyPlace(where, key)}: the server of the runtime {runtime.name!r} comes with its image, and sends the model only what clients send\n"
            "  choose another runtime, for instance onnxruntime or litert"
        )
        raise ConfigError(msg)
    return found


def _check_together(found: Mapping[str, Any], where: Where) -> None:
    """Refuse keys of a tensor that do not go together.

    Raises:
        ConfigError: the input is fed in two ways, or it has what one that nobody sends cannot have.
    """
    fed = next((key for key in FED if key in found), "")
    allowed = {"state": ("state", "initial"), "constant": ("constant",)}.get(fed, ())
    for key in found:
        if fed and key not in allowed:
            msg = f"{KeyPlace(where, key)}: an input that has {fed!r} is sent by nobody\n  keep one of the two"
            raise ConfigError(msg)
    if "initial" in found and not fed:
        msg = f'{KeyPlace(where, "initial")}: there is no state that would begin with it\n  say which output it is at the next step: state = "..."'
        raise ConfigError(msg)
