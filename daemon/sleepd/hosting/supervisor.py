"""Keeps a host alive: starts it, mounts memory into it, restarts it with back-off when it dies.

loading --ready, mounted--> up --died--> waiting --back-off--> loading
   |  died or failed for a passing reason --> waiting
   |  unload --> unloaded --wanted--> loading
   +--failed for a lasting reason (no such model, unsupported, corrupt)--> broken
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from sleepd.errors import HostDied, HostNotReady
from sleepd.hosting.host_link import HostLink
from sleepd.protocol.errors import Busy, SleepdError
from sleepengine.host.messages import Ready

FIRST_DELAY = 0.5  # seconds before the first restart
LONGEST_DELAY = 30.0
STEADY_AFTER = 60.0  # seconds up after which a death counts as the first again
PATIENCE = 3  # failures in a row after which requests no longer wait for the next attempt
_LASTING = frozenset({"not_found", "refused", "storage", "usage"})
_log = logging.getLogger(__name__)


class Phase(StrEnum):
    LOADING = "loading"
    UP = "up"
    WAITING = "waiting"
    UNLOADED = "unloaded"
    BROKEN = "broken"


class Supervisor:
    """Owns the current host.

    `spawn` starts one. `mount` gives it the memory before anyone may use it. `changed` is called after every change
    of `phase`.
    """

    def __init__(
        self,
        spawn: Callable[[], Awaitable[HostLink]],
        mount: Callable[[HostLink, Ready], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self.phase = Phase.LOADING
        self.link: HostLink | None = None
        self.ready: Ready | None = None  # of the latest host that came up
        self.error: SleepdError | None = None  # why there is no host, or why the last one ended
        self.restarts = 0
        self._failures = 0
        self._spawn = spawn
        self._mount = mount
        self._changed = changed
        self._turn = asyncio.Event()
        self._wanted = asyncio.Event()
        self._unloading = False

    async def host(self, *, wait: bool = True) -> HostLink:
        """A host that takes orders. Waits for loading and restarts; without `wait`, raises Busy instead.

        Raises HostNotReady, or the reason with its own code, where waiting would not help.
        """
        while self.phase is not Phase.UP or self.link is None or self.link.died.done():
            if self.error is not None and self.phase is Phase.BROKEN:
                raise self.error
            if self.error is not None and self._failures >= PATIENCE:
                raise HostNotReady(f"the model does not come up: {self.error}")
            self._wanted.set()
            if not wait:
                raise Busy(f"the model is not ready ({self.doing})")
            await self._turn.wait()
        return self.link

    async def settled(self) -> SleepdError | None:
        """Wait until the first attempt to load has ended; None where it succeeded."""
        while self.phase is Phase.LOADING:
            await self._turn.wait()
        return None if self.phase is Phase.UP else self.error

    @property
    def doing(self) -> str:
        """A few words for a person."""
        match self.phase:
            case Phase.LOADING:
                return self.link.loading if self.link else "starting"
            case Phase.UP:
                return "up"
            case Phase.UNLOADED:
                return "the model is unloaded; it is loaded when it is needed"
            case Phase.WAITING | Phase.BROKEN:
                return str(self.error)

    async def run(self) -> None:
        """Supervise until cancelled, or until loading fails for a lasting reason."""
        delay = FIRST_DELAY
        while True:
            self._enter(Phase.LOADING)
            began = time.monotonic()
            error = await self._live()
            if self.link is not None:
                await self.link.close()
            if self._unloading:
                self._unloading = False
                await self._wanted.wait()
                continue
            if error.code in _LASTING:
                _log.error("the model cannot be used: %s", error)
                self._enter(Phase.BROKEN, error)
                return
            if time.monotonic() - began > STEADY_AFTER:
                delay = FIRST_DELAY
                self._failures = 0
            self._failures += 1
            self.restarts += 1
            _log.error("%s; next attempt in %.1f s", error, delay)
            self._enter(Phase.WAITING, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def unload(self) -> bool:
        """Free the model's memory until somebody needs it; False where there was no host to end."""
        if self.phase is not Phase.UP or self.link is None:
            return False
        self._unloading = True
        self._wanted.clear()
        self._enter(Phase.UNLOADED)  # first, so that nobody gives the host another order
        await self.link.close()
        return True

    async def stop(self, grace: float) -> None:
        """End the host. Call it after `run` was cancelled."""
        if self.link is not None:
            await self.link.close(grace)

    async def _live(self) -> SleepdError:
        """One host from start to end; returns why it ended."""
        try:
            self.link = await self._spawn()
            ready = await self.link.ready()
            self.ready = ready
            await self._mount(self.link, ready)
        except SleepdError as error:
            return error
        where = (ready.backend, ready.device, ready.dtype)
        _log.info("host %d is up: %s, %s on %s (%s) after %.1f s", self.link.pid, ready.model, *where, ready.seconds)
        self._enter(Phase.UP)
        return HostDied(await asyncio.shield(self.link.died))  # our cancellation is not its death

    def _enter(self, phase: Phase, error: SleepdError | None = None) -> None:
        self.phase = phase
        if phase is Phase.UP:
            self.error = None
        elif error is not None:
            self.error = error
        self._turn.set()
        self._turn = asyncio.Event()
        self._changed()
