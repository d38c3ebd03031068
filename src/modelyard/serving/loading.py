"""Models come into memory: they are opened, warmed up, timed, and given the name that clients call them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .backends import BUILT_IN, open_model
from .errors import StartError
from .model import Facts
from .sequences import why_none
from .served import Served
from .settings import NAME
from .streams import kept_of
from .warming import batches, median_s, warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Predictor
    from .repository import Place
    from .settings import Settings
    from .streams import Kept

TOGETHER = 64
"""Samples of several requests that are predicted together, at most."""


@dataclass(frozen=True)
class Loaded:
    """A model that is in memory.

    Attributes:
        model: as the protocols show it.
        predictor: what predicts.
        sample_s: how long a sample takes, in seconds; None: it is not known to be always so.
        together: how many samples of several requests are predicted at once.
        kept: what it keeps of a sequence.
    """

    model: Served
    predictor: Predictor
    sample_s: float | None
    together: int
    kept: Sequence[Kept]


def load(settings: Settings, place: Place, workers: int) -> Loaded:
    """Bring a model into memory, for a server of so many workers.

    Raises:
        StartError: it is not there to be used, or has a name that no URL may have.
    """
    facts = Facts.read(place.folder)
    predictor = open_model(settings.backend, place.folder, settings.threads)
    sample = warm_up(predictor, facts)
    # Another's predictor may take its time now and then, and nothing else would be answered meanwhile.
    sample_s = median_s(predictor, sample) if settings.backend in BUILT_IN and sample is not None else None
    together = TOGETHER if facts.joins and batches(settings.batching, predictor, sample, sample_s) else 1
    if facts.varies or facts.grows:
        sample_s = None  # nor is it known how long the longest sample takes
    kept = kept_of(facts)
    said = _handlers_of(settings, place)
    if said is not None:
        from .handling import handled

        predictor, facts = handled(predictor, facts, said)
        sample_s = None  # a picture takes its time, and nothing else would be answered meanwhile
    name, no_sequences = place.name or _name(settings, facts), why_none(kept, workers)
    model = Served(name, place.version, facts, settings.max_batch, no_sequences=no_sequences)
    return Loaded(model, predictor, sample_s, together, kept)


def _handlers_of(settings: Settings, place: Place) -> str | None:
    """Return what the settings say of a model's handlers, as JSON; most models have none."""
    if settings.handlers is None:
        return None
    from .handling import said_of

    return said_of(settings.handlers, place.name, place.version)


def check_alone(settings: Settings, found: Sequence[Place]) -> None:
    """Refuse settings that are about one model, where there are several.

    Raises:
        StartError: there are such settings.
    """
    if len(found) == 1:
        return
    from .handling import is_by_model

    of_one = {"events_url": settings.events_url is not None}
    of_one["handlers"] = settings.handlers is not None and not is_by_model(settings.handlers)
    for setting, is_there in of_one.items():
        if is_there:
            names = ", ".join(sorted({one.name or "" for one in found}))
            msg = f"MODELYARD_{setting.upper()}: it is about one model, and {settings.model_dir} holds several: {names}"
            raise StartError(msg)


def _name(settings: Settings, facts: Facts) -> str:
    """Return the model's name in the URLs: the setting, or what `model.json` says, or `model`."""
    name = settings.model_name or facts.label("name") or "model"
    if not NAME.fullmatch(name):
        msg = f"model.json: name {name!r}; allowed: letters, digits, '.', '_', '-'; or set MODELYARD_MODEL_NAME"
        raise StartError(msg)
    return name
