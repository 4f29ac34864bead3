"""Learning from talk: what the user says in chat is read, judged at the gate and learned, off the reply's path.

One worker takes the turns in the order in which they were said. What became of them waits, for each conversation, until
its client asks with `heard`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sleepd.clock import now
from sleepd.core import Core, Emit
from sleepd.facts.learning import HELD, Heard, Learning, Told
from sleepd.facts.probing import knows
from sleepd.protocol.errors import SleepdError
from sleepd.protocol.facts import FactInfo, HeardReply, HearTurns, RefusedText
from sleepengine.host import messages as host
from sleepengine.memory.facts import Fact, Parsed, Person, Provenance, fact_from
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.view import BASE
from sleepengine.wake.extraction.candidates import Candidate, Context, Reader, Reading
from sleepengine.wake.extraction.gate import Verdict, judge
from sleepengine.wake.extraction.grammatical import GrammarReader
from sleepengine.wake.extraction.restated import Messages, RestatingReader
from sleepengine.wake.extraction.secrets import REFUSAL, masked, secret_in

CONTEXT_TURNS = 40
"""Of the user's own turns, how many a reader is told."""
RESTATED_TOKENS = 200
"""Of a restated turn: the schema's most sentences, and no more."""
_SHOWN = 300
"""Characters of a refused text that the audit trail keeps."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Said:
    """A user turn that waits to be read."""

    session: str | None
    turn: int | None
    text: str
    before: tuple[str, ...]


@dataclass
class Conversation:
    """What is known of a conversation beside its transcript. Lives as long as the daemon."""

    last: tuple[Parsed, ...] = ()
    waiting: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    facts: list[FactInfo] = field(default_factory=list)
    refused: list[RefusedText] = field(default_factory=list)
    asked: list[Told] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)  # ids, the latest last

    def __post_init__(self) -> None:
        self.quiet.set()


class Listening:
    """Reads what was said, and the service `heard`."""

    def __init__(self, core: Core, learning: Learning) -> None:
        self._core = core
        self._learning = learning
        self._queue: asyncio.Queue[Said] = asyncio.Queue()
        self._conversations: dict[str | None, Conversation] = defaultdict(Conversation)

    def conversation(self, session: str | None) -> Conversation:
        """What is known of a conversation beside its transcript."""
        return self._conversations[session]

    def hear(self, said: Said) -> None:
        """Take a turn; it is read when its turn comes."""
        if self._core.config.learn == "off":
            return
        conversation = self._conversations[said.session]
        conversation.asked.clear()  # what was not answered with yes is not learned
        conversation.waiting += 1
        conversation.quiet.clear()
        self._queue.put_nowait(said)

    async def heard(self, request: HearTurns) -> HeardReply:
        """What became of a conversation's turns since the last time; with `wait`, when all were learned or refused."""
        conversation = self._conversations.get(request.session, Conversation())  # one of which nothing was heard
        if request.wait:
            await conversation.quiet.wait()
        reply = HeardReply(
            facts=tuple(conversation.facts),
            refused=tuple(conversation.refused),
            asked=tuple(told.parsed.statement for told in conversation.asked),
            settled=conversation.waiting == 0,
        )
        conversation.facts.clear()
        conversation.refused.clear()
        return reply

    async def answered(self, session: str | None, yes: bool, emit: Emit) -> tuple[list[FactInfo], list[RefusedText]]:
        """Learn what was asked about, or record that the user did not want it."""
        conversation = self._conversations[session]
        asked, conversation.asked = conversation.asked, []
        if not yes:
            refused = [RefusedText(text=told.parsed.statement, reason="you said no") for told in asked]
            await self._learning.take(Heard(refused=refused), emit)
            return [], []
        facts = await self._learning.take(Heard(told=asked), emit)
        conversation.learned += [fact.id for fact in facts]
        return facts, []

    async def work(self) -> None:
        """Read what was said until cancelled."""
        while True:
            said = await self._queue.get()
            conversation = self._conversations[said.session]
            try:
                await self._consider(said, conversation)
            except SleepdError as error:
                _log.warning("a turn was not learned from: %s", error)
            finally:
                conversation.waiting -= 1
                if conversation.waiting == 0:
                    conversation.quiet.set()

    async def _consider(self, said: Said, conversation: Conversation) -> None:
        context = Context(said.before, conversation.last)
        reading = await asyncio.to_thread((await self._reader()).read, said.text, context)
        conversation.last = tuple(candidate.fact for candidate in reading.candidates)
        heard = Heard(refused=_refusals(reading))
        held = await self._core.store.run(lambda ledger: ledger.facts(HELD)) if reading.candidates else []
        for candidate in reading.candidates:
            provenance = Provenance(source="chat", text=candidate.said, session=said.session, turn=said.turn, at=now())
            verdict = judge(candidate, said.text, context, held)
            reason = verdict.reason or await self._known_to_the_model(candidate, verdict, held)
            if reason is not None:
                heard.refused.append(_refusal(candidate.said, reason))
            elif verdict.same is None:
                replaces = tuple(old.id for old in verdict.replaced)
                heard.told.append(Told(candidate.fact, provenance, replaces))
                held = [*held, fact_from(candidate.fact, provenance)]
        if self._core.config.learn == "ask":
            conversation.asked += heard.told
            heard = Heard(refused=heard.refused)
        facts = await self._learning.take(heard, lambda _: None)
        conversation.facts += facts
        conversation.refused += heard.refused
        conversation.learned += [fact.id for fact in facts]

    async def _reader(self) -> Reader:
        grammar = GrammarReader(datetime.now(UTC).date())
        if self._core.config.extraction == "grammar":
            return grammar
        link, loop = await self._core.supervisor.host(), asyncio.get_running_loop()

        def generate(messages: Messages, schema: str) -> str:
            """Called from the reader's thread."""
            order = host.Generate(
                id=link.new_order(), messages=messages, max_tokens=RESTATED_TOKENS, view=BASE, schema=schema
            )
            result = asyncio.run_coroutine_threadsafe(link.run(order), loop).result()
            assert isinstance(result, host.Generated)
            return result.text

        return RestatingReader(grammar, generate)

    async def _known_to_the_model(self, candidate: Candidate, verdict: Verdict, held: Sequence[Fact]) -> str | None:
        """Why a fact about the world need not be learned; what is about the user or whom they told of is new."""
        known = any(fact.subject.casefold() == candidate.fact.subject.casefold() for fact in held)
        if candidate.fact.person is Person.FIRST or known or verdict.same is not None:
            return None
        link = await self._core.supervisor.host()
        return "the model knows this already" if await knows(link, candidate.fact) else None


async def user_turns(core: Core, session: str) -> tuple[str, ...]:
    """The user's own latest turns of a kept conversation, oldest first."""

    def read(ledger: Ledger) -> tuple[str, ...]:
        return tuple(turn.text for turn in ledger.turns(session) if turn.role == "user")[-CONTEXT_TURNS:]

    return await core.store.run(read)


def _refusals(reading: Reading) -> list[RefusedText]:
    return [_refusal(passed.text, passed.reason) for passed in reading.passed if passed.telling]


def _refusal(text: str, reason: str) -> RefusedText:
    shown = masked(text)  # the whole, for a secret that is cut in two would not be seen
    if (kind := secret_in(text)) is not None:
        reason = REFUSAL.format(kind=kind)
    return RefusedText(text=shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…", reason=reason)
