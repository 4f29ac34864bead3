"""A channel whose waiting is awaited."""

from __future__ import annotations

import asyncio
from functools import partial

import zmq

from sleepd.protocol.endpoint import CurveKeys

from .channel import Channel, Signal


class AsyncChannel(Channel):
    """A channel for one event loop, of a kind that can watch file descriptors (all but Windows' default one).

    ZeroMQ's descriptor is edge-triggered, and any use of the socket may take the edge: so the sockets are always
    asked before the descriptors are watched, and again after every send.
    """

    @classmethod
    async def open(
        cls, kind: int, endpoint: str, *, keys: CurveKeys | None = None, subscribe: bytes | None = None
    ) -> AsyncChannel:
        """Connect, in a thread: a daemon that hangs must not hold up the loop. Raises Unreachable."""
        connect = partial(cls, kind, endpoint, keys=keys, subscribe=subscribe)
        opening = asyncio.get_running_loop().run_in_executor(None, connect)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)  # the thread cannot be stopped, and nobody wants what it opens
            raise

    _look_again: asyncio.Event | None = None
    _used = False

    async def arrival(self, timeout: float | None) -> Signal:
        """`wait`, awaited, by one task. A send meanwhile ends it early as TIMEOUT: what is awaited may have changed."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        look_again = self._look_again = asyncio.Event()
        descriptors = [int(socket.get(zmq.FD)) for socket in (self._socket, self._monitor)]
        for descriptor in descriptors:
            loop.add_reader(descriptor, look_again.set)
        self._used = False
        try:
            while True:
                look_again.clear()
                if (signal := self.wait(0)) is not Signal.TIMEOUT or self._used:
                    return signal
                try:
                    async with asyncio.timeout_at(until):
                        await look_again.wait()
                except TimeoutError:
                    return Signal.TIMEOUT
        finally:
            self._look_again = None
            for descriptor in descriptors:
                loop.remove_reader(descriptor)

    def send(self, frames: list[bytes]) -> None:
        try:
            super().send(frames)
        finally:
            self._wake()

    @property
    def lost(self) -> bool:
        try:
            return super().lost
        finally:
            self._wake()

    def _wake(self) -> None:
        self._used = True
        if self._look_again is not None:
            self._look_again.set()


def _close(opening: asyncio.Future[AsyncChannel]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
