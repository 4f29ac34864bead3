"""Follows the daemon's events and keeps a `State` up to date, whatever becomes of the daemon. No Qt; one event loop.

News are reduced as they come and told in bursts: a thousand events cost one look at the status and one repaint.
While the daemon is heard nothing is asked but in answer to an event. While it is gone, whoever watches its
`daemon.json` calls `look_again`; beside that it is looked for ever more rarely, in case it hung and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from sleepd.protocol.errors import ProtocolMismatch, SleepdError
from sleepd.protocol.messages import Event

from ..async_client import AsyncClient
from ..live import Lost
from .state import Announcement, Foreign, News, State, announcements, reduce

BURST = 0.08
"""Seconds over which news are gathered before they are told."""

FIRST_LOOK, RAREST_LOOK = 1.0, 60.0
"""Seconds between looks for a daemon that is gone: doubled from the first to the rarest."""

Publish = Callable[[State, tuple[Announcement, ...]], None]


class Feed:
    """`publish` gets each new state with what of it deserves a notification."""

    def __init__(self, client: AsyncClient, publish: Publish) -> None:
        self._client = client
        self._publish = publish
        self._state = State()
        self._told: State | None = None
        self._announced: list[Announcement] = []
        self._again = asyncio.Event()
        self._stale = False
        self._telling: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        wait = FIRST_LOOK
        while True:
            self._again.clear()
            try:
                async for item in self._client.events():
                    wait = FIRST_LOOK
                    self.take(item)
                    self._stale |= isinstance(item, Event)
            except ProtocolMismatch as error:
                self.take(Foreign(str(error)))
            except SleepdError as error:
                self.take(Lost(str(error)))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._again.wait()
                    wait = FIRST_LOOK / 2
            wait = min(RAREST_LOOK, 2 * wait)

    def take(self, news: News) -> None:
        """Reduce one piece of news; it is told soon."""
        before, self._state = self._state, reduce(self._state, news)
        self._announced += announcements(before, self._state, news)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(BURST, self._tell)

    def look_again(self) -> None:
        """The daemon's file changed, or a person wants to know now."""
        self._again.set()

    def refresh(self) -> None:
        """Ask for the status: time passes without events, too."""
        self._stale = True
        self._look_again_or_tell()

    def _look_again_or_tell(self) -> None:
        if self._state.current is None:
            self._again.set()
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(0, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if self._state is not self._told or self._announced:
            announced, self._announced = tuple(self._announced), []
            self._told = self._state
            self._publish(self._state, announced)
        if self._stale and self._state.current is not None and self._asking is None:
            self._stale = False
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        """An event says what changed, not all that follows from it."""
        try:
            self.take(await self._client.status())
        except SleepdError:
            self._stale = True  # the stream of events learns why, and a snapshot follows
        finally:
            self._asking = None
