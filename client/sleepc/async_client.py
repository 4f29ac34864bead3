"""`AsyncClient`: `Client` for programs with an event loop; the same methods, awaited.

    async with AsyncClient() as client:
        pending = await client.start(requests.ask("What is my dog called?"))
        async for part in pending:
            ...
        reply = await pending.result()

Cancelling the task that waits for a reply cancels the request in the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sleepd.protocol import endpoint
from sleepd.protocol.errors import Unreachable
from sleepd.protocol.messages import Body, Event, SnapshotReply

from . import requests
from .async_connection import AsyncConnection, AsyncPending
from .async_events import follow_async
from .client import start_command
from .requests import Request

P = ParamSpec("P")
R = TypeVar("R", bound=Body)


def _awaited(build: Callable[P, Request[R]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    """The method that sends what `build` makes and awaits its reply."""

    @wraps(build)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.call(build(*args, **kwargs))

    return method


class AsyncClient:
    """A connection to the daemon of a home, made when it is first needed and made anew after the daemon restarted.

    Any number of tasks of one event loop may share it. Errors as with `Client`.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = endpoint.resolve_home(home)
        self.start_command = start_command(home)
        """The command that starts the daemon of this home."""
        self._connection: AsyncConnection | None = None
        self._connecting = asyncio.Lock()

    ask = _awaited(requests.ask)
    complete = _awaited(requests.complete)
    open_session = _awaited(requests.open_session)
    sessions = _awaited(requests.sessions)
    remove_sessions = _awaited(requests.remove_sessions)
    say = _awaited(requests.say)
    remember = _awaited(requests.remember)
    heard = _awaited(requests.heard)
    facts = _awaited(requests.facts)
    why = _awaited(requests.why)
    forget = _awaited(requests.forget)
    correct = _awaited(requests.correct)
    take_back = _awaited(requests.take_back)
    export_facts = _awaited(requests.export_facts)
    import_facts = _awaited(requests.import_facts)
    sleep = _awaited(requests.sleep)
    nap = _awaited(requests.nap)
    undo = _awaited(requests.undo)
    wake = _awaited(requests.wake)
    unload = _awaited(requests.unload)
    metrics = _awaited(requests.metrics)
    report = _awaited(requests.report)
    export = _awaited(requests.export)
    health = _awaited(requests.health)
    ping = _awaited(requests.ping)
    status = _awaited(requests.status)
    snapshot = _awaited(requests.snapshot)

    async def events(self, since: int | None = None) -> AsyncIterator[SnapshotReply | Event]:
        """A snapshot, then every event in order; another snapshot wherever some were lost. Endless."""
        connection = await self._connected()
        async for item in follow_async(connection.info, self.snapshot, since, self.start_command):
            yield item

    # --- any request ----------------------------------------------------------------------------------------------

    async def start(self, request: Request[R], *, id: str | None = None) -> AsyncPending[R]:
        """Send a request of `sleepc.requests`: iterate over what it streams, then await `.result()`.

        Repeating a mutating request under the same `id` returns the first result.
        """
        return (await self._connected()).start(request, id)

    async def call(self, request: Request[R]) -> R:
        """Send a request and await its reply; what is streamed goes to its `on`."""
        pending = await self.start(request)
        try:
            async for streamed in pending:
                if request.on is not None:
                    request.on(streamed)
        except BaseException:
            pending.cancel()
            raise
        return await pending.result()

    async def close(self) -> None:
        """Close the connection; the daemon cancels what it still does for this client."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _connected(self) -> AsyncConnection:
        async with self._connecting:
            if self._connection is not None and self._connection.lost:
                await self.close()
            if self._connection is None:
                try:
                    self._connection = await AsyncConnection.open(self.home, self.start_command)
                except Unreachable as error:
                    raise Unreachable(f"{error}; start one with: {self.start_command}") from None
            return self._connection
