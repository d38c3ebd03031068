"""One training: the model, the trainer and the seed of it, and the variants that are made of what it trains."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelyard.component import Use
from modelyard.toml.places import Where


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """One training of a project.

    Attributes:
        name: what tells it from the others; empty: it is the only one, of the tables `model` and `train` as they are.
        uses: its components: `train`, and `model` unless the trainer brings one.
        seed: the seed of its random numbers, and of those of its variants.
        variants: the variants that are made of it, in the order of the configuration.
        over_seeds: its name without its seed, if there are others that have nothing but another seed; else empty.
        where: the place of each of its tables, for messages.
    """

    name: str = ""
    uses: Mapping[str, Use]
    seed: int
    variants: tuple[str, ...]
    over_seeds: str = ""
    where: Mapping[str, Where]

    @property
    def produces(self) -> str:
        """The format of the model that it gives."""
        return self.uses["train"].produces

    def full(self, name: str) -> str:
        """Return what a variant, or a step to one, is called among those of all trainings: `TRAINING.NAME`."""
        return f"{self.name}.{name}" if self.name else name
