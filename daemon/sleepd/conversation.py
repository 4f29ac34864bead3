"""Talking: single questions, raw completion, and conversations that are kept."""

from __future__ import annotations

import re

from sleepd.calls import Call
from sleepd.clock import now
from sleepd.core import Core, relay
from sleepd.learning import Learning
from sleepd.protocol.errors import NotFound, StorageError
from sleepd.protocol.messages import (
    Ask,
    AskReply,
    Chunk,
    Complete,
    CompleteReply,
    FactInfo,
    Generation,
    OpenSession,
    OpenSessionReply,
    RefusedText,
    Say,
    SayReply,
)
from sleepd.protocol.wire import check_size, check_text
from sleepengine.host import messages as host
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Turn

_LEARN = re.compile(r"\s*(?:/remember\b|(?:please\s+)?remember\s+(?:that\s+)?)\s*[:,]?\s*(?P<said>.+)", re.I | re.S)


class Conversation:
    """The services `ask`, `complete`, `open_session` and `say`."""

    def __init__(self, core: Core, learning: Learning) -> None:
        self._core = core
        self._learning = learning

    async def ask(self, call: Call, request: Ask) -> AskReply:
        """One question in a conversation that is not kept."""
        check_text(request.text)
        check_size(request.text, request.system or "", *(turn.text for turn in request.history))
        if request.learn and (match := _LEARN.fullmatch(request.text)):
            reply, facts, refused = await self._learn(call, match["said"])
            return AskReply(
                reply=reply, prompt="", tokens=0, seconds=0.0, finish="stop", facts=tuple(facts), refused=tuple(refused)
            )
        system = [("system", request.system)] if request.system else []
        history = [(turn.role, turn.text) for turn in request.history]
        done = await self._generate(call, request, messages=(*system, *history, ("user", request.text)))
        return AskReply(
            reply=done.text,
            prompt=done.prompt,
            tokens=done.tokens,
            seconds=done.seconds,
            finish=done.finish,
            prompt_tokens=done.prompt_tokens,
        )

    async def complete(self, call: Call, request: Complete) -> CompleteReply:
        """Raw continuation."""
        check_text(request.text)
        done = await self._generate(call, request, text=request.text)
        return CompleteReply(
            completion=done.text, prompt=done.prompt, tokens=done.tokens, seconds=done.seconds, finish=done.finish
        )

    async def open_session(self, request: OpenSession) -> OpenSessionReply:
        """A new conversation, or the latest one where it is to be continued. Raises NotFound where there is none."""

        def work(ledger: Ledger) -> tuple[str, int] | None:
            if request.resume:
                latest = ledger.latest_session()
                return None if latest is None else (latest, len(ledger.turns(latest)))
            return ledger.open_session(now(), request.system), 0

        opened = await self._core.store.run(work)
        if opened is None:
            raise NotFound("there is no earlier conversation to continue")
        return OpenSessionReply(session=opened[0], turns=opened[1])

    async def say(self, call: Call, request: Say) -> SayReply:
        """One user turn. "remember that ..." learns, and the answer says what was learned."""
        check_text(request.text)
        session = request.session
        turns = await self._core.store.run(lambda ledger: _turns(ledger, session))
        if match := _LEARN.fullmatch(request.text):
            reply, facts, refused = await self._learn(call, match["said"], session, len(turns))
            await self._keep(session, request.text, reply)
            return SayReply(
                reply=reply,
                prompt="",
                tokens=0,
                seconds=0.0,
                finish="stop",
                session=session,
                facts=tuple(facts),
                refused=tuple(refused),
            )
        history = tuple((turn.role, turn.text) for turn in turns)
        done = await self._generate(call, request, messages=(*history, ("user", request.text)), session=session)
        await self._keep(session, request.text, done.text)
        return SayReply(
            reply=done.text,
            prompt=done.prompt,
            tokens=done.tokens,
            seconds=done.seconds,
            finish=done.finish,
            session=session,
        )

    async def _learn(
        self, call: Call, said: str, session: str | None = None, turn: int | None = None
    ) -> tuple[str, list[FactInfo], list[RefusedText]]:
        """Learn what a turn asked to be remembered; the reply to it, what was learned, what was not."""
        facts, refused = await self._learning.learn([said], call.emit, source="chat", session=session, turn=turn)
        reply = confirmation(facts, refused)
        call.emit(Chunk(text=reply))
        return reply, facts, refused

    async def _keep(self, session: str, said: str, reply: str) -> None:
        """Write a turn down. Where the disk does not let us, the conversation goes on, and people are told."""
        at = now()
        turns = [Turn("user", said, at), Turn("assistant", reply, at)]
        try:
            await self._core.store.run(lambda ledger: ledger.add_turns(session, turns))
        except StorageError as error:
            self._core.keeping.notice(f"a turn of a conversation was not written down: {error}")

    async def _generate(
        self,
        call: Call,
        request: Generation,
        *,
        messages: tuple[tuple[str, str], ...] | None = None,
        text: str | None = None,
        session: str | None = None,
    ) -> host.Generated:
        link = await self._core.supervisor.host(wait=request.wait)
        order = host.Generate(
            id=link.new_order(),
            messages=messages,
            text=text,
            session=session,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=request.seed,
            view=await self._core.view(request.view),
        )
        call.on_cancel = lambda: link.cancel(order.id)  # it ends with what it has
        try:
            result = await link.run(order, relay(call.emit))
        finally:
            call.on_cancel = None
        assert isinstance(result, host.Generated)
        return result


def confirmation(facts: list[FactInfo], refused: list[RefusedText]) -> str:
    """What is told to the user about what they asked to be remembered."""
    lines = []
    for fact in facts:
        if fact.state == "active":
            lines.append(f"I will remember: {fact.statement} ({fact.id})")
        else:
            lines.append(f"I could not learn this yet, and will try in my sleep: {fact.statement} ({fact.id})")
    lines += [f"I cannot remember “{r.text}”: {r.reason}." for r in refused]
    return "\n".join(lines)


def _turns(ledger: Ledger, session: str) -> list[Turn]:
    if session not in {row.id for row in ledger.sessions()}:
        raise NotFound(f"no conversation has the id {session}")
    return ledger.turns(session)
