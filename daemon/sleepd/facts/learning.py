"""What is said becomes memory: read, check, store as pending, have it edited in. It is told only after its commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sleepd.clock import now
from sleepd.core import Core, Emit, fact_info
from sleepd.facts.edit_queue import EditQueue
from sleepd.facts.portable import fact_of
from sleepd.protocol.facts import FactInfo, ImportFacts, RefusedText, Remember, RememberReply
from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Fact, FactState, Parsed, Provenance, fact_from
from sleepengine.memory.ledger import Ledger
from sleepengine.wake.extraction.gate import compare
from sleepengine.wake.extraction.secrets import REFUSAL, masked, secret_in
from sleepengine.wake.grammar import parse_statement, split_statements

HELD = (FactState.ACTIVE, FactState.PENDING)


@dataclass(frozen=True)
class Told:
    """A fact as it was told. `replaces` are facts that the user said it takes the place of."""

    parsed: Parsed
    provenance: Provenance
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heard:
    """What some texts were read as."""

    told: list[Told] = field(default_factory=list)
    refused: list[RefusedText] = field(default_factory=list)


class Learning:
    """The services `remember` and `import_facts`, and the pipeline that chat uses too."""

    def __init__(self, core: Core, queue: EditQueue) -> None:
        self._core = core
        self._queue = queue

    async def remember(self, emit: Emit, request: Remember) -> RememberReply:
        """Learn statements; returns when all that was accepted is committed."""
        began = time.monotonic()
        facts, refused = await self.learn(request.texts, emit, source="remember", session=request.session)
        return RememberReply(facts=tuple(facts), refused=tuple(refused), seconds=time.monotonic() - began)

    async def import_facts(self, emit: Emit, request: ImportFacts) -> RememberReply:
        """Learn exported facts, but for what is known, contradicts what is held, or was forgotten here."""
        began = time.monotonic()
        accepted, refused = await self._core.store.run(lambda ledger: _take_in(ledger, request))
        facts = await self._learned(accepted, emit)
        return RememberReply(facts=tuple(facts), refused=tuple(refused), seconds=time.monotonic() - began)

    async def learn(
        self, texts: Sequence[str], emit: Emit, *, source: str, session: str | None = None, turn: int | None = None
    ) -> tuple[list[FactInfo], list[RefusedText]]:
        """Statements that somebody asked to be learned. A fact whose edit did not come out is returned as pending."""
        heard = self._hear(texts, source, session, turn)
        return await self.take(heard, emit), heard.refused

    async def take(self, heard: Heard, emit: Emit) -> list[FactInfo]:
        """Store what was heard, refusals with it, and have the new facts edited in."""
        accepted, replaced = await self._core.store.run(lambda ledger: accept(ledger, heard))
        for fact_id in replaced:
            self._core.bus.publish("fact", id=fact_id, change="superseded")
        if replaced:
            await self._queue.refresh(emit)
        return await self._learned(accepted, emit)

    async def _learned(self, accepted: Sequence[Fact], emit: Emit) -> list[FactInfo]:
        await self._queue.learn([fact for fact in accepted if fact.state is FactState.PENDING], emit)
        ids = list(dict.fromkeys(fact.id for fact in accepted))
        stored = await self._core.store.run(lambda ledger: [ledger.fact(fact_id) for fact_id in ids])
        return [fact_info(fact) for fact in stored if fact is not None]

    def _hear(self, texts: Sequence[str], source: str, session: str | None, turn: int | None) -> Heard:
        heard, at, limit = Heard(), now(), self._core.config.limits.text_bytes
        for text in texts:
            if not text.strip():
                heard.refused.append(RefusedText(text=text, reason="the text is empty"))
                continue
            if (size := len(text.encode())) > limit:
                shown = masked(text[:400])[:80] + "…"
                reason = f"the text has {size:,} bytes; at most {limit:,} are read as statements"
                heard.refused.append(RefusedText(text=shown, reason=reason))
                continue
            for statement in split_statements(text) or [text]:
                try:
                    refuse_secret(statement)
                    provenance = Provenance(source=source, text=statement, session=session, turn=turn, at=at)
                    heard.told.append(Told(parse_statement(statement), provenance))
                except StatementRefused as refusal:
                    heard.refused.append(RefusedText(text=masked(statement), reason=str(refusal)))
        return heard


def refuse_secret(text: str) -> None:
    """Raises StatementRefused where a text holds a secret: what was stored could not be taken back with certainty."""
    if (kind := secret_in(text)) is not None:
        raise StatementRefused(REFUSAL.format(kind=kind))


def accept(ledger: Ledger, heard: Heard) -> tuple[list[Fact], list[str]]:
    """Store what is new as pending and keep what was refused; returns the facts told, in order, and the replaced ids.

    What is known already, in these or other words, is returned as it stands. What a new fact contradicts leaves the
    view in the transaction that stores it.
    """
    for refusal in heard.refused:
        ledger.refuse(refusal.text, refusal.reason, now())
    held = ledger.facts(HELD) if heard.told else []
    accepted: list[Fact] = []
    fresh: list[Fact] = []
    replaced: list[str] = []
    for told in heard.told:
        verdict = compare(told.parsed, held)
        if verdict.same is not None and verdict.same.id not in told.replaces:
            accepted.append(verdict.same)
            continue
        fact = fact_from(told.parsed, told.provenance)
        gone = {old.id for old in verdict.replaced} | (set(told.replaces) & {old.id for old in held})
        if gone:
            ledger.add_pending(fresh)
            fresh.clear()
            ledger.correct(sorted(gone), fact, now())
            replaced += sorted(gone)
            held = [old for old in held if old.id not in gone]
        else:
            fresh.append(fact)
        accepted.append(fact)
        held.append(fact)
    ledger.add_pending(fresh)
    return accepted, replaced


def _take_in(ledger: Ledger, request: ImportFacts) -> tuple[list[Fact], list[RefusedText]]:
    """Store imported facts as pending; returns them with those that were known already, and what was refused."""
    accepted: list[Fact] = []
    refused: list[RefusedText] = []
    for portable in request.facts:
        try:
            fact = fact_of(portable, now())
            refuse_secret(f"{fact.statement} {fact.provenance.text}")
            accepted.append(_taken_in(ledger, fact))
        except StatementRefused as refusal:
            shown = masked(portable.statement)
            refused.append(RefusedText(text=shown, reason=str(refusal)))
            ledger.refuse(shown, str(refusal), now())
    return accepted, refused


def _taken_in(ledger: Ledger, fact: Fact) -> Fact:
    """One imported fact, stored, or the same fact as it stands here. Raises StatementRefused."""
    held = ledger.in_slot(fact.slot)
    for known in held:
        if known.object.casefold() == fact.object.casefold():
            return known
    if (at := ledger.was_forgotten(fact)) is not None:
        raise StatementRefused(f"it was forgotten at {at}; an import does not bring it back, saying it anew does")
    if held and fact.exclusive:
        raise StatementRefused(f"it contradicts {held[-1].id}, which is held here")
    stored = ledger.fact(fact.id)
    if stored is not None and stored.state in (FactState.SUPERSEDED, FactState.FORGOTTEN):
        raise StatementRefused(f"{fact.id} was {stored.state.value} here; an import does not bring it back")
    if stored is not None:
        raise StatementRefused(f"another fact has the id {fact.id} here")
    ledger.add_pending([fact])
    return fact
