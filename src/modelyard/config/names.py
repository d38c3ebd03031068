"""Names that become those of tasks and folders."""

from __future__ import annotations

import re

from modelyard.errors import ConfigError
from modelyard.toml.places import Place


def check_name(what: str, name: str, where: Place) -> None:
    """Check the name of a variant, a training or a target.

    Raises:
        ConfigError: it is not allowed.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?", name):
        msg = (
            f"{where}: {name!r} is not allowed as the name of a {what}\n"
            "  allowed: 1 to 100 lower-case letters, digits, dots and dashes, with a letter or digit at both ends"
        )
        raise ConfigError(msg)
