"""Handler `softmax`: scores to probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def softmax(
    place: Place,
    *,
    logits: str = "logits",
    probabilities: str = "probabilities",
) -> Handler:
    """Makes probabilities of scores, over the last axis.

    Args:
        place: where it stands.
        logits: what the model calls the scores
        probabilities: what clients call the probabilities
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.softmax(place, logits=logits, probabilities=probabilities)


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("softmax", softmax, package=_PACKAGE, tools=("numpy",), deterministic=True)
