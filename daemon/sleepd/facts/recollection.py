"""Showing what is remembered: `facts`, `why`, `export_facts`."""

from __future__ import annotations

import msgspec

from sleepd.core import Core, fact_info
from sleepd.facts.portable import portable
from sleepd.protocol.errors import NotFound
from sleepd.protocol.facts import (
    ExportFacts,
    ExportFactsReply,
    Facts,
    FactsReply,
    HistoryEntry,
    RefusedText,
    ValueSpan,
    Why,
    WhyReply,
)
from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.ledger import Ledger

LISTED = (FactState.ACTIVE, FactState.PENDING, FactState.SUPERSEDED)
PAGE = 100
"""Facts in one reply of an export; each has a few kilobytes of prompts."""


class Recollection:
    """Reads the ledger and changes nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def facts(self, request: Facts) -> FactsReply:
        """Facts by words of their statement, and refused statements where asked for."""
        states = tuple(FactState) if request.all else LISTED

        def read(ledger: Ledger) -> FactsReply:
            found = ledger.facts(states, request.query)
            refused = [RefusedText(text=r.text, reason=r.reason) for r in ledger.refusals()] if request.refused else []
            return FactsReply(facts=tuple(fact_info(f) for f in found), refused=tuple(refused))

        return await self._core.store.run(read)

    async def why(self, request: Why) -> WhyReply:
        """Where a fact came from, what happened to it, and what its slot has held. Raises NotFound."""

        def read(ledger: Ledger) -> WhyReply | None:
            fact = ledger.fact(request.id)
            if fact is None:
                return None
            info = msgspec.structs.asdict(fact_info(fact))
            if fact.state is FactState.FORGOTTEN:
                history = tuple(HistoryEntry(at=h.at, event=h.event) for h in ledger.history(fact.id))
                said = msgspec.structs.replace(fact.provenance, text="")
                return WhyReply(**info, provenance=msgspec.to_builtins(said), history=history)
            history = tuple(HistoryEntry(at=h.at, event=h.event, detail=h.detail) for h in ledger.history(fact.id))
            return WhyReply(
                **info,
                provenance=msgspec.to_builtins(fact.provenance),
                history=history,
                values=_values(ledger, fact),
            )

        reply = await self._core.store.run(read)
        if reply is None:
            raise NotFound(f"no fact has the id {request.id}")
        return reply

    async def export_facts(self, request: ExportFacts) -> ExportFactsReply:
        """A page of what is held. Raises NotFound for an unknown `after`."""

        def read(ledger: Ledger) -> ExportFactsReply:
            held = ledger.facts([FactState.ACTIVE, FactState.PENDING])
            start = 0
            if request.after is not None:
                ids = [fact.id for fact in held]
                if request.after not in ids:
                    raise NotFound(f"{request.after} is not held any more; begin the export anew")
                start = ids.index(request.after) + 1
            page = tuple(portable(fact) for fact in held[start : start + PAGE])
            return ExportFactsReply(facts=page, more=start + PAGE < len(held))

        return await self._core.store.run(read)


def _values(ledger: Ledger, fact: Fact) -> tuple[ValueSpan, ...]:
    """The values that took one another's place, oldest first: of an exclusive slot, and along corrections."""
    kin = {fact.id: fact}
    everything = ledger.facts(LISTED)
    grown = True
    while grown:
        related = [
            f
            for f in everything
            if f.id not in kin
            and (
                f.superseded_by in kin
                or any(f.id == k.superseded_by or (f.exclusive and f.slot == k.slot) for k in kin.values())
            )
        ]
        kin |= {f.id: f for f in related}
        grown = bool(related)
    return tuple(
        ValueSpan(id=f.id, statement=f.statement, valid_from=f.valid_from, until=f.valid_until)
        for f in everything
        if f.id in kin
    )
