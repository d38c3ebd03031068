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
    """Return a digest for each component of a stage, by its role.

    Args:
        stage: the stage.
        parts: what its key was made of.
    """
    own = {role: {name for name in parts if _is_of(name, role)} for role in stage.uses}
    shared = parts.keys() - set().union(*own.values())
    common = {name: parts[name] for name in shared if not name.startswith(("input ", "setting "))}
    common = {name: value for name, value in common.items() if name not in _OF_THE_STAGE}
    return {role: _digest(common, {name.replace(role, "", 1): parts[name] for name in own[role]}) for role in own}


def _is_of(name: str, role: str) -> bool:
    return name in (role, f"code {role}", f"code {role} scripts") or name.startswith(f"{role} ")


def _digest(*parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
