"""JSON answers, errors among them: both protocols say `{"error": "..."}`."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `value`, numpy arrays included, as a JSON response."""
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, headers, "application/json")


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return `{"error": message}` with `status`."""
    safe = message.encode("utf-8", "replace").decode("utf-8")
    return json_response({"error": safe}, status, headers)
