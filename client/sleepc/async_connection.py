"""Requests and their streamed replies over one channel, for programs with an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import zmq

from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.messages import Body, Chunk, Progress

from .async_channel import AsyncChannel
from .exchange import Answer, find_daemon
from .line import Line, UnderWay
from .requests import Request

R = TypeVar("R", bound=Body)


class AsyncPending(UnderWay[R]):
    """A request under way: iterate over what it streams, then await `result()`.

    Cancelling the task that iterates cancels the request.
    """

    def __init__(self, line: Line, answer: Answer[R]) -> None:
        super().__init__(line, answer)
        self._news = asyncio.Event()
        answer.changed = self._news.set

    def __aiter__(self) -> AsyncIterator[Chunk | Progress]:
        return self

    async def __anext__(self) -> Chunk | Progress:
        answer = self._answer
        try:
            while not answer.stream and answer.end is None:
                self._news.clear()
                await self._wait_for_news()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if answer.stream:
            return answer.stream.popleft()
        answer.result()
        raise StopAsyncIteration

    async def result(self) -> R:
        """The reply, once the stream has ended; what is left of the stream is skipped. Raises what ended it."""
        async for _ in self:
            pass
        return self._answer.result()

    async def _wait_for_news(self) -> None:
        left = None if self._answer.until is None else self._answer.until - time.monotonic()
        try:
            async with asyncio.timeout(left):
                await self._news.wait()
        except TimeoutError:
            self._expire()


class AsyncConnection(Line):
    """A DEALER to the daemon of one home, read by a task of its own."""

    def __init__(self, info: DaemonInfo, channel: AsyncChannel, start_command: str) -> None:
        super().__init__(info, channel, start_command)
        self._reader = asyncio.create_task(self._read(channel), name="sleepc connection")

    @classmethod
    async def open(cls, home: Path, start_command: str = "sleepd start") -> AsyncConnection:
        """Connect. Raises Unreachable, or ProtocolMismatch for another version."""
        info = find_daemon(home)
        return cls(info, await AsyncChannel.open(zmq.DEALER, info.requests, keys=info.curve), start_command)

    def start(self, request: Request[R], request_id: str | None = None) -> AsyncPending[R]:
        """Send a request. Nothing is awaited here."""
        return AsyncPending(self, self.ask(request, request_id))

    async def close(self) -> None:
        """Close; the daemon stops answering what is still pending."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self.end()

    async def _read(self, channel: AsyncChannel) -> None:
        while not self.desk.ended:
            # With nothing under way, silence means nothing: this sleeps until the daemon speaks or goes.
            left = None if self.desk.idle else self.desk.check_at - time.monotonic()
            self.heed(await channel.arrival(left))
