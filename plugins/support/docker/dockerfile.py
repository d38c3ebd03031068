"""The Dockerfile, from its template."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEMPLATE = "docker/Dockerfile.j2"


def dockerfile(project: Path, *, base: str, settings: Mapping[str, Any], layers: Sequence[str]) -> str:
    """Return the text of the Dockerfile, from the project's template if it has one of the same name."""
    from modelyard.rendering.templates import environment

    made = environment(project, quote=False)
    made.filters |= {"dockerfile": quoted, "exec_form": json.dumps}
    return made.get_template(TEMPLATE).render(base=base, layers=layers, settings=settings)


def quoted(value: str) -> str:
    r"""Return `value` in double quotes for a Dockerfile, where `\`, `"` and `$` mean something.

    Raises:
        ToolError: the value has a line break or another control character, which a Dockerfile cannot hold.
    """
    if re.search(r"[\x00-\x1f\x7f]", value):
        msg = (
            f"image builder 'docker': {value!r} has a control character, which a Dockerfile cannot hold\n"
            "  remove it, or use the builder 'oci'"
        )
        raise ToolError(msg)
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
