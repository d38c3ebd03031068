"""Sentences of the documentation that comes with Python."""

import re
from pydoc_data.topics import topics

from modelyard.artifacts import Splits


def sentences(_context, *, most: int = 600):
    """Return sentences of 5 to 40 words.

    Args:
        _context: the stage's.
        most: how many.
    """
    text = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
    found = [one for one in re.split(r"(?<=[.:]) (?=[A-Z])", text) if 5 <= len(one.split()) <= 40]
    chosen = found[:: max(1, len(found) // most)][:most]
    return Splits(chosen[::3], None, chosen, None)
