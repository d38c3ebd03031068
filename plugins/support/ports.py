"""Ports that a server may listen on."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

HighPort = Annotated[int, Meta(ge=1024, le=65535, description="a TCP port, 1024 to 65535")]
"""A port that needs no rights of root."""
