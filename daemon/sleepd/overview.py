"""How the daemon is: status, health, and the snapshot that an event follower starts from."""

from __future__ import annotations

import os
import time

from sleepd import __version__
from sleepd.calls import Call
from sleepd.clock import seconds_since
from sleepd.core import Core, relay
from sleepd.metrics import resident_bytes
from sleepd.nights import Nights
from sleepd.protocol.errors import Refused
from sleepd.protocol.messages import (
    CanaryAnswer,
    DaemonState,
    FactCounts,
    Health,
    HealthReply,
    HostStatus,
    Snapshot,
    SnapshotReply,
    StatusReply,
)
from sleepd.pulse import Pulse
from sleepd.reloading import Reloading
from sleepd.supervisor import Phase
from sleepengine.host import messages as host
from sleepengine.memory.facts import Stage
from sleepengine.memory.ledger import Ledger
from sleepengine.sleep.pressure import Pressure, pressure


class Overview:
    """The services `status`, `health` and `snapshot`."""

    def __init__(self, core: Core, nights: Nights, reloading: Reloading, pulse: Pulse) -> None:
        self._core = core
        self._nights = nights
        self._reloading = reloading
        self._pulse = pulse
        self._drift = 0.0  # as last measured

    async def status(self) -> StatusReply:
        """The state as of now."""
        core, supervisor = self._core, self._core.supervisor
        ready = supervisor.ready

        def read(ledger: Ledger) -> tuple[int, FactCounts, float | None]:
            counts = ledger.counts()
            last = ledger.cycle(None)
            generation = 0 if ready is None else ledger.generation(ready.identity)[0]
            facts = FactCounts(
                active=counts.get(Stage.ACTIVE, 0),
                consolidating=counts.get(Stage.CONSOLIDATING, 0),
                consolidated=counts.get(Stage.CONSOLIDATED, 0),
                pending=ledger.pending_count(),
            )
            rested = seconds_since(last.ended) if last and last.ended and last.outcome == "committed" else None
            return generation, facts, rested

        generation, facts, rested = await core.store.run(read)
        need = self._pressure(facts.active, rested)
        link = supervisor.link if supervisor.phase is Phase.UP else None
        return StatusReply(
            state=self._state(),
            pressure=need.value,
            model=core.config.model,
            generation=generation,
            facts=facts,
            pid=os.getpid(),
            epoch=core.bus.epoch,
            version=__version__,
            home=str(core.home.root),
            uptime=time.monotonic() - core.started,
            host=HostStatus(
                pid=link.pid if link else None,
                device=ready.device if ready else None,
                dtype=ready.dtype if ready else None,
                restarts=supervisor.restarts,
                resident_bytes=self._pulse.host_bytes if link else 0,
                error=str(supervisor.error) if supervisor.error else None,
            ),
            why=self._why(need),
            cycle=self._nights.cycle,
            storage=await core.keeping.status(),
            resident_bytes=resident_bytes(),
            config_error=self._reloading.error,
        )

    async def health(self, call: Call, request: Health) -> HealthReply:
        """Perplexity, drift and canaries of a view, beside the bare base's perplexity on the same text."""
        if request.text is not None and len(request.text.split()) < 2:
            raise Refused("the text is too short to have a perplexity")
        link = await self._core.supervisor.host()
        order = host.Measure(id=link.new_order(), text=request.text, view=await self._core.view(request.view))
        result = await link.run(order, relay(call.emit))
        assert isinstance(result, host.Measured)
        if request.view == "current":
            self._drift = result.drift
        return HealthReply(
            perplexity=result.perplexity,
            base_perplexity=result.base_perplexity,
            drift=result.drift,
            tokens=result.tokens,
            canaries=tuple(CanaryAnswer(question=q, answer=a, accepted=ok) for q, a, ok in result.canaries),
            seconds=result.seconds,
        )

    async def snapshot(self, request: Snapshot) -> SnapshotReply:
        """The status with the number of the last event that it covers, and the events since a number."""
        status = await self.status()
        bus = self._core.bus
        events, complete = bus.since(request.since) if request.since is not None else ((), True)
        return SnapshotReply(epoch=bus.epoch, seq=bus.seq, status=status, events=events, complete=complete)

    def _pressure(self, active: int, rested: float | None) -> Pressure:
        settings = self._core.config.pressure
        awake = rested if rested is not None else time.monotonic() - self._core.started
        return pressure(
            edits=active,
            max_edits=settings.max_edits,
            seconds=awake,
            full_after=settings.full_after,
            drift=self._drift,
            full_drift=settings.full_drift,
        )

    def _state(self) -> DaemonState:
        if self._nights.cycle is not None:
            return "sleep"
        match self._core.supervisor.phase:
            case Phase.UP:
                return "awake"
            case Phase.LOADING:
                return "loading"
            case Phase.UNLOADED:
                return "unloaded"
            case Phase.WAITING | Phase.BROKEN:
                return "degraded"

    def _why(self, need: Pressure) -> str:
        if self._nights.cycle is not None:
            return f"asleep: {self._nights.phase or 'beginning'}"
        if self._core.supervisor.phase is not Phase.UP:
            return self._core.supervisor.doing
        return f"sleep begins with `sleepc sleep`; the need for it is {need.value:.0%}, mostly for {need.reason}"
