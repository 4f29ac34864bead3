"""The worker that has facts edited into the model, or kept from coming out of it, one batch at a time.

A fact is learned by an edit that asserts it. One that was superseded or forgotten after an adapter had learned it gets
an edit that suppresses it, until the next sleep unlearns it. What waits together is edited together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sleepd.core import Core, Emit, relay
from sleepd.errors import HostDied
from sleepd.hosting.host_link import Partial
from sleepd.protocol.errors import Busy, SleepdError
from sleepengine.errors import StaleProposal
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Learned
from sleepengine.memory.view import View

_HELD = (FactState.PENDING, FactState.ACTIVE)
_log = logging.getLogger(__name__)


@dataclass
class Job:
    """A fact that waits to be edited, and who waits for it."""

    fact: Fact
    suppress: bool
    done: asyncio.Future[None]
    emit: Emit


class EditQueue:
    """Orders edits from the host and commits what comes of them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._waiting: dict[tuple[str, bool], Job] = {}
        self.editing = 0  # facts that the host is learning now

    async def learn(self, facts: Iterable[Fact], emit: Emit) -> None:
        """Have pending facts edited in; returns when that was committed, whatever came of it."""
        await self._all([self._enqueue(fact, emit, suppress=False) for fact in facts])

    async def refresh(self, emit: Emit) -> None:
        """Make the model forget what the ledger does not hold any more: mount, and suppress what an adapter knows."""
        core = self._core
        await core.mount(await core.supervisor.host())
        model = self._core.model
        facts = await self._core.store.run(lambda ledger: ledger.needing_suppression(model))
        await self._all([self._enqueue(fact, emit, suppress=True) for fact in facts])

    async def catch_up(self) -> None:
        """Queue what an earlier run, another model or an undo left undone; called whenever a host came up."""
        model = self._core.model

        def undone(ledger: Ledger) -> tuple[list[Fact], list[Fact]]:
            pending = [f for f in ledger.facts([FactState.PENDING]) if not _attempted(ledger, f)]
            return pending + ledger.needing_edit(model), ledger.needing_suppression(model)

        learn, suppress = await self._core.store.run(undone)
        for fact in suppress:
            self._enqueue(fact, _nobody, suppress=True)
        for fact in learn:
            self._enqueue(fact, _nobody, suppress=False)

    async def work(self) -> None:
        """Edit what is queued until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < self._core.config.limits.learn_batch:
                batch.append(self._queue.get_nowait())
            for suppress in (True, False):  # what is no longer true goes first
                if jobs := [job for job in batch if job.suppress is suppress]:
                    await self._settle(jobs, suppress)

    async def _settle(self, jobs: list[Job], suppress: bool) -> None:
        try:
            await self._edit_patiently(jobs, suppress)
        except SleepdError as error:
            _log.warning("%d facts were not %s: %s", len(jobs), "suppressed" if suppress else "learned", error)
            _finish(jobs, error)
        else:
            _finish(jobs, None)
        finally:
            for job in jobs:
                self._waiting.pop((job.fact.id, suppress), None)

    async def _edit_patiently(self, jobs: list[Job], suppress: bool) -> None:
        """One retry where the host died or another generation became active meanwhile."""
        try:
            await self._edit(jobs, suppress)
        except (HostDied, Busy) as error:
            if isinstance(error, Busy) and not isinstance(error.__cause__, StaleProposal):
                raise
            _log.info("editing %d facts again: %s", len(jobs), error)
            await self._edit(jobs, suppress)

    async def _edit(self, jobs: list[Job], suppress: bool) -> None:
        core = self._core
        link = await core.supervisor.host()
        model = core.model
        ids = [job.fact.id for job in jobs]
        facts, view = await core.store.run(lambda ledger: _ground(ledger, model, ids, suppress))
        if not facts:
            return
        held = await core.store.run(lambda ledger: ledger.known_beside(facts, model)) if suppress else []
        order = host.Learn(id=link.new_order(), facts=tuple(facts), view=view, suppress=suppress, held=tuple(held))
        with self._counted(() if suppress else facts):
            result = await link.run(order, lambda report: _tell(jobs, report))
            assert isinstance(result, host.Learned)
            outcomes = [
                Learned(fact_id=e.fact_id, blob=e.blob, verified=e.verified, note=e.note, suppress=suppress)
                for e in result.edits
            ]
            superseded = await core.store.run(lambda ledger: _commit(ledger, model, view.generation, outcomes))
            await core.mount(link)
        for outcome in outcomes:
            core.bus.publish("fact", id=outcome.fact_id, change=_change(outcome))
        for fact_id in superseded:
            core.bus.publish("fact", id=fact_id, change="superseded")
        if superseded:
            await self._suppress_later()

    @contextmanager
    def _counted(self, facts: Sequence[Fact]) -> Iterator[None]:
        """For as long as these facts are edited in, `editing` says how many, and events say that it began."""
        self.editing = len(facts)
        for fact in facts:
            self._core.bus.publish("fact", id=fact.id, change="learning")
        try:
            yield
        finally:
            self.editing = 0

    async def _suppress_later(self) -> None:
        """Queue, without waiting, what a commit superseded and the adapter still knows."""
        model = self._core.model
        for fact in await self._core.store.run(lambda ledger: ledger.needing_suppression(model)):
            self._enqueue(fact, _nobody, suppress=True)

    def _enqueue(self, fact: Fact, emit: Emit, *, suppress: bool) -> Job:
        key = (fact.id, suppress)
        if key in self._waiting:
            return self._waiting[key]
        job = Job(fact, suppress, asyncio.get_running_loop().create_future(), emit)
        self._waiting[key] = job
        self._queue.put_nowait(job)
        return job

    async def _all(self, jobs: Sequence[Job]) -> None:
        if jobs:
            await asyncio.gather(*(asyncio.shield(job.done) for job in jobs))


def _ground(ledger: Ledger, model: str, ids: Sequence[str], suppress: bool) -> tuple[list[Fact], View]:
    """The facts as they are now, and the live view without what they are about to supersede or to say anew."""
    found = [fact for fact in map(ledger.fact, ids) if fact is not None and (fact.state in _HELD) is not suppress]
    slots = {fact.slot for fact in found if fact.exclusive and not suppress}
    leaving = {fact.id for slot in slots for fact in ledger.in_slot(slot)} | set(ids)
    if not suppress:
        leaving |= {old.id for fact in found for old in ledger.same_retired(fact)}  # no edit may silence it
    view = ledger.live_view(model)
    return found, View(generation=view.generation, edits=tuple(e for e in view.edits if e.fact_id not in leaving))


def _commit(ledger: Ledger, model: str, generation: str | None, outcomes: Sequence[Learned]) -> list[str]:
    """Commit what still applies: a fact whose state changed while it was edited is dropped with its edit."""
    states = {outcome.fact_id: ledger.fact(outcome.fact_id) for outcome in outcomes}
    kept = [o for o in outcomes if not o.suppress or ((fact := states[o.fact_id]) and fact.state not in _HELD)]
    return ledger.commit_learned(model, generation, kept)


def _change(outcome: Learned) -> str:
    if outcome.suppress:
        return "suppressed" if outcome.blob else "not suppressed"
    return "learned" if outcome.blob else "pending"


def _attempted(ledger: Ledger, fact: Fact) -> bool:
    """Whether an edit of this fact was tried since it last became pending: it then waits for sleep."""
    events = [entry.event for entry in ledger.history(fact.id)]
    since = max((at for at, event in enumerate(events) if event == "restored"), default=0)
    return "not learned" in events[since:]


def _nobody(_: object) -> None:
    """Nobody listens to a background edit."""


def _tell(jobs: Sequence[Job], report: Partial) -> None:
    for job in jobs:
        relay(job.emit)(report)


def _finish(jobs: Sequence[Job], error: SleepdError | None) -> None:
    for job in jobs:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)
            job.done.exception()  # nobody may be waiting for a background fact
