"""What is measured of a part, as a quantity of its own: of one output, of a further test set, of each value of a column."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from modelyard.metrics import Quantity

Of = TypeVar("Of", bound=Quantity)


def of_part(one: Of, part: str, title: str, where: str = "") -> Of:
    """Return a quantity, or a metric, as that of a part: called `PART_METRIC`, and so are its gates.

    Args:
        one: what is measured of the whole.
        part: what the part is called.
        title: the head of its column.
        where: what messages say behind what a variant is that is worse, for instance ` in boxes`.
    """
    return msgspec.structs.replace(
        one,
        name=f"{part}_{one.name}",
        title=title,
        worse=f"{one.worse}{where}" if one.worse else "",
        ratio_gate="",
    )
