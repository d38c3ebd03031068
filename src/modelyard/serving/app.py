"""The ASGI application: routes, errors, and what stands around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .auth import BasicAuth
from .errors import RequestError
from .observe import Observe
from .oip import OpenInference
from .responses import error_response
from .tfserving import TFServing

if TYPE_CHECKING:
    from .engine import Engine
    from .metrics import Metrics
    from .served import Served
    from .settings import Settings

ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Readiness:
    """Whether the server takes new traffic: not before it listens, and not while it drains."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ready = False

    def __call__(self) -> bool:
        """Return whether the server takes new traffic."""
        return self._ready

    def set(self, *, ready: bool) -> None:
        """Say whether the server takes new traffic."""
        self._ready = ready
        self._metrics.ready(ready)


def build_app(settings: Settings, model: Served, engine: Engine, metrics: Metrics, readiness: Readiness) -> Starlette:
    """Return the application that serves `model`."""
    v1 = TFServing(model, engine, settings.max_body_bytes)
    v2 = OpenInference(model, engine, settings.max_body_bytes, readiness)

    async def answer_v1(request: Request) -> Response:
        return await v1(request)

    async def answer_metrics(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    routes = [
        *v2.routes(),
        Route("/metrics", answer_metrics),
        *(Route(f"/{version}/{{rest:path}}", answer_v1, methods=ANY_METHOD) for version in ("v1", "V1")),
    ]
    middleware = [Middleware(Observe, metrics=metrics, is_ready=readiness)]
    if settings.username is not None and settings.password is not None:
        middleware.append(Middleware(BasicAuth, username=settings.username, password=settings.password))
    handlers = {RequestError: _refused, HTTPException: _no_route, ClientDisconnect: _left}
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


async def _refused(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestError)
    return error_response(exc.status, exc.message)


async def _no_route(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    message = f"{exc.detail}: {request.method} {request.url.path}"
    return error_response(exc.status_code, message, dict(exc.headers or {}))


async def _left(_request: Request, _exc: Exception) -> Response:
    return error_response(499, "the client went away")
