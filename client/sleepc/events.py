"""The event stream without gaps: subscribe, take a snapshot, drop what it covers, take another where one is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import zmq

from sleepd.protocol import wire
from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.errors import Unreachable
from sleepd.protocol.messages import Event, SnapshotReply

from .channel import Channel, Signal

WELCOME = "welcome"
"""Type of the event that answers every new subscription, whoever's it is. Its number is that of the last event."""

WELCOME_TIMEOUT = 1.0
"""Seconds that the daemon's word that the subscription is live may take; without it a gap tells, only later."""


class Verdict(Enum):
    """What an event is to somebody who has seen all before it."""

    NEW = "new"
    COVERED = "covered"
    MISSING = "missing"  # something before it did not come


class Tape:
    """How far a follower has read. With no socket: both ways of following feed it."""

    def __init__(self, since: int | None) -> None:
        self._epoch: str | None = None
        self._seen = 0
        self.since = since
        """What to ask the next snapshot for."""

    def judge(self, event: Event) -> Verdict:
        """Whether an event is the next one; if so it counts as seen."""
        if event.epoch != self._epoch:
            self.since = None
            return Verdict.MISSING
        if event.seq <= self._seen:
            return Verdict.COVERED
        if event.seq != self._seen + 1 or event.type == WELCOME:
            return Verdict.MISSING
        self._seen = self.since = event.seq
        return Verdict.NEW

    def begin(self, base: SnapshotReply) -> list[SnapshotReply | Event]:
        """What a snapshot tells anew: itself where it is the first or where events were lost, then kept events."""
        told: list[SnapshotReply | Event] = [] if self._epoch is not None and base.complete else [base]
        self._epoch = base.epoch
        self._seen = self.since = base.seq
        return [*told, *base.events]


def follow(
    info: DaemonInfo,
    snapshot: Callable[[int | None], SnapshotReply],
    since: int | None = None,
    start_command: str = "sleepd start",
) -> Iterator[SnapshotReply | Event]:
    """A snapshot, then every event after it in order.

    With `since`, the events after that number come first where the daemon still has them. Another snapshot comes
    wherever events were lost for good: what was derived from earlier ones is to be taken from it anew. Ends by
    raising Unreachable when the daemon goes away.
    """
    tape = Tape(since)
    channel = Channel(zmq.SUB, info.events, keys=info.curve, subscribe=wire.MAGIC)
    try:
        if channel.wait(WELCOME_TIMEOUT) is Signal.LOST:
            raise gone(start_command)
        yield from tape.begin(snapshot(tape.since))
        while channel.wait(None) is Signal.MESSAGE:
            event = wire.decode_event(channel.receive()).body
            verdict = tape.judge(event)
            if verdict is Verdict.NEW:
                yield event
            elif verdict is Verdict.MISSING:
                yield from tape.begin(snapshot(tape.since))
        raise gone(start_command)
    finally:
        channel.close()


def gone(start_command: str) -> Unreachable:
    """What ends every stream of events."""
    return Unreachable(f"the daemon went away; start one again with: {start_command}")
