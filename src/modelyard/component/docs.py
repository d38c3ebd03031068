"""What docstrings and types say of parameters, in the words that a person reads."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the documentation of the fields, those of what it extends included."""
    docs: dict[str, str] = {}
    for one in reversed(struct.__mro__):
        docs |= argument_docs(inspect.cleandoc(one.__dict__.get("__doc__") or ""))
    return docs


def argument_docs(doc: str) -> dict[str, str]:
    """Return the text of each argument, or attribute, in the `Args:` or `Attributes:` section of a Google-style docstring."""
    docs: dict[str, str] = {}
    name = ""
    inside = False
    for line in doc.splitlines():
        if line.strip() in {"Args:", "Arguments:", "Attributes:"}:
            inside = True
        elif inside and line and not line[0].isspace():
            break
        elif inside and line.startswith("    ") and not line.startswith("     ") and ":" in line:
            name, _, text = line.strip().partition(":")
            name = name.partition(" ")[0]
            docs[name] = text.strip()
        elif inside and name and line.strip():
            docs[name] += " " + line.strip()
    return docs


def type_doc(annotation: Any) -> str:
    """Return the documentation that a type brings for each parameter of its kind (see `modelyard.params`), or none."""
    return next(extras(annotation, "doc"), "")


def extras(annotation: Any, key: str) -> Iterator[Any]:
    """Yield what the type, or one that it is a union of, says beside its bounds under `key`."""
    for one in (annotation, *typing.get_args(annotation)):
        for meta in getattr(one, "__metadata__", ()):
            extra = meta.extra if isinstance(meta, msgspec.Meta) else None
            if extra and key in extra:
                yield extra[key]


def type_name(annotation: Any) -> str:
    """Return an annotation as a person writes it in a sentence, with its bounds."""
    if hasattr(annotation, "__metadata__"):
        notes = [m.description for m in annotation.__metadata__ if isinstance(m, msgspec.Meta) and m.description]
        return notes[0] if notes else type_name(annotation.__origin__)
    if typing.get_origin(annotation) is typing.Literal:
        return "one of " + ", ".join(repr(a) for a in typing.get_args(annotation))
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        text = " or ".join(type_name(a) for a in arguments if a is not type(None))
        return f"{text} (or left out)" if type(None) in arguments else text
    if typing.get_origin(annotation) is tuple and ... not in arguments:
        return f"[{', '.join(type_name(a) for a in arguments)}]"
    if typing.get_origin(annotation) in (list, tuple):
        return f"a list of {type_name(arguments[0])}"
    if typing.get_origin(annotation) is dict:
        return f"a table of which each value is {type_name(arguments[1])}"
    return annotation.__name__ if isinstance(annotation, type) and not arguments else str(annotation)
