"""Handler `argmax`: scores to the number of the likeliest class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def argmax(place: Place, *, scores: str = "probabilities", classes: str = "classes") -> Handler:
    """Gives the number of the class with the highest score, of a sample or at each of its positions; the scores go no further.

    Args:
        place: where it stands.
        scores: what the model calls the scores
        classes: what clients call the numbers
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.argmax(place, scores=scores, classes=classes)


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("argmax", argmax, package=_PACKAGE, tools=("numpy",), deterministic=True)
