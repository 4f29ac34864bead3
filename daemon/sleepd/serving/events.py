"""What happened, told to everyone who listens: numbered without gaps, kept for a while, published on a XPUB socket.

A subscriber connects, waits for the event of type `welcome` (it proves that the subscription is live; its `seq` is
that of the last event and counts for nothing itself), asks for a `snapshot`, and drops what the snapshot covers.

The epoch names one run of the daemon. Numbers go on from one run to the next, so that `since` means the same thing
to every run: they are reserved in the ledger in blocks, and a run starts where the last one's reservation ended.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, cast

import zmq
import zmq.asyncio

from sleepd.clock import now
from sleepd.protocol import wire
from sleepd.protocol.messages import Event
from sleepd.storage.store import Store
from sleepengine.memory.ledger import Ledger

EventType = Literal["state", "model", "fact", "sleep", "host", "storage", "config", "inbox"]

RESERVED = "events.reserved"
"""Key of the ledger's small value up to which numbers are given away."""

_BLOCK = 4096
_log = logging.getLogger(__name__)


class EventBus:
    """Publishes events and remembers the latest of them. Used from the event loop's thread."""

    def __init__(self, store: Store, first: int, kept: int) -> None:
        self.epoch = secrets.token_hex(8)
        self.seq = first
        self._store = store
        self._first = first  # events up to here belong to earlier runs
        self._reserved = first + _BLOCK
        self._kept: deque[Event] = deque(maxlen=kept)
        self._listeners: list[Callable[[Event], None]] = []
        self._socket: zmq.asyncio.Socket | None = None
        self._reserving: asyncio.Task[None] | None = None

    @classmethod
    async def create(cls, store: Store, kept: int) -> EventBus:
        return cls(store, await store.run(_reserve), kept)

    def attach(self, socket: zmq.asyncio.Socket) -> None:
        """Publish on this XPUB socket from now on."""
        self._socket = socket

    def listen(self, heard: Callable[[Event], None]) -> None:
        """Have a part of the daemon told of every event, as it is published."""
        self._listeners.append(heard)

    def publish(self, kind: EventType, /, **data: Any) -> None:
        """Number, keep and send one event. Never waits: a subscriber that does not read loses events and sees a gap."""
        self.seq += 1
        event = Event(epoch=self.epoch, seq=self.seq, type=kind, at=now(), data=data)
        self._kept.append(event)
        self._send(event)
        for heard in self._listeners:
            heard(event)
        if self.seq > self._reserved - _BLOCK // 4 and self._reserving is None:
            self._reserving = asyncio.create_task(self._reserve_more())

    def since(self, seq: int) -> tuple[tuple[Event, ...], bool]:
        """The kept events after `seq`, and whether these are all that there were."""
        oldest = self._kept[0].seq if self._kept else self.seq + 1
        complete = oldest - 1 <= seq <= self.seq and seq >= self._first
        return tuple(event for event in self._kept if event.seq > seq), complete

    async def welcome_subscribers(self) -> None:
        """Answer each new subscription; runs until cancelled."""
        assert self._socket is not None
        while True:
            message = await self._socket.recv()
            if message[:1] == b"\x01":
                event = Event(epoch=self.epoch, seq=self.seq, type="welcome", at=now(), data={})
                self._send(event)

    def _send(self, event: Event) -> None:
        if self._socket is None:
            return
        frames = wire.encode("event", event, id=wire.new_id(), seq=event.seq)
        sent = self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
        error = cast("asyncio.Future[None]", sent).exception()  # resolved at once, because of NOBLOCK
        if error is not None:
            _log.warning("event %d was not published: %s", event.seq, error)

    async def _reserve_more(self) -> None:
        try:
            await self._store.run(lambda ledger: ledger.set_value(RESERVED, str(self._reserved + _BLOCK)))
            self._reserved += _BLOCK
        finally:
            self._reserving = None


def _reserve(ledger: Ledger) -> int:
    first = int(ledger.get_value(RESERVED) or "0")
    ledger.set_value(RESERVED, str(first + _BLOCK))
    return first
