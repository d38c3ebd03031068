"""What doit's loader asks the module `inspect`: on which line each function of dodo.py that makes tasks is defined.

`inspect.getsourcelines` takes the file apart for each of them, to find where the function ends, which nobody asks for:
a fiftieth of a build with nothing to do.
"""

from __future__ import annotations

import inspect
from typing import Any

isfunction, ismethod, isgenerator = inspect.isfunction, inspect.ismethod, inspect.isgenerator


def getsourcelines(creator: Any) -> tuple[list[str], int]:
    """Return no lines, and the number of the line that `creator` is defined on.

    Raises:
        TypeError: it has no source.
    """
    code = getattr(inspect.unwrap(creator), "__code__", None)
    return ([], code.co_firstlineno) if code else inspect.getsourcelines(creator)
