"""What is asked and what comes back, without any socket: requests under way, whose answer a message is, and silence.

`Connection` and `AsyncConnection` move the frames; this module decides what they mean.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

from sleepd.protocol import VERSION, endpoint, messages, wire
from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.errors import ProtocolMismatch, SleepdError, Unreachable, from_code
from sleepd.protocol.messages import Body, Chunk, Error, Progress

from .requests import Request

R = TypeVar("R", bound=Body)

GRACE = 0.5
"""Seconds past a deadline that the daemon's own word about it has to arrive."""

_SILENCE = 5.0
"""Seconds of silence after which the daemon is asked whether it lives."""

_GIVE_UP = 20.0
"""Seconds of silence after which a connected daemon that answers nothing counts as gone."""

NOT_ACKNOWLEDGED = "not acknowledged: what was asked may not have been done"


class Answer(Generic[R]):
    """What has come for one request: a stream, then its end. `changed` is called whenever something was added."""

    def __init__(self, request_id: str, request: Request[R]) -> None:
        self.id = request_id
        self.stream: deque[Chunk | Progress] = deque()
        self.end: R | SleepdError | None = None
        self.until = None if request.deadline is None else time.monotonic() + request.deadline + GRACE
        self.changed: Callable[[], None] = _nothing
        self._reply_type = request.reply_type

    def accept(self, frames: list[bytes]) -> None:
        """Take in a message whose parent is this request."""
        try:
            body = wire.decode_reply(frames, self._reply_type).body
        except SleepdError as error:
            self.fail(ProtocolMismatch(f"the daemon's answer is not understood: {error}"))
            return
        if isinstance(body, Error):
            self.fail(from_code(body.code, body.message))
            return
        if isinstance(body, Chunk | Progress):
            self.stream.append(body)
        else:
            self.end = body
        self.changed()

    def fail(self, error: SleepdError) -> None:
        """End the request with an error."""
        self.end = error
        self.changed()

    def result(self) -> R:
        """The reply. Raises what ended the request."""
        if self.end is None:
            raise SleepdError("the request has not ended")
        if isinstance(self.end, SleepdError):
            raise self.end
        return self.end


class Desk:
    """All requests under way on one connection, and when the daemon was last heard."""

    def __init__(self, start_command: str) -> None:
        self._start_command = start_command
        self._answers: dict[str, Answer[Body]] = {}
        self._heard = self._asked = time.monotonic()
        self.ended = False

    def open(self, request: Request[R], request_id: str | None = None) -> tuple[Answer[R], list[bytes]]:
        """Note a request; returns its answer to be, and the frames to send."""
        answer = Answer(request_id or wire.new_id(), request)
        deadline = request.deadline
        frames = wire.encode(
            wire.KIND_OF[type(request.body)],
            request.body,
            id=answer.id,
            session=request.session,
            deadline_ms=None if deadline is None else max(0, round(deadline * 1000)),
            stream=True,
        )
        if not self._answers:
            self._heard = self._asked = time.monotonic()
        self._answers[answer.id] = cast("Answer[Body]", answer)
        return answer, frames

    def unsent(self, answer: Answer[R], error: Unreachable) -> None:
        """End a request whose frames could not be sent."""
        self.forget(answer)
        answer.fail(Unreachable(f"{error} (what was asked was not sent); start one with: {self._start_command}"))

    def deliver(self, frames: list[bytes]) -> None:
        """Give a message to the request that it answers."""
        self._heard = time.monotonic()
        try:
            parent = wire.decode_header(frames).parent
        except SleepdError as error:
            # Nobody can tell whose answer this was, so nobody should wait for it.
            self._fail_all(ProtocolMismatch(f"the daemon's answer is not understood: {error}"))
            return
        answer = self._answers.get(parent or "")
        if answer is not None:  # else a pong, the answer to a cancel, or one that was given up
            answer.accept(frames)
            if answer.end is not None:
                self.forget(answer)

    def forget(self, answer: Answer[R]) -> None:
        """Drop what still comes for a request."""
        self._answers.pop(answer.id, None)

    def lose(self, consequence: str) -> None:
        """End everything that is under way; the daemon, or the connection, is gone."""
        self.ended = True
        again = f"start one again with: {self._start_command}"
        self._fail_all(Unreachable(f"the daemon went away ({consequence}); {again}"))

    # --- silence --------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        return not self._answers

    @property
    def check_at(self) -> float:
        """The moment (monotonic) at which `overdue` is to be asked again."""
        return max(self._heard, self._asked) + _SILENCE

    def overdue(self) -> list[bytes] | None:
        """The frames of a ping where it is time for one; loses the connection after too long a silence."""
        now = time.monotonic()
        if self.idle:
            return None
        if now - self._heard > _GIVE_UP:
            self.lose("it answers nothing; not acknowledged")
        elif now >= self.check_at:
            self._asked = now
            return wire.encode("ping", messages.Ping(), id=wire.new_id())
        return None

    def _fail_all(self, error: SleepdError) -> None:
        answers = list(self._answers.values())
        self._answers.clear()
        for answer in answers:
            answer.fail(error)


def find_daemon(home: Path) -> DaemonInfo:
    """Where the daemon of a home listens. Raises Unreachable, or ProtocolMismatch for another version."""
    info = endpoint.read(home)
    if info.protocol != VERSION:
        older = "sleepc" if info.protocol > VERSION else "the daemon and restart it"
        raise ProtocolMismatch(f"the daemon speaks protocol {info.protocol}, this client {VERSION}: update {older}")
    return info


def cancel_frames(request_id: str) -> list[bytes]:
    """The message that asks the daemon to stop a request; its answer is of no interest."""
    return wire.encode("cancel", messages.Cancel(request=request_id), id=wire.new_id())


def _nothing() -> None:
    pass
