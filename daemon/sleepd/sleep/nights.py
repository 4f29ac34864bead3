"""Naps and sleeps: beginning a cycle, watching it, going on with it after a crash, committing it, and its reports."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from sleepd.clock import now
from sleepd.core import Core, Emit
from sleepd.errors import HostDied
from sleepd.hosting.host_link import HostLink, Partial
from sleepd.protocol.errors import Busy, Cancelled, NotFound, SleepdError
from sleepd.protocol.messages import Progress, Report, Sleep, SleepReply, Undo, UndoReply, WakeReply
from sleepd.serving.calls import Call
from sleepd.sleep import settling
from sleepd.sleep.bedtime import Kind
from sleepd.sleep.reports import as_reply
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Checkpoint, CycleRow
from sleepengine.sleep.report import Plan
from sleepengine.sleep.settings import SleepSettings

ATTEMPTS = 3  # runs of one cycle; one that kills its host each time is given up
SPENT = 0.8  # of the drift budget, at which the adapter is trained from the base again
INTERRUPTED = "the daemon or the model process ended while it slept; memory is as it was"
_HELD = (FactState.ACTIVE, FactState.PENDING)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cycle:
    """A cycle that is under way: what it is over, and how far it is."""

    number: int
    kind: str
    started: str
    facts: tuple[Fact, ...]
    checkpoint: Checkpoint


class Nights:
    """The services `sleep`, `nap`, `wake`, `undo` and `report`. One cycle at a time.

    `settled` is called after a commit or an undo, so that what can be let go of by then is.
    """

    def __init__(self, core: Core, settled: Callable[[], Awaitable[None]]) -> None:
        self._core = core
        self._settled = settled
        self._task: asyncio.Task[SleepReply] | None = None
        self._undoing = False
        self._listeners: list[Emit] = []
        self._order: tuple[HostLink, str] | None = None  # the link and the id of the running order
        self._saving: list[asyncio.Task[None]] = []
        self._woken = False
        self.cycle: int | None = None
        self.kind = ""
        self.phase = ""

    # --- services -------------------------------------------------------------------------------------------------

    async def sleep(self, call: Call, request: Sleep) -> SleepReply:
        """Begin a full sleep; with `wait`, answer with its report. Raises Busy while a cycle runs."""
        return await self._asked("sleep", call, request)

    async def nap(self, call: Call, request: Sleep) -> SleepReply:
        """The same for a nap."""
        return await self._asked("nap", call, request)

    async def begin(self, kind: Kind) -> tuple[int, str]:
        """Begin a cycle in the background; returns its number and when it began. Raises Busy while one runs."""
        self._require_free()
        await self._core.supervisor.host()
        self._require_free()  # somebody else may have begun one while the model loaded
        began: asyncio.Future[Cycle] = asyncio.get_running_loop().create_future()
        self._start(self._run(self._fresh(kind), began))
        cycle = await began
        return cycle.number, cycle.started

    async def wake(self) -> WakeReply:
        """Abort the running cycle at its next safe point, and wait for that."""
        if self._task is None:
            return WakeReply(cycle=None, aborted=False)
        task, number = self._task, self.cycle
        self._woken = True
        if self._order is not None:
            link, order = self._order
            link.cancel(order)
        reply = await asyncio.shield(task)
        return WakeReply(cycle=number, aborted=reply.outcome == "aborted")

    async def undo(self, call: Call, request: Undo) -> UndoReply:
        """Return to the previous generation. Raises Refused where there is none, Busy while a cycle runs."""
        self._require_free()
        self._undoing = True
        try:
            reply = await settling.undo(self._core, call.emit)
            await self._settled()
        finally:
            self._undoing = False
        return reply

    async def report(self, request: Report) -> SleepReply:
        """A finished cycle's report. Raises NotFound."""
        row = await self._core.store.run(lambda ledger: ledger.cycle(request.cycle))
        if row is None:
            which = "no cycle has ended yet" if request.cycle is None else f"there is no cycle {request.cycle}"
            raise NotFound(which)
        if row.report is None:
            raise NotFound(f"cycle {row.number} has not ended")
        return msgspec.convert(row.report, SleepReply)

    async def stop(self) -> None:
        """End the running cycle before the daemon stops."""
        if self._task is not None:
            await self.wake()

    async def resume(self) -> None:
        """Go on with a cycle that the end of an earlier daemon left open, or report it as abandoned."""
        row = await self._core.store.run(lambda ledger: ledger.open_cycle())
        if row is None or self._task is not None:
            return
        settings = self._core.config.sleep
        cycle = await self._core.store.run(lambda ledger: _reopened(ledger, row, settings))
        if cycle is None:
            reply = SleepReply(
                cycle=row.number, kind=row.kind, outcome="aborted", reason=INTERRUPTED, started=row.started
            )
            await self._core.store.run(lambda ledger: _end(ledger, reply))
            self._core.bus.publish("sleep", cycle=row.number, kind=row.kind, phase="end", outcome="aborted")
            return
        self._start(self._run(_already(cycle), asyncio.get_running_loop().create_future()))

    # --- one cycle ------------------------------------------------------------------------------------------------

    async def _asked(self, kind: Kind, call: Call, request: Sleep) -> SleepReply:
        number, started = await self.begin(kind)
        if not request.wait or self._task is None:
            return SleepReply(cycle=number, kind=kind, outcome="started", started=started)
        self._listeners.append(call.emit)
        return await asyncio.shield(self._task)

    def _require_free(self) -> None:
        if self._task is not None:
            raise Busy(f"cycle {self.cycle} is under way; `sleepc wake` ends it")
        if self._undoing:
            raise Busy("the last sleep is being undone")

    def _start(self, run: Awaitable[SleepReply]) -> None:
        self._woken = False
        self._task = asyncio.ensure_future(run)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[SleepReply]) -> None:
        self._task, self._order, self.cycle, self.kind, self.phase = None, None, None, "", ""
        self._listeners.clear()
        if not task.cancelled() and task.exception() is not None:
            _log.error("the cycle failed: %s", task.exception())

    async def _fresh(self, kind: str) -> Cycle:
        core, at = self._core, now()
        await core.supervisor.host()
        model, settings = core.model, core.config.sleep
        return await core.store.run(lambda ledger: _begun(ledger, kind, model, settings, at))

    async def _run(self, opening: Awaitable[Cycle], began: asyncio.Future[Cycle]) -> SleepReply:
        try:
            cycle = await opening
        except BaseException as error:
            began.set_exception(error)
            raise
        self.cycle, self.kind = cycle.number, cycle.kind
        began.set_result(cycle)
        self._core.bus.publish("sleep", cycle=cycle.number, kind=cycle.kind, phase="begin")
        try:
            reply = await self._lived(cycle)
        except (SleepdError, asyncio.CancelledError) as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            reply = SleepReply(
                cycle=cycle.number,
                kind=cycle.kind,
                outcome="aborted",
                reason=INTERRUPTED if cancelled else str(error),
                started=cycle.started,
            )
            if cancelled:
                raise  # the daemon stops without having reached a safe point: it goes on with the cycle when it is back
            await self._core.store.run(lambda ledger: _end(ledger, reply))
        self._core.bus.publish("sleep", cycle=cycle.number, kind=cycle.kind, phase="end", outcome=reply.outcome)
        return reply

    async def _lived(self, cycle: Cycle) -> SleepReply:
        """Run a cycle, again where its host died, and commit it."""
        while True:
            link = await self._core.supervisor.host()
            if self._woken:
                raise Cancelled("cancelled")
            if self._core.model != cycle.checkpoint.model:
                raise Busy("another model was loaded meanwhile")
            try:
                return await self._once(link, cycle)
            except HostDied as died:
                cycle = await self._next_attempt(cycle, died)

    async def _next_attempt(self, cycle: Cycle, died: HostDied) -> Cycle:
        """The cycle from its last checkpoint on. Raises what killed the host once it did so too often, or was told to
        end."""
        kept = await self._core.store.run(lambda ledger: ledger.checkpoint())
        if kept is None or kept.attempts >= ATTEMPTS or self._woken:
            raise died
        again = msgspec.structs.replace(kept, attempts=kept.attempts + 1)
        await self._core.store.run(lambda ledger: ledger.keep_checkpoint(again))
        _log.warning("cycle %d goes on from its last checkpoint: %s", cycle.number, died)
        self._core.bus.publish("sleep", cycle=cycle.number, kind=cycle.kind, phase="again", attempt=again.attempts)
        return Cycle(cycle.number, cycle.kind, cycle.started, cycle.facts, again)

    async def _once(self, link: HostLink, cycle: Cycle) -> SleepReply:
        core, kept = self._core, cycle.checkpoint
        plan = Plan(kind=cycle.kind, rebuild=kept.rebuild, adapters=kept.adapters)
        order = host.Sleep(
            id=link.new_order(),
            cycle=cycle.number,
            plan=plan,
            facts=cycle.facts,
            view=kept.view,
            settings=core.config.sleep,
        )
        self._order = (link, order.id)
        try:
            slept = await link.run(order, self._progress)
        finally:
            self._order = None
            await asyncio.gather(*self._saving)
            self._saving.clear()
        assert isinstance(slept, host.Slept)
        report = slept.report
        reply = as_reply(cycle.number, cycle.started, cycle.facts, report, kept.attempts)
        if report.outcome != "committed":
            await core.store.run(lambda ledger: _end(ledger, reply))
            return reply
        final = await settling.commit(core, link, kept.model, report, reply)
        core.drift = report.drift
        try:
            await core.mount(link)
            await self._settled()
        except HostDied as died:
            _log.info("%s; the next one is given what was committed", died)
        return final

    def _progress(self, report: Partial) -> None:
        if isinstance(report, host.Saved):
            self._saving.append(asyncio.create_task(self._save(report)))
        if not isinstance(report, host.Progress):
            return
        if report.phase != self.phase:
            self.phase = report.phase
            self._core.bus.publish("sleep", cycle=self.cycle, kind=self.kind, phase=report.phase)
        progress = Progress(phase=report.phase, done=report.done, total=report.total, detail=report.detail)
        for emit in self._listeners:
            emit(progress)

    async def _save(self, saved: host.Saved) -> None:
        """Note what a phase made, so that a crash does not cost it."""

        def work(ledger: Ledger) -> None:
            kept = ledger.checkpoint()
            if kept is not None:
                adapters = {**kept.adapters, saved.phase: saved.blob}
                ledger.keep_checkpoint(msgspec.structs.replace(kept, adapters=adapters))

        await self._core.store.run(work)


async def _already(cycle: Cycle) -> Cycle:
    return cycle


def _begun(ledger: Ledger, kind: str, model: str, settings: SleepSettings, at: str) -> Cycle:
    """Open a cycle over what is held now."""
    facts, view = tuple(ledger.facts(_HELD)), ledger.live_view(model)
    number = ledger.begin_cycle(kind, at)
    checkpoint = Checkpoint(
        cycle=number,
        model=model,
        view=view,
        facts=tuple(f.id for f in facts),
        settings=_digest(settings),
        rebuild=_rebuild(ledger, model, settings) if kind == "sleep" else "",
    )
    ledger.keep_checkpoint(checkpoint)
    return Cycle(number, kind, at, facts, checkpoint)


def _reopened(ledger: Ledger, row: CycleRow, settings: SleepSettings) -> Cycle | None:
    """An open cycle as it was begun; None where it cannot go on: too many attempts, or what it is over has changed."""
    kept = ledger.checkpoint()
    if kept is None or kept.cycle != row.number or kept.attempts >= ATTEMPTS or kept.settings != _digest(settings):
        return None
    facts = [f for fact_id in kept.facts if (f := ledger.fact(fact_id)) is not None and f.state in _HELD]
    if len(facts) < len(kept.facts):
        return None
    again = msgspec.structs.replace(kept, attempts=kept.attempts + 1)
    ledger.keep_checkpoint(again)
    return Cycle(row.number, row.kind, row.started, tuple(facts), again)


def _rebuild(ledger: Ledger, model: str, settings: SleepSettings) -> str:
    """Why the adapter shall be trained from the bare base again; "" where it is trained on."""
    if gone := ledger.still_known(model):
        return f"{len(gone)} facts that it knows were forgotten or corrected"
    nights = ledger.nights_on_adapter(model)
    if settings.rebuild_every and nights >= settings.rebuild_every:
        return f"{nights} nights on one adapter"
    last = ledger.cycle(None)
    if last is not None and last.report is not None and nights:
        drift = float(last.report.get("drift", 0.0))
        if drift >= SPENT * settings.drift_budget:
            return f"its answers drifted by {drift:.3f} nats a token"
        if last.outcome == "rejected" and last.kind == "sleep":
            return "the last night on it was refused"
    return ""


def _end(ledger: Ledger, reply: SleepReply) -> None:
    ledger.end_cycle(reply.cycle, reply.outcome, msgspec.to_builtins(reply), now())


def _digest(settings: SleepSettings) -> str:
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()
