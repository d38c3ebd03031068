"""Opens the handlers that `MODELYARD_HANDLERS` names, and says what clients send and get where they stand around the model."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import HandlerError, StartError
from .handled import Handled
from .handlers import Chain, Handler, Place, may_be, who
from .tensor_facts import BYTES, Input, Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .handler_tensor import Tensor
    from .model import Facts, Predictor

SETTING = "MODELYARD_HANDLERS"


def said_of(text: str, name: str | None, version: str) -> str | None:
    """Return what `text` says of the handlers of one model; None: it has none.

    Args:
        text: the setting: JSON with the handlers of the only model, or with those of each of several, by `NAME/VERSION`.
        name: the model's name; None: it is the only one.
        version: its version.
    """
    if name is None or not is_by_model(text):
        return text
    own = json.loads(text).get(f"{name}/{version}")
    return None if own is None else json.dumps(own)


def is_by_model(text: str) -> bool:
    """Return whether the setting says the handlers of several models, each by its name and version."""
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and bool(said) and all("/" in key for key in said)


def handled(predictor: Predictor, facts: Facts, text: str) -> tuple[Predictor, Facts]:
    """Return a model with the handlers of the JSON `text` around it, and its facts as clients see them.

    Raises:
        StartError: one cannot be opened, or they do not fit the model.
    """
    chain = open_chain(text, facts)
    return Handled(predictor, chain, alone=facts.batch == 1 and not facts.joins), outer(facts, chain)


def open_chain(text: str, facts: Facts) -> Chain:
    """Return the handlers that the JSON `text` names: lists `before` and `after` of objects with `open`, `name` and `params`.

    Raises:
        StartError: it is no such JSON, or a handler cannot be opened.
    """
    try:
        said = json.loads(text)
        steps = {
            side: [(one["open"], one["name"], one["params"]) for one in said[side]] for side in ("before", "after")
        }
    except (KeyError, TypeError, ValueError) as exc:
        msg = f"{SETTING}: not what the image's builder writes: {exc!r}"
        raise StartError(msg) from exc
    place = Place({one.name: one.labels for one in facts.outputs})
    return Chain(**{side: tuple(opened(*step, place) for step in each) for side, each in steps.items()})


def opened(function: str, name: str, params: Mapping[str, Any], place: Place) -> Handler:
    """Return the handler that `function`, `module:function`, opens, by the name that messages call it.

    Raises:
        StartError: there is no such function, or it raises.
    """
    module, _, attribute = function.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)(place, **params)
    except Exception as exc:
        msg = f"{SETTING}: {name!r} cannot be opened: {type(exc).__name__}: {' '.join(str(exc).split())}"
        raise StartError(msg) from exc
    return named(found, name)


def named(found: Any, name: str, file: str = "") -> Handler:
    """Return the handler that a function returned, by the name, and the file, that messages call it.

    Raises:
        StartError: it is none.
    """
    if not isinstance(found, Handler):
        msg = f"{who(name, file)}: returned {found!r:.80}\n  write: return place.handler(run, takes, gives)"
        raise StartError(msg)
    return replace(found, name=name, file=file)


def outer(facts: Facts, chain: Chain) -> Facts:
    """Return the model's facts as clients see them: what they send, and what they get.

    Raises:
        StartError: the handlers do not fit the model's tensors, or each other.
    """
    try:
        given, wanted, gives = chain.model_inputs(), chain.model_outputs(), chain.outputs()
    except HandlerError as exc:
        msg = f"{SETTING}: {exc}"
        raise StartError(msg) from exc
    inputs, outputs = {one.name: one for one in facts.inputs}, {one.name: one for one in facts.outputs}
    _check(given.values(), inputs, "give", "takes")
    _check(wanted.values(), outputs, "take", "answers")
    sent = [_input(one) for one in chain.inputs().values()]
    sent += [one for name, one in inputs.items() if name not in given]
    got = [one for name, one in outputs.items() if chain.let_by(name) and name not in gives]
    got += [_output(one, outputs.get(name)) for name, one in gives.items()]
    return replace(facts, inputs=tuple(sent), outputs=tuple(got))


def _check(tensors: Iterable[Tensor], model: Mapping[str, Input | Output], verb: str, does: str) -> None:
    for one in tensors:
        own = model.get(one.name)
        if own is None:
            known = ", ".join(map(repr, model))
            msg = f"{SETTING}: the handlers {verb} {one.name!r}, but the model {does} {known}"
            raise StartError(msg)
        if _dtype(one) != own.dtype or not may_be(one.shape, own.shape):
            theirs = f"{one.dtype}, shape {one.shape}"
            said = f"{'bytes' if own.dtype == BYTES else own.dtype}, shape {own.shape}"
            msg = f"{SETTING}: the handlers {verb} {one.name!r} as {theirs}, but the model {does} {said}"
            raise StartError(msg)


def _input(one: Tensor) -> Input:
    return Input(one.name, _dtype(one), one.shape, may_miss=one.may_miss)


def _output(one: Tensor, own: Output | None) -> Output:
    """Return an output that a handler gives; one that it lets go on has the names that the model's has."""
    return Output(one.name, _dtype(one), one.shape, labels=own.labels if own is not None else ())


def _dtype(one: Tensor) -> np.dtype[Any]:
    return BYTES if one.dtype == "bytes" else np.dtype(one.dtype)
