"""The daemon as it is now, kept up to date by its events: a pure reducer, and the loop that feeds it.

`sleepc watch` and the chat's status line show a `Picture`; anything else that shows the daemon's state can too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from sleepd.protocol.errors import DeadlineExceeded, Unreachable
from sleepd.protocol.messages import Event, SnapshotReply, StatusReply

from .async_client import AsyncClient

KEPT = 200
"""Events that a picture keeps."""

RETRY = 1.0
"""Seconds between looks for a daemon that went away."""


@dataclass(frozen=True)
class Lost:
    """The daemon does not answer."""

    reason: str


@dataclass(frozen=True)
class Picture:
    """What is known of the daemon. `status` is the last one heard; `lost` says why it may be stale."""

    status: StatusReply | None = None
    phase: str | None = None  # of the cycle that runs
    recent: tuple[Event, ...] = ()  # oldest first
    lost: str | None = None


Item = SnapshotReply | Event | StatusReply | Lost


def reduce(picture: Picture, item: Item) -> Picture:
    """The picture after one more piece of news."""
    match item:
        case Lost(reason=reason):
            return replace(picture, lost=reason, phase=None)
        case StatusReply():
            return replace(picture, status=item, lost=None, phase=_phase(picture, item))
        case SnapshotReply():
            return replace(picture, status=item.status, lost=None, phase=_phase(picture, item.status))
        case Event():
            recent = (*picture.recent, item)[-KEPT:]
            if item.type != "sleep":
                return replace(picture, recent=recent)
            phase = item.data.get("phase")
            return replace(picture, recent=recent, phase=None if phase in ("end", "undo") else str(phase))


def _phase(picture: Picture, status: StatusReply) -> str | None:
    """Of the cycle that runs: as the status has it, or, before a first phase has begun, as events had it."""
    return (status.phase or picture.phase) if status.cycle is not None else None


async def pictures(client: AsyncClient) -> AsyncIterator[tuple[Picture, Item]]:
    """Each new picture with the news that made it, for as long as it is listened to, whatever becomes of the daemon.

    An event says what changed, not all that follows from it, so the status is asked for anew. Raises what trying
    again does not mend, such as ProtocolMismatch.
    """
    picture = Picture()
    while True:
        try:
            async for item in client.events():
                picture = reduce(picture, item)
                if isinstance(item, Event):
                    picture = reduce(picture, await client.status())
                yield picture, item
        except (Unreachable, DeadlineExceeded) as error:
            if picture.lost is None:
                lost = Lost(str(error))
                picture = reduce(picture, lost)
                yield picture, lost
        await asyncio.sleep(RETRY)
