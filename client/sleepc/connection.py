"""Requests and their streamed replies over one channel, for programs that wait.

Several requests may be pending at once; each message goes to the one that its `parent` names. A connection belongs to
one run of the daemon and ends with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import zmq

from sleepd.protocol.errors import DeadlineExceeded, Unreachable
from sleepd.protocol.messages import Body, Chunk, Progress

from .channel import Channel, Signal
from .exchange import NOT_ACKNOWLEDGED, Answer, Desk, cancel_frames, find_daemon
from .requests import Request

R = TypeVar("R", bound=Body)


class Pending(Generic[R]):
    """A request under way: iterate over what it streams, then take `result()`.

    An exception that interrupts the iteration, such as KeyboardInterrupt, cancels the request on its way out; the
    iteration may be taken up again, and then ends with what was produced until then.
    """

    def __init__(self, connection: Connection, answer: Answer[R]) -> None:
        self.id = answer.id
        self._connection = connection
        self._answer = answer
        self._cancelled = False

    def __iter__(self) -> Iterator[Chunk | Progress]:
        return self

    def __next__(self) -> Chunk | Progress:
        answer = self._answer
        try:
            while not answer.stream and answer.end is None:
                self._connection.pump(answer.until)
                if answer.end is None and answer.until is not None and time.monotonic() >= answer.until:
                    self.cancel()
                    self._connection.desk.forget(answer)
                    answer.fail(DeadlineExceeded("the daemon did not answer within the deadline"))
        except KeyboardInterrupt:
            self.cancel()
            raise
        if answer.stream:
            return answer.stream.popleft()
        answer.result()
        raise StopIteration

    @property
    def done(self) -> bool:
        return self._answer.end is not None

    def result(self) -> R:
        """The reply, once the stream has ended; what is left of the stream is skipped. Raises what ended it."""
        for _ in self:
            pass
        return self._answer.result()

    def cancel(self) -> None:
        """Ask the daemon to stop; the request still ends by itself, with what was produced or with an error."""
        if not self.done and not self._cancelled:
            self._cancelled = True
            self._connection.send_quietly(cancel_frames(self.id))


class Connection:
    """A DEALER to the daemon of one home. Raises Unreachable, or ProtocolMismatch for another version."""

    def __init__(self, home: Path, start_command: str = "sleepd start") -> None:
        self.info = find_daemon(home)
        self.desk = Desk(start_command)
        self._channel = Channel(zmq.DEALER, self.info.requests, keys=self.info.curve)

    def start(self, request: Request[R], request_id: str | None = None) -> Pending[R]:
        """Send a request. Nothing is awaited here."""
        answer, frames = self.desk.open(request, request_id)
        try:
            self._channel.send(frames)
        except Unreachable as error:
            self.desk.unsent(answer, error)
        return Pending(self, answer)

    def pump(self, until: float | None) -> None:
        """Take in messages until one came, the daemon was lost, or the moment `until` passed."""
        if self.desk.ended:
            self.desk.lose("not acknowledged")
            return
        check = self.desk.check_at
        signal = self._channel.wait((check if until is None else min(check, until)) - time.monotonic())
        if signal is Signal.LOST:
            self.desk.lose(NOT_ACKNOWLEDGED)
        elif signal is Signal.MESSAGE:
            self.desk.deliver(self._channel.receive())
        elif (ping := self.desk.overdue()) is not None:
            self.send_quietly(ping)

    def send_quietly(self, frames: list[bytes]) -> None:
        """Send what needs no answer; where the daemon is gone, the wait that follows learns it."""
        if not self.desk.ended:
            with suppress(Unreachable):
                self._channel.send(frames)

    @property
    def lost(self) -> bool:
        """Whether this connection is of no more use for new requests."""
        return self.desk.ended or self._channel.lost

    def close(self) -> None:
        """Close; what is still pending ends as not acknowledged, and the daemon stops answering it."""
        if not self._channel.closed:
            self._channel.close()
            self.desk.lose("the connection was closed; not acknowledged")

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
