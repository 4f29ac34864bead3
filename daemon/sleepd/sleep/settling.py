"""Committing what a cycle proposes against the ledger as it is by then, and undoing it.

While a cycle runs, facts are learned, corrected and forgotten. What was learned meanwhile is edited in again under the
new generation; what no longer holds and the new adapter knows gets its suppressing edit; then one transaction makes all
of it true. Where the ledger moved again in between, that is done once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sleepd.clock import now
from sleepd.core import Core, Emit, relay
from sleepd.hosting.host_link import HostLink
from sleepd.protocol.errors import Busy, Refused
from sleepd.protocol.messages import SleepReply, UndoReply
from sleepengine.errors import StaleProposal
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, FactState, Stage, Verified
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Advance, Learned
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.report import NightReport

ATTEMPTS = 3  # commits against a ledger that moves
_RETIRED = (FactState.SUPERSEDED, FactState.FORGOTTEN)


@dataclass(frozen=True)
class Late:
    """What a proposal does not speak of: facts to edit in, to suppress, and retired ones that it does not know; `held`
    are those that its adapter knows and that still hold."""

    learn: tuple[Fact, ...]
    suppress: tuple[Fact, ...]
    unlearned: tuple[Fact, ...]
    held: tuple[Fact, ...]


async def commit(core: Core, link: HostLink, model: str, report: NightReport, reply: SleepReply) -> SleepReply:
    """Make a proposal true. Raises Busy where the ledger moved each time, and what the host raises."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await _try_commit(core, link, model, report, reply)
        except Busy as busy:
            if not isinstance(busy.__cause__, StaleProposal):
                raise
    return await _try_commit(core, link, model, report, reply)


async def _try_commit(core: Core, link: HostLink, model: str, report: NightReport, reply: SleepReply) -> SleepReply:
    late = await core.store.run(lambda ledger: _late(ledger, model, report))
    advances = await _edited(core, link, report, late)
    return await core.store.run(lambda ledger: _commit(ledger, model, report, advances, reply))


async def undo(core: Core, emit: Emit) -> UndoReply:
    """Return to the previous generation; later facts are edited in again and verified there. Raises Refused."""
    link = await core.supervisor.host()
    model = core.model
    found = await core.store.run(lambda ledger: ledger.preview_undo(model, now()))
    if found is None:
        raise Refused("there is no sleep to undo")
    learned: list[Learned] = []
    for facts, suppress in ((found.suppress, True), (found.learn, False)):
        if facts:
            held = found.held if suppress else ()
            order = host.Learn(id=link.new_order(), facts=facts, view=found.view, suppress=suppress, held=held)
            result = await link.run(order, relay(emit))
            assert isinstance(result, host.Learned)
            learned += [
                Learned(fact_id=e.fact_id, blob=e.blob, verified=e.verified, note=e.note, suppress=suppress)
                for e in result.edits
            ]
    number = await core.store.run(lambda ledger: ledger.undo(model, now(), learned))
    await core.mount(link)
    core.bus.publish("sleep", phase="undo", generation=number)
    return UndoReply(
        generation=number,
        learned=tuple(one.fact_id for one in learned if one.blob and not one.suppress),
        suppressed=tuple(one.fact_id for one in learned if one.blob and one.suppress),
    )


def _late(ledger: Ledger, model: str, report: NightReport) -> Late:
    proposed = {o.fact_id for o in report.facts}
    learn = [
        fact
        for ref in ledger.live_view(model).edits
        if ref.fact_id not in proposed
        and (fact := ledger.fact(ref.fact_id)) is not None
        and fact.state is FactState.ACTIVE
    ]
    knows = [o.fact_id for o in report.facts if o.stage > 0 or report.kind == "nap"]
    taught = [fact for fact_id in knows if (fact := ledger.fact(fact_id)) is not None]
    retired = {f.id: f for f in (*ledger.still_known(model), *taught) if f.state in _RETIRED}
    unlearned = [f for f in retired.values() if report.rebuilt and f.id not in proposed]
    suppress = [f for f in retired.values() if f not in unlearned]
    held = [f for f in taught if f.id not in retired]
    return Late(tuple(f for f in learn if f.id not in retired), tuple(suppress), tuple(unlearned), tuple(held))


async def _edited(core: Core, link: HostLink, report: NightReport, late: Late) -> list[Advance]:
    """The proposal's advances, and those of the late facts with their fresh edits."""
    again = {f.id for f in (*late.learn, *late.suppress)}
    advances = [
        Advance(fact_id=o.fact_id, stage=Stage(o.stage), scale=o.scale, blob=o.blob, verified=o.verified)
        for o in report.facts
        if o.fact_id not in again
    ]
    stages = {o.fact_id: Stage(o.stage) for o in report.facts}
    edits = tuple(
        EditRef(fact_id=a.fact_id, blob=a.blob, scale=a.scale) for a in advances if a.blob is not None and a.scale > 0
    )
    view = View(generation=report.generation, edits=edits)
    for facts, suppress in ((late.suppress, True), (late.learn, False)):
        if not facts:
            continue
        held = late.held if suppress else ()
        order = host.Learn(id=link.new_order(), facts=facts, view=view, suppress=suppress, held=held)
        result = await link.run(order)
        assert isinstance(result, host.Learned)
        by_id = {f.id: f for f in facts}
        for edit in result.edits:
            fact = by_id[edit.fact_id]
            # At stage 0 nothing would tell that the adapter knows what is suppressed.
            stage = max(stages.get(fact.id, fact.stage), Stage.CONSOLIDATING) if suppress else Stage.ACTIVE
            advances.append(
                Advance(
                    fact_id=fact.id,
                    stage=stage,
                    scale=1.0 if edit.blob else 0.0,
                    blob=edit.blob,
                    verified=edit.verified,
                    suppress=suppress and edit.blob is not None,
                )
            )
    nothing = Verified()
    advances += [
        Advance(fact_id=f.id, stage=Stage.ACTIVE, scale=0.0, blob=None, verified=nothing) for f in late.unlearned
    ]
    return advances


def _commit(
    ledger: Ledger, model: str, report: NightReport, advances: Sequence[Advance], reply: SleepReply
) -> SleepReply:
    newest = ledger.newest_generation(model)
    final = msgspec.structs.replace(reply, generation=newest + 1)
    ledger.commit_cycle(reply.cycle, model, report.generation, advances, msgspec.to_builtins(final), now())
    return final
