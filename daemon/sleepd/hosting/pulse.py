"""Proof of life: the model process is asked whether it makes progress, and only then is the watchdog fed.

A host that does not answer within `patience` hangs: it is killed, and the supervisor starts another. Loading is a
stretch in which nothing is answered; it has a bound of its own. Where the daemon itself was stopped meanwhile (a frozen
container, a machine that was suspended), the silence proves nothing, and the host is asked again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from sleepd.config import LimitSettings
from sleepd.errors import HostDied
from sleepd.hosting.host_link import HostLink
from sleepd.hosting.supervisor import Phase, Supervisor
from sleepd.service.notify import Notifier
from sleepengine.host.messages import Beat, Beaten

PAUSED = 1.0  # seconds by which a timer of ours is late only where the whole machine was stopped
_log = logging.getLogger(__name__)


class Pulse:
    """Beats until cancelled; a few wake-ups a minute."""

    def __init__(
        self, supervisor: Supervisor, notifier: Notifier, limits: LimitSettings, describe: Callable[[], str]
    ) -> None:
        self.beaten = Beaten(steps=0, rss_bytes=0)  # how the host is, as it last said
        self._supervisor = supervisor
        self._notifier = notifier
        self.limits = limits
        self._describe = describe
        self._loading_since: float | None = None

    async def run(self) -> None:
        """Each round: the host makes progress, or is ended; then the service manager hears of it."""
        while True:
            if await self._progress():
                self._notifier.send(WATCHDOG=1, STATUS=self._describe())
            every, watchdog = self.limits.beat_seconds, self._notifier.watchdog
            await asyncio.sleep(min(every, watchdog / 3) if watchdog else every)

    async def _progress(self) -> bool:
        supervisor, link = self._supervisor, self._supervisor.link
        if supervisor.phase is Phase.LOADING and link is not None:
            self._loading_since = self._loading_since or time.monotonic()
            if time.monotonic() - self._loading_since > self.limits.load_patience:
                self._loading_since = None
                self._end(link, f"it did not load within {self.limits.load_patience:.0f} s")
            return True
        self._loading_since = None
        if supervisor.phase is not Phase.UP or link is None:
            return True  # being restarted, or past help: the daemon says so and lives
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.limits.host_patience):
                beaten = await link.run(Beat(id=link.new_order()))
        except TimeoutError:
            if time.monotonic() - began > self.limits.host_patience + PAUSED:
                _log.info("this process did not run for a while, so the model process may not have either")
                return True
            self._end(link, f"it made no progress for {self.limits.host_patience:.0f} s")
            return False
        except HostDied:
            return True  # the supervisor knows
        if isinstance(beaten, Beaten):
            self.beaten = beaten
        if 0 < self.limits.unload_after < link.idle_seconds:
            _log.info("the model is unloaded: it was idle for %.0f s", link.idle_seconds)
            await supervisor.unload()
        return True

    def _end(self, link: HostLink, why: str) -> None:
        _log.error("the model process %d is ended: %s", link.pid, why)
        link.kill()
