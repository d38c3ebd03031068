"""What decides, beside a sample itself, what a component makes of it: by that name what was made of samples is kept.

It is the part of an action key that stands for one component, the tools, the machine and modelyard's own code. The input of a
stage, and what its other components are, are left out: another data set does not decode a picture in another way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from modelyard.stage import Stage

_OF_THE_STAGE = ("seed", "kind")


def ways_of(stage: Stage, parts: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest for each component of a stage, with its parameters, by its role.

    Args:
        stage: the stage.
        parts: what its key was made of.
    """
    common = _common(stage, parts)
    return {role: _digest(common, _of(role, parts)) for role in stage.uses}


def code_of(stage: Stage, parts: Mapping[str, Any]) -> str:
    """Return a digest for the first component of a stage, without its parameters; empty if it has none."""
    role = next(iter(stage.uses), "")
    named = {name: value for name, value in _of(role, parts).items() if not name.startswith(" ")}
    return _digest(_common(stage, parts), named) if role else ""


def _common(stage: Stage, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what all components have in common: modelyard's own code, the tools, the machine."""
    left_out = {*_OF_THE_STAGE, *(name for role in stage.uses for name in _names(role, parts))}
    return {
        name: value
        for name, value in parts.items()
        if name not in left_out and not name.startswith(("input ", "setting "))
    }


def _of(role: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that are of one component, whatever its role is called: each parameter's begins with a space."""
    return {name.replace(role, "", 1): parts[name] for name in _names(role, parts)}


def _names(role: str, parts: Mapping[str, Any]) -> list[str]:
    whole, begin = (role, f"code {role}", f"code {role} scripts"), f"{role} "
    return [name for name in parts if name in whole or name.startswith(begin)]


def _digest(*parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
