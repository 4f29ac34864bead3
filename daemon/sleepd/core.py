"""What every service of the daemon shares: the home, the settings, the ledger, the events and the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sleepd.config import Config
from sleepd.hosting.host_link import HostLink, OnPartial, Partial
from sleepd.hosting.supervisor import Supervisor
from sleepd.paths import Home
from sleepd.protocol.messages import Body, Chunk, FactInfo, Progress, Verified, ViewName
from sleepd.serving.events import EventBus
from sleepd.storage.keeping import Keeping
from sleepd.storage.store import Store
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.view import BASE, View

Emit = Callable[[Body], None]


@dataclass
class Core:
    """One daemon's parts. `supervisor` is set once the host's commands are known."""

    home: Home
    config: Config
    store: Store
    bus: EventBus
    keeping: Keeping
    supervisor: Supervisor
    started: float = field(default_factory=time.monotonic)
    drift: float = 0.0  # of the live view from the bare base, as last measured; nats a token

    @property
    def model(self) -> str:
        """The identity of the model that the host loaded. Call it only while a host is up."""
        assert self.supervisor.ready is not None, "a host that takes orders has said what it loaded"
        return self.supervisor.ready.identity

    async def live_view(self) -> View:
        """What the ledger says the model shall answer with."""
        model = self.model
        return await self.store.run(lambda ledger: ledger.live_view(model))

    async def mount(self, link: HostLink) -> None:
        """Make the host's live view what the ledger says."""
        view = await self.live_view()
        await link.run(host.Mount(id=link.new_order(), view=view))

    async def view(self, name: ViewName) -> View | None:
        """A view by the name that a client uses; None is the host's live one."""
        match name:
            case "current":
                return None
            case "no-edits":
                return (await self.live_view()).without_edits()
            case "base":
                return BASE


def relay(emit: Emit) -> OnPartial:
    """Pass a host's partial reports on to a client."""

    def on_partial(report: Partial) -> None:
        if isinstance(report, host.Chunk):
            emit(Chunk(text=report.text))
        elif isinstance(report, host.Progress):
            emit(Progress(phase=report.phase, done=report.done, total=report.total, detail=report.detail))

    return on_partial


def fact_info(fact: Fact) -> FactInfo:
    """A fact as clients see it: of a forgotten one, no words."""
    forgotten = fact.state is FactState.FORGOTTEN
    return FactInfo(
        id=fact.id,
        subject="" if forgotten else fact.subject,
        relation="" if forgotten else fact.relation,
        object="" if forgotten else fact.object,
        statement="" if forgotten else fact.statement,
        state=fact.state.value,
        stage=int(fact.stage),
        scale=fact.scale,
        verified=Verified(raw=fact.verified.raw, chat=fact.verified.chat),
    )
