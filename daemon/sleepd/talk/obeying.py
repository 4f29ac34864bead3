"""Commands to the memory inside a conversation: obeyed, and answered in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepd.core import Core, Emit
from sleepd.facts.finding import found_by_words
from sleepd.facts.learning import HELD, Learning
from sleepd.facts.revising import Revising
from sleepd.protocol.errors import NotFound, Refused
from sleepd.protocol.facts import Correct, FactInfo, ForgottenFact, RefusedText, TakeBack
from sleepd.talk.chat_commands import (
    Answer,
    Command,
    CorrectFact,
    ForgetAbout,
    Privately,
    RememberThat,
    UndoLearning,
)
from sleepd.talk.listening import Listening
from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.ledger import Ledger

MOST_AT_ONCE = 5
"""Facts that words alone may forget; beyond that the user is asked to be plainer."""
HIDDEN = "[forgotten]"
"""What a transcript keeps of a turn that told what it asked to forget."""


@dataclass(frozen=True)
class Obeyed:
    """The reply, and what was learned or not. `kept` is the reply as the transcript has it, where that differs: the
    model reads the transcript, and would imitate a hint that is meant for people. `hidden`: the turn told what it asked
    to forget, so that neither it nor the reply is kept."""

    reply: str
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()
    kept: str = ""
    hidden: bool = False


class Obeying:
    """Carries out what `chat_commands` reads."""

    def __init__(self, core: Core, learning: Learning, revising: Revising, listening: Listening) -> None:
        self._core = core
        self._learning = learning
        self._revising = revising
        self._listening = listening

    async def obey(
        self, command: Command | Answer, emit: Emit, session: str | None = None, turn: int | None = None
    ) -> Obeyed:
        """Do what was asked. What cannot be done is said, not raised."""
        try:
            match command:
                case RememberThat(said=said):
                    return await self._remember(said, emit, session, turn)
                case ForgetAbout():
                    return await self._forget(command, emit)
                case CorrectFact(id=fact_id, text=text):
                    done = await self._revising.correct(emit, Correct(id=fact_id, text=text))
                    return _confirmed(done.facts, done.refused)
                case UndoLearning(id=fact_id):
                    return await self._undo(fact_id, emit, session)
                case Answer(yes=yes):
                    return await self._answer(yes, emit, session)
                case Privately():
                    raise AssertionError("a private turn is answered by the model")
        except (NotFound, Refused) as error:
            return Obeyed(f"{str(error)[:1].upper()}{str(error)[1:]}.")

    async def _remember(self, said: str, emit: Emit, session: str | None, turn: int | None) -> Obeyed:
        facts, refused = await self._learning.learn([said], emit, source="chat", session=session, turn=turn)
        self._listening.conversation(session).learned += [fact.id for fact in facts]
        return _confirmed(facts, refused)

    async def _forget(self, command: ForgetAbout, emit: Emit) -> Obeyed:
        facts = await self._core.store.run(lambda ledger: _meant(ledger, command))
        if not facts:
            return Obeyed("I remember nothing about that.")
        if len(facts) > MOST_AT_ONCE and not command.ids:
            lines = [f"  {fact.statement} (/forget {fact.id})" for fact in facts]
            return Obeyed("\n".join((f"That could be {len(facts)} things. Which of them?", *lines)))
        forgotten = await self._revising.forget_facts(facts, emit)
        reply = "\n".join(_forgotten(fact) for fact in forgotten)
        return Obeyed(reply, hidden=True)

    async def _undo(self, fact_id: str | None, emit: Emit, session: str | None) -> Obeyed:
        if fact_id is None:
            fact_id = await self._core.store.run(
                lambda ledger: _latest_held(ledger, self._listening.conversation(session).learned)
            )
            if fact_id is None:
                return Obeyed("There is nothing that I learned in this conversation to take back.")
        done = await self._revising.take_back(emit, TakeBack(id=fact_id))
        reply = _forgotten(done.fact)
        if done.restored is not None:
            reply += f"\nThis holds again: {done.restored.statement} ({done.restored.id})"
        return Obeyed(reply, hidden=True)

    async def _answer(self, yes: bool, emit: Emit, session: str | None) -> Obeyed:
        facts, refused = await self._listening.answered(session, yes, emit)
        if not yes:
            return Obeyed("I will not remember it.")
        return _confirmed(facts, refused)


def _confirmed(facts: Sequence[FactInfo], refused: Sequence[RefusedText]) -> Obeyed:
    kept = confirmation(facts, refused, hints=False)
    return Obeyed(confirmation(facts, refused), tuple(facts), tuple(refused), kept)


def confirmation(facts: Sequence[FactInfo], refused: Sequence[RefusedText], *, hints: bool = True) -> str:
    """What is told to the user about what they asked to be remembered, with `hints` also how to undo it."""
    lines = []
    for fact in facts:
        hint = f" (/undo {fact.id})" if hints else ""
        if fact.state == FactState.ACTIVE:
            lines.append(f"I will remember: {fact.statement}{hint}")
        else:
            lines.append(f"I could not learn this yet, and will try in my sleep: {fact.statement}{hint}")
    lines += [f"I cannot remember “{r.text}”: {r.reason}." for r in refused]
    return "\n".join(lines)


def _forgotten(fact: ForgottenFact) -> str:
    match fact.gone:
        case True:
            how = "I asked myself, and it is gone."
        case False:
            how = "It may still slip out; the next sleep unlearns it."
        case None:
            how = "I could not check yet whether it is gone."
    return f"Forgotten: {fact.statement} {how}"


def _meant(ledger: Ledger, command: ForgetAbout) -> list[Fact]:
    known = ledger.facts((*HELD, FactState.SUPERSEDED))
    if not command.ids:
        return found_by_words(known, command.words)
    by_id = {fact.id: fact for fact in known}
    missing = [fact_id for fact_id in command.ids if fact_id not in by_id]
    if missing:
        raise NotFound(f"no fact has the id {missing[0]}")
    return [by_id[fact_id] for fact_id in command.ids]


def _latest_held(ledger: Ledger, learned: list[str]) -> str | None:
    """The latest of these facts that is still held."""
    for fact_id in reversed(learned):
        fact = ledger.fact(fact_id)
        if fact is not None and fact.state in HELD:
            return fact_id
    return None
