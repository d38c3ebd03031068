"""Built-in trainers as a build calls them: with a keyword for each key of the configuration."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from modelyard.typed_params import taking_values


def trainer(name: str) -> Callable[..., None]:
    """Return the function of the trainer `name`; what is left out is at its default."""
    function: Callable[..., None] = importlib.import_module(f"modelyard_plugins.trainers.{name}").train
    return taking_values(function)
