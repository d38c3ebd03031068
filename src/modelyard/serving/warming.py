"""Before the first client: the model is run, what it answers is looked at, and how long it takes is measured."""

from __future__ import annotations

import logging
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, StartError
from .logs import log
from .tensor_facts import BYTES, fits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .model import Facts, Predictor
    from .tensor_facts import Input

_TIMED = 5
_MANY, _PAYS = 16, 0.8
"""So many samples at once must take less than this part of as many alone."""
_LENGTHS = (32, 16, 64, 128, 256, 512, 8, 1)
"""How long an axis that varies is tried to be: a model may want some length at least, at most, or a multiple of one."""


def warm_up(predictor: Predictor, facts: Facts) -> dict[str, NDArray[Any]] | None:
    """Let the model predict, for the first prediction is the slow one; return the sample that it was given.

    None: its samples vary, and it takes none of those that are tried.

    Raises:
        StartError: it does not take a sample of the lowest values, or answers otherwise than `model.json` says.
    """
    wrong: Exception | None = None
    for length in _LENGTHS if facts.varies else (1,):
        sample = {one.name: _lowest(one, length) for one in facts.inputs}
        try:
            answers = predictor.run(sample)
        except (InputError, RuntimeError, ValueError) as exc:
            wrong = exc
            continue
        _check(answers, facts, length)
        return sample
    if facts.varies:
        log(logging.WARNING, "not warmed up", reason=f"the model takes no sample of zeros of any length tried: {wrong}")
        return None
    msg = f"{facts.file}: the model does not take a sample of zeros: {wrong}"
    raise StartError(msg) from wrong


def batches(
    setting: str, predictor: Predictor, sample: Mapping[str, NDArray[Any]] | None, alone_s: float | None
) -> bool:
    """Return whether requests that wait are predicted together: as set, or as it is measured here to pay.

    It is measured at every start, not when the image is built: that is another machine, and the image is the same there.
    """
    if setting != "auto" or alone_s is None or sample is None:
        return setting == "on"
    many = {name: np.repeat(array, _MANY, axis=0) for name, array in sample.items()}
    predictor.run(many)
    return median_s(predictor, many) / _MANY < _PAYS * alone_s


def median_s(predictor: Predictor, sample: Mapping[str, NDArray[Any]]) -> float:
    """Return how long the model takes for `sample`, in seconds."""
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        predictor.run(sample)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _lowest(one: Input, length: int) -> NDArray[Any]:
    """Return a sample of the lowest values, or of empty texts."""
    shape = (1, *(axis if isinstance(axis, int) else length for axis in one.shape))
    low = one.value_range[0] if one.value_range else 0
    return np.full(shape, b"" if one.dtype == BYTES else low, one.dtype)


def _check(answers: Mapping[str, NDArray[Any]], facts: Facts, length: int) -> None:
    lengths = {axis: length for one in facts.inputs for axis in one.shape if isinstance(axis, str)}
    for one in facts.outputs:
        if one.name not in answers:
            msg = f"{facts.file}: answers {', '.join(map(repr, answers))}; model.json says {one.name!r}, too"
            raise StartError(msg)
        shape = np.shape(answers[one.name])
        if shape[:1] != (1,) or not fits(shape[1:], one.shape, lengths):
            msg = f"{facts.file}: answers shape {shape}; model.json says {(1, *one.shape)} of {one.name!r}"
            raise StartError(msg)
        if answers[one.name].dtype != one.dtype:
            msg = f"{facts.file}: output {one.name!r} is {answers[one.name].dtype}; model.json says {one.dtype}"
            raise StartError(msg)
