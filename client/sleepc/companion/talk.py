"""One turn of a conversation with the daemon, from the words to what was learned of them. No Qt.

Runs in the client's event loop; `tell` is given each step of the conversation's reducer, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sleepd.protocol.errors import SleepdError
from sleepd.protocol.messages import Chunk, SayReply

from .. import render, requests
from ..async_client import AsyncClient
from ..async_connection import AsyncPending
from . import conversation as chat
from .conversation import Conversation, Kind

Step = Callable[[Conversation], Conversation]
Tell = Callable[[Step], None]


class Turn:
    """What is said once. `run` it in the loop's thread; `stop` may only be called there, too."""

    def __init__(self, text: str, session: str | None, *, learn: bool, tell: Tell) -> None:
        self._text, self._session, self._learn, self._tell = text, session, learn, tell
        self._pending: AsyncPending[SayReply] | None = None
        self._stopped = False

    async def run(self, client: AsyncClient) -> None:
        """Say it, tell the reply as it comes, then wait for what was heard of it. Raises nothing of the daemon's."""
        try:
            session = self._session or await self._open(client)
            reply = await self._say(client, session)
        except SleepdError as error:
            self._tell(partial(chat.failed, reason=str(error)))
            return
        self._tell(partial(chat.answered, result=reply))
        try:
            heard = await client.heard(session, wait=True)
        except SleepdError:
            return  # the next turn's `heard` tells of it
        self._tell(partial(chat.heard, reply=heard))

    def stop(self) -> None:
        """Ask the daemon to stop; what came of the reply stays."""
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()

    async def _open(self, client: AsyncClient) -> str:
        session = (await client.open_session()).session
        self._tell(partial(chat.opened, session=session))
        return session

    async def _say(self, client: AsyncClient, session: str) -> SayReply:
        self._pending = pending = await client.start(requests.say(session, self._text, learn=self._learn))
        if self._stopped:
            pending.cancel()
        async for part in pending:
            if isinstance(part, Chunk):
                self._tell(partial(chat.streamed, text=part.text))
            else:
                self._tell(partial(chat.doing, what=render.progress(part)))
        return await pending.result()


async def answer(client: AsyncClient, session: str, key: int, yes: bool, tell: Tell) -> None:
    """Say yes or no to what the daemon asked before learning."""
    tell(partial(chat.settled, key=key))
    try:
        reply = await client.say(session, "yes" if yes else "no")
        heard = await client.heard(session, wait=True)
    except SleepdError as error:
        tell(partial(chat.failed, reason=str(error)))
        return
    tell(lambda c: chat.heard(chat.outcomes(c, reply.facts, reply.refused), heard))


async def take_back(client: AsyncClient, fact_id: str, key: int, tell: Tell) -> None:
    """Undo what was learned of a turn."""
    try:
        reply = await client.take_back(fact_id)
    except SleepdError as error:
        tell(partial(chat.noted, text=str(error), kind=Kind.PROBLEM))
        return
    statement = reply.fact.statement
    tell(lambda c: chat.taken_back(c, key, statement))
