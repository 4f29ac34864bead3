"""The event stream without gaps: subscribe, take a snapshot, drop what it covers, take another where one is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import zmq

from sleepd.protocol import wire
from sleepd.protocol.errors import Unreachable
from sleepd.protocol.messages import Event, SnapshotReply

from .channel import Channel, Signal

WELCOME = "welcome"
"""Type of the event that answers every new subscription, whoever's it is. Its number is that of the last event."""

_WELCOME_TIMEOUT = 1.0
"""Seconds that the daemon's word that the subscription is live may take; without it a gap tells, only later."""


def follow(
    events_endpoint: str,
    snapshot: Callable[[int | None], SnapshotReply],
    since: int | None = None,
    start_command: str = "sleepd start",
) -> Iterator[SnapshotReply | Event]:
    """A snapshot, then every event after it in order.

    With `since`, the events after that number come first where the daemon still has them. Another snapshot comes
    wherever events were lost for good: what was derived from earlier ones is to be taken from it anew. Ends by
    raising Unreachable when the daemon goes away.
    """
    gone = Unreachable(f"the daemon went away; start one again with: {start_command}")
    channel = Channel(zmq.SUB, events_endpoint, subscribe=wire.MAGIC)
    try:
        if channel.wait(_WELCOME_TIMEOUT) is Signal.LOST:
            raise gone
        base = snapshot(since)
        yield base
        yield from base.events
        seen = base.seq
        while True:
            if channel.wait(None) is not Signal.MESSAGE:
                raise gone
            event = wire.decode_event(channel.receive()).body
            if event.epoch == base.epoch and event.seq <= seen:
                continue
            if event.epoch == base.epoch and event.seq == seen + 1 and event.type != WELCOME:
                yield event
                seen = event.seq
                continue
            base = snapshot(seen if event.epoch == base.epoch else None)
            if not base.complete:
                yield base
            yield from base.events
            seen = base.seq
    finally:
        channel.close()
