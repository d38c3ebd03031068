"""How the answer to a request is wanted."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..sequences import Step, read_step
from ..tensors import TensorError, text
from .objects import as_object, flag, names, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..served import Served


@dataclass(frozen=True)
class Output:
    """How one output is wanted.

    Attributes:
        name: which.
        binary: as bytes behind the JSON.
        classes: the names of so many classes, the likeliest first, in place of every number; 0: all of these.
    """

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True)
class Wanted:
    """How the answer is wanted.

    Attributes:
        id: the request's, given back.
        binary: what is not asked for by itself, as bytes behind the JSON.
        outputs: those that are wanted, in this order; none: all of them.
        timeout_s: how long the request may wait, in seconds; None: it does not say.
        step: of which sequence the request is a step; None: of none.
    """

    id: str | None = None
    binary: bool = False
    outputs: tuple[Output, ...] = ()
    timeout_s: float | None = None
    step: Step | None = None

    def of(self, model: Served) -> tuple[Output, ...]:
        """Return the outputs that are wanted of `model`."""
        return self.outputs or _all_of(tuple(model.outputs), self.binary)


@functools.cache
def _all_of(names: tuple[str, ...], binary: bool) -> tuple[Output, ...]:
    return tuple(Output(name, binary) for name in names)


PLAINLY = Wanted()
_WISHES = {"id", "parameters", "outputs"}
"""The keys of a request that say how the answer is wanted; most have none."""


def read_wanted(request: dict[str, Any], model: Served) -> Wanted:
    """Return how the output is wanted; what is asked for is checked on the way.

    Raises:
        TensorError: it asks for what is not there.
    """
    if not request.keys() & _WISHES:
        return PLAINLY
    name, parameters = _id(request), parameters_of(request)
    step, timeout_s = read_step(parameters, model.no_sequences), _timeout_s(parameters)
    default = flag(parameters, "binary_data_output", default=False)
    outputs = request.get("outputs")
    if outputs is None or outputs == []:
        return Wanted(name, default, timeout_s=timeout_s, step=step)
    if not isinstance(outputs, list) or len(outputs) > len(model.outputs):
        count = "one tensor" if len(model.outputs) == 1 else f"at most {len(model.outputs)} tensors"
        msg = f"'outputs' must be a list of {count}, {names(model.outputs)}"
        raise TensorError(msg)
    return Wanted(name, default, tuple(_wanted_outputs(outputs, model, default=default)), timeout_s, step)


def _id(request: dict[str, Any]) -> str | None:
    value = request.get("id")
    if value is not None and not isinstance(value, str):
        msg = f"'id' is {text(value)}, expected text"
        raise TensorError(msg)
    return value


def _wanted_outputs(outputs: list[Any], model: Served, *, default: bool) -> Iterator[Output]:
    asked: list[str] = []  # no set: what stands for a name may be a list
    for one in outputs:
        output = as_object(one, "an output")
        name = output.get("name")
        if not isinstance(name, str) or name not in model.outputs or name in asked:
            what = "output asked for twice:" if name in asked else "unknown output"
            msg = f"{what} {text(name)}; model {model.name!r} answers {names(model.outputs)}"
            raise TensorError(msg)
        asked.append(name)
        parameters = parameters_of(output)
        yield Output(name, flag(parameters, "binary_data", default=default), _classes(parameters, model, name))


def _timeout_s(parameters: dict[str, Any]) -> float | None:
    """Return how long a request may wait, in seconds; that there is one priority only is checked on the way.

    Source: Triton, extension_schedule_policy.md: 0 is what the server does anyway, for both.
    """
    priority, timeout_us = parameters.get("priority", 0), parameters.get("timeout", 0)
    if type(priority) is not int or priority != 0:
        msg = f"'priority' is {text(priority)}, but requests wait in one line here; leave it out, or ask with 0"
        raise TensorError(msg)
    if type(timeout_us) is not int or not 0 <= timeout_us < 1 << 64:
        msg = f"'timeout' is {text(timeout_us)}, expected microseconds, a whole number"
        raise TensorError(msg)
    return timeout_us / 1e6 if timeout_us else None


def _classes(parameters: dict[str, Any], model: Served, name: str) -> int:
    """Return how many classes are asked for; Triton's extension "classification"."""
    count, spec = parameters.get("classification", 0), model.outputs[name]
    if count == 0 and type(count) is int:
        return 0
    if len(spec.shape) != 1 or not spec.is_fixed or spec.dtype.kind not in "fiu":
        msg = f"'classification' of output {name!r}, which holds no number a class; leave it out"
        raise TensorError(msg)
    if type(count) is not int or count < 0:
        msg = f"'classification' is {text(count)}, expected a whole number, 1 to {spec.shape[0]}"
        raise TensorError(msg)
    return min(count, int(spec.shape[0]))
