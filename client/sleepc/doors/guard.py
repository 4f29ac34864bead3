"""Who may come in over HTTP.

Every web page that the user opens can send requests to this machine, so listening on loopback is not enough. In this
order: the Host must be ours (a page that points its own name at 127.0.0.1 keeps its name there), an Origin must be
one that was allowed by name (browsers always tell it; editors mostly send none), the token must be right, a body must
be JSON (which a page cannot send unasked) and not larger than the protocol would take.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1 << 20
"""Bytes. The daemon takes 256 KiB of text in one request."""


@dataclass(frozen=True)
class Rules:
    """`hosts` and `origins` in lower case, as they stand in the headers."""

    token: str
    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    max_body: int = MAX_BODY


@dataclass(frozen=True)
class Refusal:
    """Why a request is turned away."""

    status: int
    code: str
    message: str

    def response(self) -> Response:
        headers = {"Connection": "close"}  # whatever else it wanted to send is not read
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(error_document(self.code, self.message), self.status, headers)


class Guard:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSocket is served here
        headers = Headers(scope=scope)
        cors = self._cors(headers)
        if (refusal := self._stranger(headers)) is not None:
            await refusal.response()(scope, receive, send)
        elif scope["method"] == "OPTIONS" and cors:
            await Response(status_code=204, headers=cors)(scope, receive, send)
        elif (refusal := self._uninvited(scope, headers)) is not None:
            await refusal.response()(scope, receive, _with_headers(send, cors))
        else:
            await self._with_body(scope, receive, _with_headers(send, cors))

    def _stranger(self, headers: Headers) -> Refusal | None:
        """Whether the request comes from where it may. Nothing about us is told to others."""
        if headers.get("host", "").lower() not in self._rules.hosts:
            return Refusal(403, "wrong_host", "this Host is not served here")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._rules.origins:
            return Refusal(403, "wrong_origin", "this Origin is not allowed; see --allow-origin")
        return None

    def _uninvited(self, scope: Scope, headers: Headers) -> Refusal | None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(shown.strip().encode(), self._rules.token.encode())
        if scheme.lower() != "bearer" or not right:
            return Refusal(401, "invalid_api_key", "the API key is missing or wrong; it stands in openai.token")
        if scope["method"] != "POST":
            return None
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Refusal(415, "unsupported_media_type", "the body must be application/json")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._rules.max_body:
            return self._too_large()
        return None

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body within its limit, whatever was said of its length, and hand it on whole."""
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # gone already
            body += message.get("body", b"")
            if len(body) > self._rules.max_body:
                await self._too_large().response()(scope, receive, send)
                return
            more = message.get("more_body", False)
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    def _too_large(self) -> Refusal:
        return Refusal(413, "request_too_large", f"the body is larger than {self._rules.max_body:,} bytes")

    def _cors(self, headers: Headers) -> dict[str, str]:
        origin = headers.get("origin")
        if origin is None or origin.lower() not in self._rules.origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Allow-Methods": "GET, POST",
            "Vary": "Origin",
        }


def error_document(code: str, message: str) -> dict[str, object]:
    """An error as OpenAI's clients read it; Ollama's read `error` too."""
    kind = "invalid_request_error" if code not in ("unreachable", "other", "storage") else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _with_headers(send: Send, extra: dict[str, str]) -> Send:
    if not extra:
        return send
    encoded = [(name.lower().encode(), value.encode()) for name, value in extra.items()]

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *encoded]}
        await send(message)

    return wrapped
