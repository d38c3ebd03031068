"""The model under its name in the URLs, and what both protocols say of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .tensors import TensorSpec

if TYPE_CHECKING:
    from .model import Facts


@dataclass(frozen=True)
class Served:
    """A model as the protocols show it.

    Attributes:
        name: its name in the URLs.
        version: its version in the URLs, a whole number as text.
        facts: what `model.json` says.
        max_batch: samples that a request may hold.
    """

    name: str
    version: str
    facts: Facts
    max_batch: int = 1024

    @cached_property
    def input(self) -> TensorSpec:
        """The one input: raw samples, as in the data set."""
        one = self.facts.input
        return TensorSpec(one.name, one.dtype, one.shape, one.value_range)

    @cached_property
    def output(self) -> TensorSpec:
        """The one output."""
        one = self.facts.output
        return TensorSpec(one.name, one.dtype, one.shape)

    @property
    def identity(self) -> dict[str, str]:
        """What tells this model from another of the same name."""
        return {
            "format": self.facts.format,
            "variant": self.facts.label("variant"),
            "sha256": self.facts.label("sha256"),
        }
