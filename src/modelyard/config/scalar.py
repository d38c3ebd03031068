"""A key of `[tool.modelyard]` that is no table."""

from __future__ import annotations

from typing import Any

import msgspec

from modelyard.component import in_quotes, written_text
from modelyard.errors import ConfigError
from modelyard.toml.places import Where


def scalar(key: str, value: Any, kind: Any, table: Where) -> Any:
    """Return the `value` of `key`, which is no table, checked.

    Raises:
        ConfigError: it is not of `kind`.
    """
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as exc:
        text = written_text(value, kind, table.at(key))
        if text is not None:
            return text
        notes = [m.description for m in getattr(kind, "__metadata__", ())]
        allowed = (notes[0] if notes else kind.__name__, in_quotes(value, kind, str(exc)))
        msg = f"{table.at(key)}: key {key!r}: {value!r} is not allowed\n  allowed: {'; '.join(filter(None, allowed))}"
        raise ConfigError(msg) from exc
