"""Requests and their streamed replies over one channel: ids, deadlines, cancel, and the loss of the daemon.

Several requests may be pending at once; each message goes to the one that its `parent` names. A connection belongs to
one run of the daemon and ends with it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar, cast

import zmq

from sleepd.protocol import VERSION, endpoint, messages, wire
from sleepd.protocol.errors import DeadlineExceeded, ProtocolMismatch, SleepdError, Unreachable, from_code
from sleepd.protocol.messages import Body, Chunk, Error, Progress

from .channel import Channel, Signal

R = TypeVar("R", bound=Body)

_GRACE = 0.5
"""Seconds past a deadline that the daemon's own word about it has to arrive."""

_SILENCE = 5.0
"""Seconds of silence after which the daemon is asked whether it lives."""

_GIVE_UP = 20.0
"""Seconds of silence after which a connected daemon that answers nothing counts as gone."""


class Pending(Generic[R]):
    """A request under way: iterate over what it streams, then take `result()`.

    An exception that interrupts the iteration, such as KeyboardInterrupt, cancels the request on its way out; the
    iteration may be taken up again, and then ends with what was produced until then.
    """

    def __init__(
        self,
        connection: Connection,
        request_id: str,
        reply_type: type[R],
        deadline: float | None,
    ) -> None:
        self.id = request_id
        self.reply_type = reply_type
        self._connection = connection
        self._until = None if deadline is None else time.monotonic() + deadline + _GRACE
        self._inbox: deque[Chunk | Progress] = deque()
        self._cancelled = False
        self._end: R | SleepdError | None = None

    def __iter__(self) -> Iterator[Chunk | Progress]:
        return self

    def __next__(self) -> Chunk | Progress:
        try:
            while not self._inbox and self._end is None:
                self._connection.pump(self._until)
                if self._end is None and self._until is not None and time.monotonic() >= self._until:
                    self.cancel()
                    self.fail(DeadlineExceeded("the daemon did not answer within the deadline"))
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._inbox:
            return self._inbox.popleft()
        if isinstance(self._end, SleepdError):
            raise self._end
        raise StopIteration

    @property
    def done(self) -> bool:
        return self._end is not None

    def result(self) -> R:
        """The reply, once the stream has ended; what is left of the stream is skipped. Raises what ended it."""
        for _ in self:
            pass
        if self._end is None or isinstance(self._end, SleepdError):
            raise SleepdError("the request has not ended")
        return self._end

    def cancel(self) -> None:
        """Ask the daemon to stop; the request still ends by itself, with what was produced or with an error."""
        if self._end is None and not self._cancelled:
            self._cancelled = True
            self._connection.cancel(self.id)

    def accept(self, frames: list[bytes]) -> None:
        """Take in a message whose parent is this request."""
        try:
            body = wire.decode_reply(frames, self.reply_type).body
        except SleepdError as error:
            self.fail(ProtocolMismatch(f"the daemon's answer is not understood: {error}"))
            return
        if isinstance(body, Error):
            self.fail(from_code(body.code, body.message))
        elif isinstance(body, Chunk | Progress):
            self._inbox.append(body)
        else:
            self._end = body

    def fail(self, error: SleepdError) -> None:
        """End the request with an error."""
        self._end = error
        self._connection.forget(self.id)


class Connection:
    """A DEALER to the daemon of one home. Raises Unreachable, or ProtocolMismatch for another version."""

    def __init__(self, home: Path, start_command: str = "sleepd start") -> None:
        self._start_command = start_command
        self.info = endpoint.read(home)
        if self.info.protocol != VERSION:
            older = "sleepc" if self.info.protocol > VERSION else "the daemon and restart it"
            raise ProtocolMismatch(
                f"the daemon speaks protocol {self.info.protocol}, this client {VERSION}: update {older}"
            )
        self._channel = Channel(zmq.DEALER, self.info.requests)
        self._pending: dict[str, Pending[Body]] = {}
        self._heard = time.monotonic()
        self._asked = self._heard
        self._ended = False

    def start(
        self,
        body: Body,
        reply_type: type[R],
        *,
        deadline: float | None = None,
        session: str | None = None,
        request_id: str | None = None,
    ) -> Pending[R]:
        """Send a request; `deadline` in seconds. Nothing is awaited here."""
        request_id = request_id or wire.new_id()
        frames = wire.encode(
            wire.KIND_OF[type(body)],
            body,
            id=request_id,
            session=session,
            deadline_ms=None if deadline is None else max(0, round(deadline * 1000)),
            stream=True,
        )
        pending = Pending(self, request_id, reply_type, deadline)
        if not self._pending:
            self._heard = self._asked = time.monotonic()
        self._pending[request_id] = cast("Pending[Body]", pending)
        try:
            self._channel.send(frames)
        except Unreachable as error:
            pending.fail(Unreachable(f"{error} (what was asked was not sent); start one with: {self._start_command}"))
        return pending

    def pump(self, until: float | None) -> None:
        """Take in messages until one came, the daemon was lost, or the moment `until` passed."""
        now = time.monotonic()
        if self._ended:
            self._lose("not acknowledged")
            return
        check = max(self._heard, self._asked) + _SILENCE
        signal = self._channel.wait((check if until is None else min(check, until)) - now)
        if signal is Signal.LOST:
            self._lose("not acknowledged: what was asked may not have been done")
        elif signal is Signal.MESSAGE:
            self._heard = time.monotonic()
            self._deliver(self._channel.receive())
        elif time.monotonic() - self._heard > _GIVE_UP:
            self._lose("it answers nothing; not acknowledged")
        elif time.monotonic() >= check:
            self._asked = time.monotonic()
            self._send_quietly("ping", messages.Ping())

    def cancel(self, request_id: str) -> None:
        """Ask the daemon to stop a request; its answer to that is of no interest."""
        if not self._ended:
            self._send_quietly("cancel", messages.Cancel(request=request_id))

    def forget(self, request_id: str) -> None:
        """Drop what still comes for a request."""
        self._pending.pop(request_id, None)

    @property
    def lost(self) -> bool:
        """Whether this connection is of no more use for new requests."""
        return self._ended or self._channel.lost

    def close(self) -> None:
        """Close; what is still pending ends as not acknowledged, and the daemon stops answering it."""
        if not self._channel.closed:
            self._channel.close()
            self._lose("the connection was closed; not acknowledged")

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _deliver(self, frames: list[bytes]) -> None:
        try:
            parent = wire.decode_header(frames).parent
        except SleepdError as error:
            # Nobody can tell whose answer this was, so nobody should wait for it.
            for pending in list(self._pending.values()):
                pending.fail(ProtocolMismatch(f"the daemon's answer is not understood: {error}"))
            return
        asked = self._pending.get(parent or "")
        if asked is not None:  # else a pong, the answer to a cancel, or one that we gave up
            asked.accept(frames)
            if asked.done:
                self.forget(asked.id)

    def _send_quietly(self, kind: str, body: Body) -> None:
        # Where the daemon is gone, the wait that follows learns it, after what came before.
        with suppress(Unreachable):
            self._channel.send(wire.encode(kind, body, id=wire.new_id()))

    def _lose(self, consequence: str) -> None:
        self._ended = True
        for pending in list(self._pending.values()):
            again = f"start one again with: {self._start_command}"
            pending.fail(Unreachable(f"the daemon went away ({consequence}); {again}"))
