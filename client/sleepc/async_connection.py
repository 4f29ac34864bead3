"""Requests and their streamed replies over one channel, for programs with an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import zmq

from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.errors import DeadlineExceeded, Unreachable
from sleepd.protocol.messages import Body, Chunk, Progress

from .async_channel import AsyncChannel
from .channel import Signal
from .exchange import NOT_ACKNOWLEDGED, Answer, Desk, cancel_frames, find_daemon
from .requests import Request

R = TypeVar("R", bound=Body)


class AsyncPending(Generic[R]):
    """A request under way: iterate over what it streams, then await `result()`.

    Cancelling the task that iterates cancels the request.
    """

    def __init__(self, connection: AsyncConnection, answer: Answer[R]) -> None:
        self.id = answer.id
        self._connection = connection
        self._answer = answer
        self._news = asyncio.Event()
        self.cancelled = False
        """Whether the daemon was asked to stop it."""
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

    @property
    def done(self) -> bool:
        return self._answer.end is not None

    async def result(self) -> R:
        """The reply, once the stream has ended; what is left of the stream is skipped. Raises what ended it."""
        async for _ in self:
            pass
        return self._answer.result()

    def cancel(self) -> None:
        """Ask the daemon to stop; the request still ends by itself, with what was produced or with an error."""
        if not self.done and not self.cancelled:
            self.cancelled = True
            self._connection.send_quietly(cancel_frames(self.id))

    async def _wait_for_news(self) -> None:
        left = None if self._answer.until is None else self._answer.until - time.monotonic()
        try:
            async with asyncio.timeout(left):
                await self._news.wait()
        except TimeoutError:
            self.cancel()
            self._connection.desk.forget(self._answer)
            self._answer.fail(DeadlineExceeded("the daemon did not answer within the deadline"))


class AsyncConnection:
    """A DEALER to the daemon of one home, read by a task of its own."""

    def __init__(self, info: DaemonInfo, channel: AsyncChannel, start_command: str) -> None:
        self.info = info
        self.desk = Desk(start_command)
        self._channel = channel
        self._reader = asyncio.create_task(self._read(), name="sleepc connection")

    @classmethod
    async def open(cls, home: Path, start_command: str = "sleepd start") -> AsyncConnection:
        """Connect. Raises Unreachable, or ProtocolMismatch for another version."""
        info = find_daemon(home)
        return cls(info, await AsyncChannel.open(zmq.DEALER, info.requests, keys=info.curve), start_command)

    def start(self, request: Request[R], request_id: str | None = None) -> AsyncPending[R]:
        """Send a request. Nothing is awaited here."""
        answer, frames = self.desk.open(request, request_id)
        try:
            self._channel.send(frames)
        except Unreachable as error:
            self.desk.unsent(answer, error)
        return AsyncPending(self, answer)

    def send_quietly(self, frames: list[bytes]) -> None:
        """Send what needs no answer; where the daemon is gone, the reader learns it."""
        if not self.lost:
            with suppress(Unreachable):
                self._channel.send(frames)

    @property
    def lost(self) -> bool:
        """Whether this connection is of no more use for new requests."""
        return self.desk.ended or self._channel.lost

    async def close(self) -> None:
        """Close; what is still pending ends as not acknowledged, and the daemon stops answering it."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self._channel.close()
        self.desk.lose("the connection was closed; not acknowledged")

    async def _read(self) -> None:
        while not self.desk.ended:
            # With nothing under way, silence means nothing: this sleeps until the daemon speaks or goes.
            left = None if self.desk.idle else self.desk.check_at - time.monotonic()
            signal = await self._channel.arrival(left)
            if signal is Signal.LOST:
                self.desk.lose(NOT_ACKNOWLEDGED)
            elif signal is Signal.MESSAGE:
                self.desk.deliver(self._channel.receive())
            elif (ping := self.desk.overdue()) is not None:
                self.send_quietly(ping)
