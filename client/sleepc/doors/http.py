"""What every endpoint of the HTTP door uses: typed bodies, JSON out, and work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sleepd.protocol.errors import Cancelled, UsageError

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")


async def read_body(request: Request, body_type: type[S]) -> S:
    """The body as a typed value; fields that it does not know are ignored. Raises UsageError."""
    try:
        return msgspec.json.decode(await request.body(), type=body_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is not understood: {error}") from None


def json_response(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Where the caller leaves first, it is cancelled; raises Cancelled, to nobody."""
    task = asyncio.create_task(work)
    watching = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({task, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Cancelled("the caller left")
        return task.result()
    finally:
        task.cancel()
        watching.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
