"""How the daemon is: status, health, and the snapshot that an event follower starts from."""

from __future__ import annotations

import os
import time

from sleepd import __version__
from sleepd.core import Core, relay
from sleepd.facts.edit_queue import EditQueue
from sleepd.hosting.pulse import Pulse
from sleepd.hosting.supervisor import Phase
from sleepd.observing.metrics import resident_bytes
from sleepd.protocol.errors import Refused
from sleepd.protocol.messages import (
    CanaryAnswer,
    DaemonState,
    FactCounts,
    Health,
    HealthReply,
    HostStatus,
    NextCycle,
    SleepNeed,
    Snapshot,
    SnapshotReply,
    StatusReply,
)
from sleepd.serving.calls import Call
from sleepd.sleep.bedtime import Decision
from sleepd.sleep.nights import Nights
from sleepd.sleep.outlook import Outlook
from sleepd.sleep.scheduler import Scheduler
from sleepd.watching.reloading import Reloading
from sleepengine.host import messages as host
from sleepengine.memory.facts import Stage
from sleepengine.memory.ledger import Ledger


class Overview:
    """The services `status`, `health` and `snapshot`."""

    def __init__(
        self, core: Core, queue: EditQueue, nights: Nights, scheduler: Scheduler, reloading: Reloading, pulse: Pulse
    ) -> None:
        self._core = core
        self._queue = queue
        self._nights = nights
        self._scheduler = scheduler
        self._reloading = reloading
        self._pulse = pulse

    async def status(self) -> StatusReply:
        """The state as of now."""
        core, supervisor = self._core, self._core.supervisor
        ready = supervisor.ready

        def read(ledger: Ledger) -> tuple[int, FactCounts]:
            counts = ledger.counts()
            generation = 0 if ready is None else ledger.generation(ready.identity)[0]
            facts = FactCounts(
                active=counts.get(Stage.ACTIVE, 0),
                consolidating=counts.get(Stage.CONSOLIDATING, 0),
                consolidated=counts.get(Stage.CONSOLIDATED, 0),
                pending=ledger.pending_count(),
            )
            return generation, facts

        generation, facts = await core.store.run(read)
        look = await self._scheduler.look()
        need, asleep = look.pressure, self._nights.cycle is not None
        link = supervisor.link if supervisor.phase is Phase.UP else None
        return StatusReply(
            state=self._state(look.decision),
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
                backend=ready.backend if ready else None,
                device=ready.device if ready else None,
                dtype=ready.dtype if ready else None,
                restarts=supervisor.restarts,
                resident_bytes=self._pulse.beaten.rss_bytes if link else 0,
                device_bytes=self._pulse.beaten.device_bytes if link else 0,
                error=str(supervisor.error) if supervisor.error else None,
            ),
            why=self._why(look.decision),
            cycle=self._nights.cycle,
            phase=self._nights.phase or None,
            need=SleepNeed(edits=need.edits, time=need.time, drift=need.drift),
            next=None if asleep or look.outlook is None else _next_cycle(look.outlook),
            learn=core.config.learn,
            learning=self._queue.editing,
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
            self._core.drift = result.drift
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

    def _state(self, decision: Decision) -> DaemonState:
        if self._nights.cycle is not None:
            return "nap" if self._nights.kind == "nap" else "sleep"
        match self._core.supervisor.phase:
            case Phase.UP:
                return "drowsy" if decision.drowsy else "awake"
            case Phase.LOADING:
                return "loading"
            case Phase.UNLOADED:
                return "unloaded"
            case Phase.WAITING | Phase.BROKEN:
                return "degraded"

    def _why(self, decision: Decision) -> str:
        if self._nights.cycle is not None:
            return self._nights.phase or "beginning"
        if self._core.supervisor.phase is not Phase.UP:
            return self._core.supervisor.doing
        return decision.why


def _next_cycle(expected: Outlook) -> NextCycle:
    return NextCycle(kind=expected.kind, seconds=expected.seconds, facts=expected.facts)
