"""What the docstring of a context says of its fields, and what it says nothing of."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from modelyard.component import argument_docs


def own_fields(struct: type[msgspec.Struct]) -> list[str]:
    """Return the fields that are not those of what it extends."""
    base: Any = struct.__base__
    known = () if base is msgspec.Struct else base.__struct_fields__
    return [name for name in struct.__struct_fields__ if name not in known]


def documented(struct: type[msgspec.Struct]) -> list[str]:
    return list(argument_docs(inspect.getdoc(struct) or ""))
