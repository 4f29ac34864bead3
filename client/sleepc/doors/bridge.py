"""`sleepc bridge`: the protocol as JSON lines over stdin and stdout, for programs without ZeroMQ.

A line in is `{"id": ..., "type": "ask", "body": {...}, "deadline": seconds?}`, with the types and bodies of the
protocol; the id is the caller's own, text or a number. `{"type": "events"}` follows the event stream. Lines out are
`{"id": ..., "type": "chunk" | "progress" | "event" | "snapshot" | "done" | "error", "body": {...}}`, as in the
protocol. At the end of input, what was asked is still answered, and then the bridge ends; so it does when nobody reads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sleepd.protocol import messages, wire
from sleepd.protocol.errors import Cancelled, ProtocolMismatch, SleepdError, UsageError
from sleepd.protocol.messages import Body, Chunk, Event

from ..async_client import AsyncClient
from ..async_connection import AsyncPending
from ..display import to_json
from ..requests import Request

Write = Callable[[bytes], None]
EVENTS = "events"


class Line(msgspec.Struct, frozen=True):
    """One line of input. `body` holds the fields of the protocol's message."""

    type: str
    id: str | int | None = None
    body: dict[str, Any] = {}
    deadline: float | None = None  # seconds


class Bridge:
    """Answers lines until there are no more."""

    def __init__(self, client: AsyncClient, write: Write) -> None:
        self._client = client
        self._write = write
        self._tasks: dict[str | int | None, asyncio.Task[None]] = {}
        self._followers: set[asyncio.Task[None]] = set()  # of events: these have no end of their own
        self._pending: dict[str | int | None, AsyncPending[Body]] = {}

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Answer each line. Raises BrokenPipeError where nobody reads the answers, and what reading lines raises."""
        try:
            async with asyncio.TaskGroup() as self._group:
                async for raw in lines:
                    if raw.strip():
                        self._take(raw)
                for following in self._followers:
                    following.cancel()
        except* (BrokenPipeError, SleepdError) as group:
            raise group.exceptions[0] from None

    def _take(self, raw: bytes) -> None:
        try:
            line = msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._error(None, UsageError(f"the line is not understood: {error}"))
            return
        if line.type == "cancel":
            self._cancel(line)
        elif line.id in self._tasks:
            self._error(line.id, UsageError(f"a request with the id {line.id!r} is under way"))
        else:
            self._begin(line)

    def _begin(self, line: Line) -> None:
        task = self._tasks[line.id] = self._group.create_task(self._answer(line))
        if line.type == EVENTS:
            self._followers.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[line.id]
            self._followers.discard(task)

        task.add_done_callback(ended)

    def _cancel(self, line: Line) -> None:
        """A generation ends with what it has, anything else with the error `cancelled`."""
        target = line.body.get("request")
        if not isinstance(target, str | int):
            self._error(line.id, UsageError("cancel: request: expected the id of a request"))
            return
        if target in self._pending:
            self._pending[target].cancel()
        elif target in self._tasks:
            self._tasks[target].cancel()
        else:
            self._say(line.id, "done", messages.CancelReply(cancelled=False))
            return
        self._say(line.id, "done", messages.CancelReply(cancelled=True))

    async def _answer(self, line: Line) -> None:
        try:
            if line.type == EVENTS:
                await self._follow(line)
            else:
                await self._request(line)
        except SleepdError as error:
            self._error(line.id, error)
        except asyncio.CancelledError:
            self._error(line.id, Cancelled("cancelled"))
            raise
        finally:
            self._pending.pop(line.id, None)

    async def _request(self, line: Line) -> None:
        pending = await self._client.start(_request(line))
        self._pending[line.id] = pending
        async for part in pending:
            self._say(line.id, "chunk" if isinstance(part, Chunk) else "progress", part)
        self._say(line.id, "done", await pending.result())

    async def _follow(self, line: Line) -> None:
        since = line.body.get("since")
        if since is not None and not isinstance(since, int):
            raise UsageError("events: since: expected `int`")
        async for item in self._client.events(since):
            self._say(line.id, "event" if isinstance(item, Event) else "snapshot", item)

    def _error(self, request_id: str | int | None, error: SleepdError) -> None:
        self._say(request_id, "error", messages.Error(code=error.code, message=str(error)))

    def _say(self, request_id: str | int | None, kind: str, body: Body) -> None:
        self._write(to_json({"id": request_id, "type": kind, "body": body}) + b"\n")


def _request(line: Line) -> Request[Body]:
    """The typed request. Raises ProtocolMismatch for an unknown type, UsageError for wrong fields."""
    known = messages.REQUESTS.get(line.type)
    if known is None:
        raise ProtocolMismatch(
            f"unknown message type {line.type!r}; the types are {', '.join(messages.REQUESTS)}, {EVENTS}"
        )
    body_type, reply_type = known
    try:
        body = msgspec.convert(line.body, body_type)
    except msgspec.ValidationError as error:
        raise UsageError(f"{line.type}: {wire.plain_problem(error)}") from None
    return Request(body, reply_type, line.deadline)


def bridge(home: Path | None) -> None:
    """Run over this process's stdin and stdout."""

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    async def run() -> None:
        async with AsyncClient(home) as client:
            await client.ping()  # who starts a bridge without a daemon learns it from the exit code
            await Bridge(client, write).run(_stdin())

    asyncio.run(run())


async def _stdin() -> AsyncIterator[bytes]:
    """The lines of stdin, be it a pipe, a file or a terminal. Raises UsageError for one that is far too long."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)

    def read() -> None:
        # os.read, not sys.stdin: a thread that holds its lock would keep the process from ending.
        with suppress(RuntimeError, concurrent.futures.CancelledError):  # the loop has ended first
            while data := os.read(sys.stdin.fileno(), 1 << 16):
                asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(b""), loop).result()

    threading.Thread(target=read, daemon=True).start()
    rest = b""
    while data := await queue.get():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > wire.MAX_MESSAGE:
            raise UsageError(f"a line of input has more than {wire.MAX_MESSAGE:,} bytes")
    if rest:
        yield rest
