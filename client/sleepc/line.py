"""What a connection is, whether its program waits or has an event loop: requests go out, signals become answers.

`connection` and `async_connection` add the waiting, each in its own way.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Generic, TypeVar

from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.errors import DeadlineExceeded, Unreachable
from sleepd.protocol.messages import Body

from .channel import Channel, Signal
from .exchange import NOT_ACKNOWLEDGED, Answer, Desk, cancel_frames
from .requests import Request

R = TypeVar("R", bound=Body)


class Line:
    """A DEALER to one run of the daemon, and what is under way on it."""

    def __init__(self, info: DaemonInfo, channel: Channel, start_command: str) -> None:
        self.info = info
        self.desk = Desk(start_command)
        self._channel = channel

    def ask(self, request: Request[R], request_id: str | None) -> Answer[R]:
        """Send a request; where that fails, its answer says so."""
        answer, frames = self.desk.open(request, request_id)
        try:
            self._channel.send(frames)
        except Unreachable as error:
            self.desk.unsent(answer, error)
        return answer

    def send_quietly(self, frames: list[bytes]) -> None:
        """Send what needs no answer; where the daemon is gone, whoever waits learns it."""
        if not self.desk.ended:
            with suppress(Unreachable):
                self._channel.send(frames)

    def heed(self, signal: Signal) -> None:
        """Do what the end of a wait calls for: take in a message, note a loss, or ask after a long silence."""
        if signal is Signal.LOST:
            self.desk.lose(NOT_ACKNOWLEDGED)
        elif signal is Signal.MESSAGE:
            self.desk.deliver(self._channel.receive())
        elif (ping := self.desk.overdue()) is not None:
            self.send_quietly(ping)

    def end(self) -> None:
        """Close the channel; what is still pending ends as not acknowledged."""
        if not self._channel.closed:
            self._channel.close()
            self.desk.lose("the connection was closed; not acknowledged")

    @property
    def lost(self) -> bool:
        """Whether this connection is of no more use for new requests."""
        return self.desk.ended or self._channel.lost


class UnderWay(Generic[R]):
    """A request that was sent."""

    def __init__(self, line: Line, answer: Answer[R]) -> None:
        self.id = answer.id
        self.cancelled = False
        """Whether the daemon was asked to stop it."""
        self._line = line
        self._answer = answer

    @property
    def done(self) -> bool:
        return self._answer.end is not None

    def cancel(self) -> None:
        """Ask the daemon to stop; the request still ends by itself, with what was produced or with an error."""
        if not self.done and not self.cancelled:
            self.cancelled = True
            self._line.send_quietly(cancel_frames(self.id))

    def _expire(self) -> None:
        """The deadline has passed, and the daemon did not say so itself."""
        self.cancel()
        self._line.desk.forget(self._answer)
        self._answer.fail(DeadlineExceeded("the daemon did not answer within the deadline"))
