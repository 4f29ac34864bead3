"""The routes of the HTTP door, and how its errors look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sleepd.protocol.errors import SleepdError

from ..async_client import AsyncClient
from . import ollama_api, openai_api
from .chat import http_status
from .guard import Guard, Rules, error_document

Endpoint = Callable[[Request, AsyncClient], Awaitable[Response]]


def http_app(client: AsyncClient, rules: Rules) -> Starlette:
    """The application. It closes `client` when it ends."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    routes = [
        Route(path, _served(endpoint, client), methods=[method])
        for method, path, endpoint in (*openai_api.ROUTES, *ollama_api.ROUTES)
    ]
    handlers = {SleepdError: _sleepd_error, HTTPException: _http_error}
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, rules=rules)],
        exception_handlers=handlers,  # type: ignore[arg-type]  # each gets the exceptions of its own kind
        lifespan=lifespan,
    )


def _served(endpoint: Endpoint, client: AsyncClient) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return await endpoint(request, client)

    return serve


def _sleepd_error(request: Request, error: SleepdError) -> Response:
    headers = {"Retry-After": "1"} if error.code == "busy" else None
    ollama = request.url.path.startswith("/api/")
    document = {"error": str(error)} if ollama else error_document(error.code, str(error))
    return JSONResponse(document, http_status(error), headers)


def _http_error(request: Request, error: HTTPException) -> Response:
    message = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(error_document("not_served", message), error.status_code)
