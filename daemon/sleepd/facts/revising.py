"""Changing what is remembered: `forget`, `correct`, `take_back`.

A fact leaves the ledger's view in one transaction, and the model's with the mount that follows. What an adapter knows
besides is suppressed by an edit at once. Whether a forgotten fact is gone is asked of the model itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from sleepd.clock import now, parsed
from sleepd.core import Core, Emit, fact_info
from sleepd.facts.edit_queue import EditQueue
from sleepd.facts.learning import refuse_secret
from sleepd.facts.probing import gone, probe
from sleepd.protocol import history
from sleepd.protocol.errors import NotFound, Refused, SleepdError, UsageError
from sleepd.protocol.facts import (
    Correct,
    CorrectReply,
    FactInfo,
    Forget,
    ForgetReply,
    ForgottenFact,
    RefusedText,
    TakeBack,
    TakeBackReply,
)
from sleepengine.errors import StatementRefused
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Provenance, fact_from
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.mentions import tells
from sleepengine.wake.extraction.secrets import masked
from sleepengine.wake.grammar import parse_statement

_HELD = (FactState.ACTIVE, FactState.PENDING)
_KNOWN = (*_HELD, FactState.SUPERSEDED)
ASK_SECONDS = 120.0
"""How long a forgetting waits for the model: the ledger has forgotten already."""
_log = logging.getLogger(__name__)


class Revising:
    """The services that change facts."""

    def __init__(self, core: Core, queue: EditQueue) -> None:
        self._core = core
        self._queue = queue

    # --- forgetting -----------------------------------------------------------------------------------------------

    async def forget(self, emit: Emit, request: Forget) -> ForgetReply:
        """Forget facts, and say what the model answered when it was asked for them. Raises NotFound, UsageError."""
        began = time.monotonic()
        facts = await self._core.store.run(lambda ledger: _chosen(ledger, request))
        if request.preview:
            found = tuple(_forgotten(fact_info(fact)) for fact in facts)
            return ForgetReply(facts=found, seconds=time.monotonic() - began)
        forgotten = await self.forget_facts(facts, emit)
        return ForgetReply(facts=tuple(forgotten), seconds=time.monotonic() - began)

    async def forget_facts(self, facts: Sequence[Fact], emit: Emit) -> list[ForgottenFact]:
        """Forget these facts; their words are taken out of the ledger's transcripts and refusals too."""

        ids = [fact.id for fact in facts]

        def work(ledger: Ledger) -> set[str]:
            blobs = ledger.edit_blobs(ids)
            ledger.forget(ids, now())
            _redact_mentions(ledger, facts)
            return blobs

        blobs = await self._core.store.run(work)
        await self._redact_history(facts)
        return await self._followed_through(facts, blobs, emit)

    async def tidy(self) -> None:
        """Finish forgettings that a crash interrupted, and blank the words of facts that nothing can know any more."""

        def unfinished(ledger: Ledger) -> list[Fact]:
            return [fact for fact in ledger.facts([FactState.FORGOTTEN]) if fact.statement]

        def work(ledger: Ledger) -> None:
            if facts := unfinished(ledger):
                _redact_mentions(ledger, facts)
                ledger.redact(ledger.redactable(), now())

        await self._redact_history(await self._core.store.run(unfinished))
        await self._core.store.run(work)

    async def _redact_history(self, facts: Sequence[Fact]) -> None:
        """Take the lines that tell these facts out of what was typed in chats; where that fails, people are told."""
        file = self._core.home.history
        if not facts:
            return
        try:
            await asyncio.to_thread(history.take_out, file, lambda line: _told_in(facts, line))
        except OSError as error:
            self._core.keeping.notice(f"what was forgotten may still stand in {file}: {error.strerror or error}")

    async def _followed_through(self, facts: Sequence[Fact], blobs: set[str], emit: Emit) -> list[ForgottenFact]:
        """Take forgotten facts out of the model, probe it, blank their words, and delete their edits' blobs."""
        core = self._core
        for fact in facts:
            core.bus.publish("fact", id=fact.id, change="forgotten")
        results = {fact.id: _forgotten(_as_forgotten(fact)) for fact in facts}
        try:
            async with asyncio.timeout(ASK_SECONDS):
                link = await core.supervisor.host()
                await self._queue.refresh(emit)
                model = core.model
                held_down = await core.store.run(lambda ledger: _suppressed(ledger, model))
                for fact in facts:
                    if fact.prompts:
                        probes = await probe(core, link, fact)
                        results[fact.id] = msgspec.structs.replace(
                            results[fact.id], probes=probes, gone=gone(probes), suppressed=fact.id in held_down
                        )
        except (SleepdError, TimeoutError) as error:
            # The ledger has forgotten, and the next mount is without them; only `gone` cannot be told.
            _log.info("the model could not be asked for what was forgotten: %s", str(error) or "it took too long")
        await self.tidy()
        await core.store.run(lambda ledger: _delete_blobs(ledger, BlobStore(core.home.blobs), blobs))
        return [results[fact.id] for fact in facts]

    # --- correcting -----------------------------------------------------------------------------------------------

    async def correct(self, emit: Emit, request: Correct) -> CorrectReply:
        """Put a new value in the place of a fact's; the old one is silent at once. Raises NotFound and Refused."""
        began = time.monotonic()
        old = await self._held(request.id)
        try:
            refuse_secret(request.text)
            new = _replacement(old, request.text)
        except StatementRefused as refusal:
            refused = RefusedText(text=masked(request.text), reason=str(refusal))
            await self._core.store.run(lambda ledger: ledger.refuse(refused.text, refused.reason, now()))
            return CorrectReply(facts=(), superseded=(), refused=(refused,), seconds=time.monotonic() - began)
        if new.slot == old.slot and new.object.casefold() == old.object.casefold():
            return CorrectReply(
                facts=(fact_info(old),), superseded=(), refused=(), seconds=time.monotonic() - began
            )  # fmt: skip
        await self._core.store.run(lambda ledger: ledger.correct([old.id], new, now()))
        self._core.bus.publish("fact", id=old.id, change="superseded")
        await self._queue.refresh(emit)
        await self._queue.learn([new], emit)
        learned = await self._core.store.run(lambda ledger: ledger.fact(new.id))
        assert learned is not None, "facts are never deleted"
        return CorrectReply(
            facts=(fact_info(learned),), superseded=(old.id,), refused=(), seconds=time.monotonic() - began
        )

    async def take_back(self, emit: Emit, request: TakeBack) -> TakeBackReply:
        """Undo the learning of a fact, by default the last. Raises NotFound."""
        fact = await self._held(request.id) if request.id is not None else await self._latest()

        def work(ledger: Ledger) -> tuple[Fact | None, set[str]]:
            blobs = ledger.edit_blobs([fact.id])
            restored = ledger.take_back(fact.id, now())
            _redact_mentions(ledger, [fact])
            return (None if restored is None else ledger.fact(restored)), blobs

        restored, blobs = await self._core.store.run(work)
        await self._redact_history([fact])
        (forgotten,) = await self._followed_through([fact], blobs, emit)
        if restored is None:
            return TakeBackReply(fact=forgotten)
        await self._queue.learn([restored], emit)
        stored = await self._core.store.run(lambda ledger: ledger.fact(restored.id))
        return TakeBackReply(fact=forgotten, restored=None if stored is None else fact_info(stored))

    async def _held(self, fact_id: str) -> Fact:
        fact = await self._core.store.run(lambda ledger: ledger.fact(fact_id))
        if fact is None:
            raise NotFound(f"no fact has the id {fact_id}")
        if fact.state not in _HELD:
            raise Refused(f"{fact_id} is {fact.state.value} already")
        return fact

    async def _latest(self) -> Fact:
        held = await self._core.store.run(lambda ledger: ledger.facts(_HELD))
        if not held:
            raise NotFound("nothing has been learned that could be taken back")
        return held[-1]  # as they were added, whatever the clock said


def _chosen(ledger: Ledger, request: Forget) -> list[Fact]:
    """The facts that a request names."""
    filters = (request.query, request.session, request.since)
    if not request.ids and not request.all and not any(filters):
        raise UsageError("say what to forget: ids, a query, a session, a time, or all")
    chosen: dict[str, Fact] = {}
    for fact_id in request.ids:
        fact = ledger.fact(fact_id)
        if fact is None or fact.state is FactState.FORGOTTEN:
            raise NotFound(f"no fact has the id {fact_id}" if fact is None else f"{fact_id} is forgotten already")
        chosen[fact.id] = fact
    if request.all or any(filters):
        since = None if request.since is None else parsed(request.since)
        for fact in ledger.facts(_KNOWN, request.query):
            said = fact.provenance
            if request.session in (None, said.session) and (since is None or parsed(said.at) >= since):
                chosen[fact.id] = fact
    return list(chosen.values())


def _replacement(old: Fact, text: str) -> Fact:
    """The fact that a correction says. Raises StatementRefused."""
    provenance = Provenance(source="correct", text=text, at=now())
    try:
        return fact_from(parse_statement(text), provenance)
    except StatementRefused:
        bare = text.strip().rstrip(".!")
        if len(bare.split()) > 8 or old.object not in old.statement:
            raise
        start = old.statement.rindex(old.object)
        whole = old.statement[:start] + bare + old.statement[start + len(old.object) :]
        return fact_from(parse_statement(whole), provenance)


def _redact_mentions(ledger: Ledger, facts: Sequence[Fact]) -> None:
    """Take facts out of transcripts and refusals: the turns that told them, and every turn that tells them again."""
    for fact in facts:
        said = fact.provenance
        if said.session is not None and said.turn is not None:
            ledger.redact_turns(said.session, [said.turn])

    ledger.redact_where(lambda text: _told_in(facts, text))
    ledger.remove_refusals(lambda text: _told_in(facts, text))


def _told_in(facts: Sequence[Fact], text: str) -> bool:
    return any(tells(fact, text) for fact in facts)


def _delete_blobs(ledger: Ledger, store: BlobStore, names: set[str]) -> None:
    """Delete edits that nothing names any more; a running cycle may still read the ones that it began with."""
    if ledger.open_cycle() is not None:
        return
    for name in names - ledger.referenced_blobs():
        store.remove(name)


def _suppressed(ledger: Ledger, model: str) -> set[str]:
    """The facts of the live view's edits that are there to keep something from coming out."""
    held = {fact.id for fact in ledger.facts(_HELD)}
    return {ref.fact_id for ref in ledger.live_view(model).edits} - held


def _as_forgotten(fact: Fact) -> FactInfo:
    """As it was, for the one reply that still tells it."""
    return msgspec.structs.replace(fact_info(fact), state=FactState.FORGOTTEN.value, scale=0.0)


def _forgotten(info: FactInfo) -> ForgottenFact:
    return ForgottenFact(**msgspec.structs.asdict(info))
