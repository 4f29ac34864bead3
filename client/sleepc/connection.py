"""Requests and their streamed replies over one channel, for programs that wait.

Several requests may be pending at once; each message goes to the one that its `parent` names. A connection belongs to
one run of the daemon and ends with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import zmq

from sleepd.protocol.messages import Body, Chunk, Progress

from .channel import Channel
from .exchange import Answer, find_daemon
from .line import Line, UnderWay
from .requests import Request

R = TypeVar("R", bound=Body)


class Pending(UnderWay[R]):
    """A request under way: iterate over what it streams, then take `result()`.

    An exception that interrupts the iteration, such as KeyboardInterrupt, cancels the request on its way out; the
    iteration may be taken up again, and then ends with what was produced until then.
    """

    def __init__(self, connection: Connection, answer: Answer[R]) -> None:
        super().__init__(connection, answer)
        self._connection = connection

    def __iter__(self) -> Iterator[Chunk | Progress]:
        return self

    def __next__(self) -> Chunk | Progress:
        answer = self._answer
        try:
            while not answer.stream and answer.end is None:
                self._connection.pump(answer.until)
                if answer.end is None and answer.until is not None and time.monotonic() >= answer.until:
                    self._expire()
        except KeyboardInterrupt:
            self.cancel()
            raise
        if answer.stream:
            return answer.stream.popleft()
        answer.result()
        raise StopIteration

    def result(self) -> R:
        """The reply, once the stream has ended; what is left of the stream is skipped. Raises what ended it."""
        for _ in self:
            pass
        return self._answer.result()


class Connection(Line):
    """A DEALER to the daemon of one home. Raises Unreachable, or ProtocolMismatch for another version."""

    def __init__(self, home: Path, start_command: str = "sleepd start") -> None:
        info = find_daemon(home)
        super().__init__(info, Channel(zmq.DEALER, info.requests, keys=info.curve), start_command)

    def start(self, request: Request[R], request_id: str | None = None) -> Pending[R]:
        """Send a request. Nothing is awaited here."""
        return Pending(self, self.ask(request, request_id))

    def pump(self, until: float | None) -> None:
        """Take in messages until one came, the daemon was lost, or the moment `until` passed."""
        if self.desk.ended:
            self.desk.lose("not acknowledged")
            return
        check = self.desk.check_at
        self.heed(self._channel.wait((check if until is None else min(check, until)) - time.monotonic()))

    def close(self) -> None:
        """Close; the daemon stops answering what is still pending."""
        self.end()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
