"""Handler `ctc-greedy`: scores of symbols over time to a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.params import InputPath, NonNegativeInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def ctc_greedy(
    place: Place,
    *,
    alphabet: InputPath,
    blank: NonNegativeInt = 0,
    scores: str = "scores",
    text: str = "text",
) -> Handler:
    """Reads the likeliest symbol of each step: repeated ones count once, and the blank is nothing.

    Args:
        place: where it stands.
        alphabet: a file with a symbol in each line, in the order of the scores; the blank's is not looked at
        blank: the number of the blank
        scores: what the model calls the scores
        text: what clients call the text
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.ctc_greedy(place, alphabet=alphabet, blank=blank, scores=scores, text=text)


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("ctc-greedy", ctc_greedy, package=_PACKAGE, tools=("numpy",), deterministic=True)
