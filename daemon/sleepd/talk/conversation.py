"""Talking: single questions, raw completion, and conversations that are kept."""

from __future__ import annotations

from sleepd.clock import now
from sleepd.core import Core, relay
from sleepd.protocol.errors import NotFound, StorageError
from sleepd.protocol.messages import (
    Ask,
    AskReply,
    Chunk,
    Complete,
    CompleteReply,
    Generation,
    OpenSession,
    OpenSessionReply,
    RemoveSessions,
    RemoveSessionsReply,
    Say,
    SayReply,
    SessionInfo,
    Sessions,
    SessionsReply,
)
from sleepd.protocol.wire import check_size, check_text
from sleepd.serving.calls import Call
from sleepd.talk.chat_commands import Answer, Command, Privately, answer, command
from sleepd.talk.listening import Listening, Said, user_turns
from sleepd.talk.obeying import HIDDEN, Obeyed, Obeying
from sleepengine.host import messages as host
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Turn
from sleepengine.wake.extraction.secrets import masked


class Conversation:
    """The services `ask`, `complete`, `open_session` and `say`."""

    def __init__(self, core: Core, obeying: Obeying, listening: Listening) -> None:
        self._core = core
        self._obeying = obeying
        self._listening = listening

    async def ask(self, call: Call, request: Ask) -> AskReply:
        """One question in a conversation that is not kept."""
        check_text(request.text)
        check_size(request.text, request.system or "", *(turn.text for turn in request.history))
        if request.learn and (asked := command(request.text)) is not None and not isinstance(asked, Privately):
            done = await self._obey(call, asked)
            return AskReply(
                reply=done.reply,
                prompt="",
                tokens=0,
                seconds=0.0,
                finish="stop",
                facts=done.facts,
                refused=done.refused,
            )
        system = [("system", request.system)] if request.system else []
        history = [(turn.role, turn.text) for turn in request.history]
        messages = (*system, *history, ("user", request.text))
        generated = await self._generate(call, request, messages=messages)
        if request.learn:
            before = tuple(text for role, text in history if role == "user")
            self._listening.hear(Said(None, None, request.text, before))
        return AskReply(
            reply=generated.text,
            prompt=generated.prompt,
            tokens=generated.tokens,
            seconds=generated.seconds,
            finish=generated.finish,
            prompt_tokens=generated.prompt_tokens,
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

    async def sessions(self, _: Sessions) -> SessionsReply:
        """The conversations that are kept."""
        rows = await self._core.store.run(lambda ledger: ledger.sessions())
        return SessionsReply(sessions=tuple(SessionInfo(id=row.id, at=row.at, messages=row.turns) for row in rows))

    async def remove_sessions(self, request: RemoveSessions) -> RemoveSessionsReply:
        """Delete conversations; facts stay. Raises NotFound, which names the first that is not there."""

        def work(ledger: Ledger) -> None:
            known = {row.id for row in ledger.sessions()}
            for session in request.ids:
                if session not in known:
                    raise NotFound(f"no conversation has the id {session}")
            for session in request.ids:
                ledger.remove_session(session)

        await self._core.store.run(work)
        return RemoveSessionsReply(removed=request.ids)

    async def say(self, call: Call, request: Say) -> SayReply:
        """One user turn: a command is obeyed, anything else answered, and learned from once the reply is there."""
        check_text(request.text)
        session = request.session
        turns = await self._core.store.run(lambda ledger: _turns(ledger, session))
        asked = self._command(request)
        if asked is not None and not isinstance(asked, Privately):
            done = await self._obey(call, asked, session, len(turns))
            kept = (HIDDEN, HIDDEN) if done.hidden else (request.text, done.kept or done.reply)
            await self._keep(session, *kept)
            return SayReply(
                reply=done.reply,
                prompt="",
                tokens=0,
                seconds=0.0,
                finish="stop",
                session=session,
                facts=done.facts,
                refused=done.refused,
                said="" if done.hidden else masked(request.text),
            )
        text = request.text if asked is None else asked.text
        before = await user_turns(self._core, session)
        history = tuple((turn.role, turn.text) for turn in turns)
        generated = await self._generate(call, request, messages=(*history, ("user", text)), session=session)
        await self._keep(session, text, generated.text)
        if request.learn and asked is None:
            self._listening.hear(Said(session, len(turns), text, before))
        return SayReply(
            reply=generated.text,
            prompt=generated.prompt,
            tokens=generated.tokens,
            seconds=generated.seconds,
            finish=generated.finish,
            session=session,
            said=masked(text),
        )

    def _command(self, request: Say) -> Command | Answer | None:
        """What a turn asks of the memory; yes and no only where something was asked."""
        if self._listening.conversation(request.session).asked and (said := answer(request.text)) is not None:
            return said
        return command(request.text)

    async def _obey(
        self, call: Call, asked: Command | Answer, session: str | None = None, turn: int | None = None
    ) -> Obeyed:
        done = await self._obeying.obey(asked, call.emit, session, turn)
        call.emit(Chunk(text=done.reply))
        return done

    async def _keep(self, session: str, said: str, reply: str) -> None:
        """Write a turn down, secrets masked. Where the disk does not let us, the talk goes on, and people are told."""
        at = now()

        def write(ledger: Ledger) -> None:  # off the event loop: looking for secrets in a long text takes a second
            ledger.add_turns(session, [Turn("user", masked(said), at), Turn("assistant", masked(reply), at)])

        try:
            await self._core.store.run(write)
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


def _turns(ledger: Ledger, session: str) -> list[Turn]:
    if session not in {row.id for row in ledger.sessions()}:
        raise NotFound(f"no conversation has the id {session}")
    return ledger.turns(session)
