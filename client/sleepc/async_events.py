"""The event stream without gaps, for an event loop, and one that outlives the daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import zmq

from sleepd.protocol import wire
from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.messages import Event, SnapshotReply

from .async_channel import AsyncChannel
from .channel import Signal
from .events import WELCOME_TIMEOUT, Tape, Verdict, gone


async def follow_async(
    info: DaemonInfo,
    snapshot: Callable[[int | None], Awaitable[SnapshotReply]],
    since: int | None = None,
    start_command: str = "sleepd start",
) -> AsyncIterator[SnapshotReply | Event]:
    """`follow` for an event loop."""
    tape = Tape(since)
    channel = await AsyncChannel.open(zmq.SUB, info.events, keys=info.curve, subscribe=wire.MAGIC)
    try:
        if await channel.arrival(WELCOME_TIMEOUT) is Signal.LOST:
            raise gone(start_command)
        for item in tape.begin(await snapshot(tape.since)):
            yield item
        while await channel.arrival(None) is Signal.MESSAGE:
            event = wire.decode_event(channel.receive()).body
            verdict = tape.judge(event)
            if verdict is Verdict.NEW:
                yield event
            elif verdict is Verdict.MISSING:
                for item in tape.begin(await snapshot(tape.since)):
                    yield item
        raise gone(start_command)
    finally:
        channel.close()
