"""What is said becomes memory: parse, check, store as pending, edit, verify, commit, mount.

A fact is acknowledged only after its commit. Edits are made by one worker, which takes together what waits together.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from sleepd.clock import now
from sleepd.core import Core, Emit, fact_info, relay
from sleepd.errors import HostDied
from sleepd.protocol.errors import Busy, NotFound, SleepdError
from sleepd.protocol.messages import (
    FactInfo,
    Facts,
    FactsReply,
    HistoryEntry,
    RefusedText,
    Remember,
    RememberReply,
    Why,
    WhyReply,
)
from sleepengine.errors import StaleProposal, StatementRefused
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState, Parsed, Provenance, fact_from
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Learned
from sleepengine.memory.view import View
from sleepengine.wake.grammar import parse_statement, split_statements

LISTED = (FactState.ACTIVE, FactState.PENDING, FactState.SUPERSEDED)
_log = logging.getLogger(__name__)


@dataclass
class Job:
    """A fact that waits to be edited in, and who waits for it."""

    fact: Fact
    done: asyncio.Future[None]
    emit: Emit


@dataclass(frozen=True)
class Heard:
    """What some texts were read as."""

    parsed: list[tuple[Parsed, Provenance]] = field(default_factory=list)
    refused: list[RefusedText] = field(default_factory=list)


class Learning:
    """The services `remember`, `facts` and `why`, and the worker behind them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._waiting: dict[str, Job] = {}

    # --- services -------------------------------------------------------------------------------------------------

    async def remember(self, emit: Emit, request: Remember) -> RememberReply:
        """Learn statements; returns when all that was accepted is committed."""
        began = time.monotonic()
        facts, refused = await self.learn(request.texts, emit, source="remember", session=request.session)
        return RememberReply(facts=tuple(facts), refused=tuple(refused), seconds=time.monotonic() - began)

    async def learn(
        self, texts: Sequence[str], emit: Emit, *, source: str, session: str | None = None, turn: int | None = None
    ) -> tuple[list[FactInfo], list[RefusedText]]:
        """The pipeline. A fact whose edit did not come out is returned as pending."""
        heard = self._hear(texts, source, session, turn)
        accepted = await self._core.store.run(lambda ledger: _accept(ledger, heard))
        jobs = [self._enqueue(fact, emit) for fact in accepted if fact.state is FactState.PENDING]
        if jobs:
            await asyncio.gather(*(asyncio.shield(job.done) for job in jobs))
        ids = list(dict.fromkeys(fact.id for fact in accepted))
        stored = await self._core.store.run(lambda ledger: [ledger.fact(fact_id) for fact_id in ids])
        return [fact_info(fact) for fact in stored if fact is not None], heard.refused

    async def facts(self, request: Facts) -> FactsReply:
        """Facts by words of their statement, and refused statements where asked for."""
        states = tuple(FactState) if request.all else LISTED

        def read(ledger: Ledger) -> FactsReply:
            found = ledger.facts(states, request.query)
            refused = [RefusedText(text=r.text, reason=r.reason) for r in ledger.refusals()] if request.refused else []
            return FactsReply(facts=tuple(fact_info(f) for f in found), refused=tuple(refused))

        return await self._core.store.run(read)

    async def why(self, request: Why) -> WhyReply:
        """Where a fact came from and what happened to it. Raises NotFound."""

        def read(ledger: Ledger) -> WhyReply | None:
            fact = ledger.fact(request.id)
            if fact is None:
                return None
            history = [HistoryEntry(at=h.at, event=h.event, detail=h.detail) for h in ledger.history(fact.id)]
            info = msgspec.structs.asdict(fact_info(fact))
            return WhyReply(**info, provenance=msgspec.to_builtins(fact.provenance), history=tuple(history))

        reply = await self._core.store.run(read)
        if reply is None:
            raise NotFound(f"no fact has the id {request.id}")
        return reply

    # --- the worker -----------------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Queue what an earlier run or another model left unlearned; called whenever a host came up."""
        model = self._core.model

        def unlearned(ledger: Ledger) -> list[Fact]:
            pending = [f for f in ledger.facts([FactState.PENDING]) if not _attempted(ledger, f)]
            return pending + ledger.needing_edit(model)

        for fact in await self._core.store.run(unlearned):
            if fact.id not in self._waiting:
                self._enqueue(fact, lambda _: None)

    async def work(self) -> None:
        """Edit what is queued until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < self._core.config.limits.learn_batch:
                batch.append(self._queue.get_nowait())
            try:
                await self._edit_patiently(batch)
            except SleepdError as error:
                _log.warning("%d facts were not learned: %s", len(batch), error)
                _finish(batch, error)
            else:
                _finish(batch, None)
            finally:
                for job in batch:
                    self._waiting.pop(job.fact.id, None)

    async def _edit_patiently(self, batch: list[Job]) -> None:
        """One retry where the host died or another generation became active meanwhile."""
        try:
            await self._edit(batch)
        except (HostDied, Busy) as error:
            if isinstance(error, Busy) and not isinstance(error.__cause__, StaleProposal):
                raise
            _log.info("editing %d facts again: %s", len(batch), error)
            await self._edit(batch)

    async def _edit(self, batch: list[Job]) -> None:
        core = self._core
        link = await core.supervisor.host()
        model = core.model
        slots = {job.fact.slot for job in batch if job.fact.exclusive}
        ids = [job.fact.id for job in batch]
        facts, view = await core.store.run(lambda ledger: _ground(ledger, model, ids, slots))
        if not facts:
            return
        order = host.Learn(id=link.new_order(), facts=tuple(facts), view=view)
        result = await link.run(order, lambda report: _tell(batch, report))
        assert isinstance(result, host.Learned)
        outcomes = [Learned(fact_id=e.fact_id, blob=e.blob, verified=e.verified, note=e.note) for e in result.edits]
        superseded = await core.store.run(lambda ledger: ledger.commit_learned(model, view.generation, outcomes))
        await core.mount(link)
        for outcome in outcomes:
            core.bus.publish("fact", id=outcome.fact_id, change="learned" if outcome.blob else "pending")
        for fact_id in superseded:
            core.bus.publish("fact", id=fact_id, change="superseded")

    def _enqueue(self, fact: Fact, emit: Emit) -> Job:
        if fact.id in self._waiting:
            return self._waiting[fact.id]
        job = Job(fact, asyncio.get_running_loop().create_future(), emit)
        self._waiting[fact.id] = job
        self._queue.put_nowait(job)
        return job

    def _hear(self, texts: Sequence[str], source: str, session: str | None, turn: int | None) -> Heard:
        heard, at, limit = Heard(), now(), self._core.config.limits.text_bytes
        for text in texts:
            if not text.strip():
                heard.refused.append(RefusedText(text=text, reason="the text is empty"))
                continue
            if (size := len(text.encode())) > limit:
                shown = text[:80] + "…"
                reason = f"the text has {size:,} bytes; at most {limit:,} are read as statements"
                heard.refused.append(RefusedText(text=shown, reason=reason))
                continue
            for statement in split_statements(text) or [text]:
                provenance = Provenance(source=source, text=statement, session=session, turn=turn, at=at)
                try:
                    heard.parsed.append((parse_statement(statement), provenance))
                except StatementRefused as refusal:
                    heard.refused.append(RefusedText(text=statement, reason=str(refusal)))
        return heard


def _accept(ledger: Ledger, heard: Heard) -> list[Fact]:
    """Store what is new as pending, find what is known already, and keep what was refused; in order of saying."""
    for refusal in heard.refused:
        ledger.refuse(refusal.text, refusal.reason, now())
    accepted: list[Fact] = []
    fresh: list[Fact] = []
    for parsed, provenance in heard.parsed:
        known = [*ledger.in_slot(parsed.slot), *(f for f in fresh if f.slot == parsed.slot)]
        same = [f for f in known if f.object.casefold() == parsed.object.casefold()]
        if not same:
            fresh.append(fact_from(parsed, provenance))
        accepted.append(same[-1] if same else fresh[-1])
    if fresh:
        ledger.add_pending(fresh)
    return accepted


def _ground(ledger: Ledger, model: str, ids: Sequence[str], slots: set[str]) -> tuple[list[Fact], View]:
    """The facts as they are now, and the live view without what they are about to supersede."""
    found = [ledger.fact(fact_id) for fact_id in ids]
    facts = [f for f in found if f is not None and f.state in (FactState.PENDING, FactState.ACTIVE)]
    leaving = {f.id for slot in slots for f in ledger.in_slot(slot)} | set(ids)
    view = ledger.live_view(model)
    return facts, View(generation=view.generation, edits=tuple(e for e in view.edits if e.fact_id not in leaving))


def _attempted(ledger: Ledger, fact: Fact) -> bool:
    """Whether an edit of this fact was tried and did not come out: it then waits for sleep."""
    return any(entry.event == "not learned" for entry in ledger.history(fact.id))


def _tell(batch: Sequence[Job], report: host.Chunk | host.Progress) -> None:
    for job in batch:
        relay(job.emit)(report)


def _finish(batch: Sequence[Job], error: SleepdError | None) -> None:
    for job in batch:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(error)
            job.done.exception()  # nobody may be waiting for a background fact
