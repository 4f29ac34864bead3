"""Sleep of its own accord: begins a cycle when the time is right, and waits for that without looking all the time.

A look says how long nothing will change by itself; what changes otherwise is told by events. Only a clock that was set,
a machine that was suspended and a plug that was pulled tell nobody: so a look comes every `LONGEST` seconds at least.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime

from sleepd.clock import seconds_since
from sleepd.core import Core
from sleepd.hosting.supervisor import Phase
from sleepd.protocol.errors import SleepdError
from sleepd.protocol.messages import Event
from sleepd.sleep.bedtime import Decision, Situation, decide
from sleepd.sleep.nights import Nights
from sleepd.sleep.outlook import Outlook, outlook
from sleepd.sleep.power import on_battery
from sleepengine.memory.facts import Stage
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import CycleRow
from sleepengine.sleep.pressure import Pressure, pressure

LONGEST = 600.0  # seconds between two looks
SETTLE = 1.0  # seconds from a change to the look at it; changes come in bursts
AGAIN = 60.0  # seconds after a cycle that could not begin
_TELLING = ("fact", "sleep", "host", "config")  # events after which the need for sleep may be another
_READY = (Phase.UP, Phase.UNLOADED)  # a cycle loads the model where it was unloaded
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """What one look finds: the need for sleep, what to do about it now, and what to expect."""

    pressure: Pressure
    decision: Decision
    outlook: Outlook | None


class Scheduler:
    """Knows how drowsy it is. `used` is told of every request that a person waits for."""

    def __init__(self, core: Core, nights: Nights) -> None:
        self._core = core
        self._nights = nights
        self._used = time.monotonic()
        self._drowsy_since: float | None = None
        self._changed = asyncio.Event()
        core.bus.listen(self._heard)

    def used(self) -> None:
        """Somebody wants something: it is not idle."""
        self._used = time.monotonic()

    async def look(self) -> Look:
        """The need for sleep as of now, and what it would do about it."""
        situation = await self._situation()
        schedule, bounds = self._core.config.schedule, self._core.config.pressure
        decision = decide(situation, schedule)
        expected = outlook(situation, decision, schedule, max_edits=bounds.max_edits, full_after=bounds.full_after)
        return Look(situation.pressure, decision, expected)

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            pause = await self._act()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
                await asyncio.sleep(SETTLE)
            except TimeoutError:
                continue  # by itself it is another now
            finally:
                self._changed.clear()

    async def _act(self) -> float:
        """Begin what shall begin now; the seconds until the next look, if nothing happens."""
        if self._nights.cycle is not None or self._core.supervisor.phase not in _READY:
            return LONGEST
        look = await self.look()
        self._note(look.decision)
        if look.decision.begin is None:
            return pause_after(look)
        _log.info("%s", look.decision.why)
        try:
            await self._core.keeping.require_room()
            await self._nights.begin(look.decision.begin)
        except SleepdError as error:
            _log.warning("a %s could not begin: %s", look.decision.begin, error)
            return AGAIN
        return LONGEST

    def _heard(self, event: Event) -> None:
        if event.type in _TELLING:
            self._changed.set()

    def _note(self, decision: Decision) -> None:
        was = self._drowsy_since is not None
        if decision.drowsy != was:
            self._drowsy_since = time.monotonic() if decision.drowsy else None
            self._core.bus.publish("state", state="drowsy" if decision.drowsy else "awake", why=decision.why)

    async def _situation(self) -> Situation:
        settings = self._core.config.pressure

        def read(ledger: Ledger) -> tuple[int, int, CycleRow | None]:
            last = ledger.cycle(None)
            unslept = ledger.counts().get(Stage.ACTIVE, 0) + ledger.pending_count()
            return unslept, ledger.unslept_since("" if last is None else last.started), last

        edits, fresh, last = await self._core.store.run(read)
        ended = None if last is None or last.ended is None else seconds_since(last.ended)
        awake = time.monotonic() - self._core.started
        rested = ended if last is not None and last.outcome == "committed" and ended is not None else awake
        return Situation(
            pressure=pressure(
                edits=edits,
                max_edits=settings.max_edits,
                seconds=rested,
                full_after=settings.full_after,
                drift=self._core.drift,
                full_drift=settings.full_drift,
            ),
            fresh=fresh,
            idle=time.monotonic() - self._used,
            since_cycle=ended,
            failed=last is not None and last.outcome in ("rejected", "aborted"),
            drowsy_for=None if self._drowsy_since is None else time.monotonic() - self._drowsy_since,
            clock=datetime.now(),
            on_battery=on_battery(),
        )


def pause_after(look: Look) -> float:
    """Seconds for which a look that begins nothing holds, if nothing happens."""
    seconds = None if look.outlook is None else look.outlook.seconds
    return LONGEST if seconds is None else min(max(seconds, SETTLE), LONGEST)
