"""Sleep: beginning a cycle, watching it, committing what it proposes, and its reports."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from sleepd.calls import Call
from sleepd.clock import now
from sleepd.core import Core, Emit
from sleepd.host_link import Partial
from sleepd.protocol.errors import Busy, NotFound, SleepdError
from sleepd.protocol.messages import (
    FailedFact,
    PhaseReport,
    PhaseSpan,
    Progress,
    Report,
    Sleep,
    SleepReply,
    WakeReply,
)
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Advance
from sleepengine.memory.view import View
from sleepengine.sleep.report import NightReport, PhaseMetrics, Plan

INTERRUPTED = "the daemon or the model process ended while it slept; memory is as it was"
_log = logging.getLogger(__name__)


class Nights:
    """The services `sleep`, `wake` and `report`. One cycle at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[SleepReply] | None = None
        self._listeners: list[Emit] = []
        self._order: tuple[Any, str] | None = None  # the link and the id of the running order
        self.cycle: int | None = None
        self.phase = ""

    async def abandon_interrupted(self) -> None:
        """End a cycle that a crash left open, as aborted."""

        def work(ledger: Ledger) -> None:
            open_cycle = ledger.open_cycle()
            if open_cycle is not None:
                reply = SleepReply(
                    cycle=open_cycle.number,
                    kind=open_cycle.kind,
                    outcome="aborted",
                    reason=INTERRUPTED,
                    started=open_cycle.started,
                )
                ledger.end_cycle(open_cycle.number, "aborted", msgspec.to_builtins(reply), now())

        await self._core.store.run(work)

    async def sleep(self, call: Call, request: Sleep) -> SleepReply:
        """Begin a cycle; with `wait`, answer with its report. Raises Busy while one runs."""
        if self._task is not None:
            raise Busy(f"cycle {self.cycle} is under way; `sleepc wake` ends it")
        await self._core.supervisor.host()
        if self._task is not None:  # somebody else began one while the model loaded
            raise Busy(f"cycle {self.cycle} is under way; `sleepc wake` ends it")
        began = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(began), name="night")
        self._task.add_done_callback(self._ended)
        number, started = await began
        if not request.wait:
            return SleepReply(cycle=number, kind="sleep", outcome="started", started=started)
        self._listeners.append(call.emit)
        return await asyncio.shield(self._task)

    async def wake(self) -> WakeReply:
        """Abort the running cycle at its next safe point, and wait for that."""
        if self._task is None:
            return WakeReply(cycle=None, aborted=False)
        task, number = self._task, self.cycle
        if self._order is not None:
            link, order = self._order
            link.cancel(order)
        reply = await asyncio.shield(task)
        return WakeReply(cycle=number, aborted=reply.outcome == "aborted")

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

    # --- one cycle ------------------------------------------------------------------------------------------------

    def _ended(self, task: asyncio.Task[SleepReply]) -> None:
        self._task, self._order, self.cycle, self.phase = None, None, None, ""
        self._listeners.clear()
        if not task.cancelled() and task.exception() is not None:
            _log.error("the cycle failed: %s", task.exception())

    async def _run(self, began: asyncio.Future[tuple[int, str]]) -> SleepReply:
        core = self._core
        link = await core.supervisor.host()
        model, started = core.model, now()
        number, facts, view = await core.store.run(lambda ledger: _begin(ledger, model, started))
        self.cycle = number
        began.set_result((number, started))
        core.bus.publish("sleep", cycle=number, phase="begin")
        try:
            order = host.Sleep(
                id=link.new_order(),
                cycle=number,
                plan=Plan(),
                facts=tuple(facts),
                view=view,
                settings=core.config.sleep,
            )
            self._order = (link, order.id)
            slept = await link.run(order, self._progress)
            assert isinstance(slept, host.Slept)
            self._order = None
            reply = await self._settle(number, model, started, facts, view, slept.report)
            if reply.outcome == "committed":
                await core.mount(link)
        except (SleepdError, asyncio.CancelledError) as error:
            reason = INTERRUPTED if isinstance(error, asyncio.CancelledError) else str(error)
            reply = SleepReply(cycle=number, kind="sleep", outcome="aborted", reason=reason, started=started)
            await core.store.run(lambda ledger: _end(ledger, reply))
            if isinstance(error, asyncio.CancelledError):
                raise
        core.bus.publish("sleep", cycle=number, phase="end", outcome=reply.outcome)
        return reply

    def _progress(self, report: Partial) -> None:
        if not isinstance(report, host.Progress):
            return
        if report.phase != self.phase:
            self.phase = report.phase
            self._core.bus.publish("sleep", cycle=self.cycle, phase=report.phase)
        progress = Progress(phase=report.phase, done=report.done, total=report.total, detail=report.detail)
        for emit in self._listeners:
            emit(progress)

    async def _settle(
        self, number: int, model: str, started: str, facts: list[Fact], view: View, report: NightReport
    ) -> SleepReply:
        """Commit a proposal, or end the cycle with what it found."""
        reply = as_reply(number, started, facts, report)

        def work(ledger: Ledger) -> SleepReply:
            if report.outcome != "committed":
                _end(ledger, reply)
                return reply
            advances = [
                Advance(fact_id=o.fact_id, stage=Stage(o.stage), scale=o.scale, blob=o.blob, verified=o.verified)
                for o in report.facts
            ]
            advances += _learned_meanwhile(ledger, model, view)
            number_after = ledger.generation(model)[0] + 1
            final = msgspec.structs.replace(reply, generation=number_after)
            ledger.commit_cycle(number, model, report.generation, advances, msgspec.to_builtins(final), now())
            return final

        return await self._core.store.run(work)


def _begin(ledger: Ledger, model: str, at: str) -> tuple[int, list[Fact], View]:
    facts = ledger.facts([FactState.ACTIVE, FactState.PENDING])
    return ledger.begin_cycle("sleep", at), facts, ledger.live_view(model)


def _end(ledger: Ledger, reply: SleepReply) -> None:
    ledger.end_cycle(reply.cycle, reply.outcome, msgspec.to_builtins(reply), now())


def _learned_meanwhile(ledger: Ledger, model: str, before: View) -> list[Advance]:
    """Facts learned while the cycle ran keep their edits beside the new generation."""
    known = {ref.fact_id for ref in before.edits}
    kept = []
    for ref in ledger.live_view(model).edits:
        fact = ledger.fact(ref.fact_id)
        if ref.fact_id not in known and fact is not None:
            kept.append(
                Advance(fact_id=ref.fact_id, stage=fact.stage, scale=ref.scale, blob=ref.blob, verified=fact.verified)
            )
    return kept


def as_reply(number: int, started: str, facts: list[Fact], report: NightReport) -> SleepReply:
    """A night's report as clients see it; the generation's number is known only when it is committed."""
    statements = {fact.id: fact.statement for fact in facts}
    failures = tuple(
        FailedFact(id=o.fact_id, statement=statements[o.fact_id], reason=o.reason) for o in report.facts if not o.passed
    )
    return SleepReply(
        cycle=number,
        kind="sleep",
        outcome=report.outcome,
        reason=report.reason,
        advanced=tuple(o.fact_id for o in report.facts if o.passed),
        failed=tuple(f.id for f in failures),
        failures=failures,
        sws=None if report.sws is None else phase_report(report.sws),
        hypnogram=tuple(PhaseSpan(phase=s.phase, start=s.start, end=s.end) for s in report.spans),
        drift=report.drift,
        started=started,
        seconds=report.seconds,
    )


def phase_report(metrics: PhaseMetrics) -> PhaseReport:
    return PhaseReport(
        ppl_before=metrics.ppl_before,
        ppl_after=metrics.ppl_after,
        recall_raw=metrics.recall_raw,
        recall_chat=metrics.recall_chat,
        steps=metrics.steps,
        seconds=metrics.seconds,
    )
