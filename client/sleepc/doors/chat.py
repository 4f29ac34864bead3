"""What the HTTP doors share: a list of messages becomes one request, and a reply's text ends at a stop sequence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sleepd.protocol.errors import NotFound, SleepdError, UsageError
from sleepd.protocol.messages import AskReply, ChatTurn, Chunk

from .. import requests
from ..async_client import AsyncClient
from ..async_connection import AsyncPending
from ..requests import Request

LEARN = ":learn"
"""What a model's name ends in where the user's turns are to be learned from."""

DEFAULT_TOKENS = 1024
"""Tokens of a reply where the caller names no number. Editors expect whole answers."""


@dataclass(frozen=True)
class Said:
    """One message, as both APIs have it: role and plain text."""

    role: str
    text: str


@dataclass(frozen=True)
class Wanted:
    """How the reply is to be made."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


async def model_names(client: AsyncClient) -> tuple[str, ...]:
    """The names under which the model is offered; the first does not learn."""
    model = (await client.status()).model
    return model, model + LEARN


async def chat_request(client: AsyncClient, said: Sequence[Said], wanted: Wanted) -> Request[AskReply]:
    """The request for the reply to the last message. Raises NotFound for another model, UsageError, Refused."""
    names = await model_names(client)
    if wanted.model not in names:
        raise NotFound(f"there is no model {wanted.model!r}; there are {' and '.join(names)}")
    system = [message.text for message in said if message.role in ("system", "developer")]
    turns = [message for message in said if message.role not in ("system", "developer")]
    if not turns or turns[-1].role != "user":
        raise UsageError("messages: the last message must be the user's")
    return requests.ask(
        turns[-1].text,
        system="\n\n".join(system) or None,
        history=[_turn(message) for message in turns[:-1]],
        learn=wanted.model.endswith(LEARN),
        max_tokens=wanted.max_tokens or DEFAULT_TOKENS,
        temperature=wanted.temperature or 0.0,
        seed=wanted.seed,
    )


def _turn(message: Said) -> ChatTurn:
    if message.role == "user":
        return ChatTurn(role="user", text=message.text)
    if message.role == "assistant":
        return ChatTurn(role="assistant", text=message.text)
    raise UsageError(f"messages: a message of role {message.role!r} is not understood; there are no tools here")


class Reply:
    """A reply that is being made: `first` waits until there is any, `texts` goes on, and then `end` has the rest."""

    def __init__(self, pending: AsyncPending[AskReply], stop: tuple[str, ...]) -> None:
        self._pending = pending
        self._until = StopAt(stop)
        self._first = ""

    async def first(self) -> None:
        """Wait for the first text, or for the end. Raises what went wrong before there was any."""
        async for part in self._pending:
            if isinstance(part, Chunk) and part.text:
                self._first = part.text
                return
        await self._pending.result()

    async def texts(self) -> AsyncIterator[str]:
        """The text as it comes, up to the first stop sequence. Raises what ended it."""
        if text := self._until.feed(self._first):
            yield text
        async for part in self._pending:
            if self._until.reached:
                self._pending.cancel()
            elif isinstance(part, Chunk) and (text := self._until.feed(part.text)):
                yield text
        if text := self._until.rest():
            yield text

    async def end(self) -> AskReply:
        """The daemon's own account of the reply."""
        return await self._pending.result()

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence ended it."""
        return self._until.reached

    def cancel(self) -> None:
        """Nobody reads it any more."""
        self._pending.cancel()


async def begin_reply(client: AsyncClient, request: Request[AskReply], stop: tuple[str, ...]) -> Reply:
    """Send the request. Raises Unreachable."""
    return Reply(await client.start(request), stop)


class StopAt:
    """Lets text through up to the first of some sequences, holding back what may be the beginning of one."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = tuple(sequence for sequence in sequences if sequence)
        self._held = ""
        self.reached = False

    def feed(self, text: str) -> str:
        """Add text; returns what is certain."""
        if self.reached:
            return ""
        held = self._held + text
        ends = [at for at in (held.find(sequence) for sequence in self._sequences) if at >= 0]
        if ends:
            self.reached, self._held = True, ""
            return held[: min(ends)]
        keep = max((_overlap(held, sequence) for sequence in self._sequences), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def rest(self) -> str:
        """What was held back and no sequence came of."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """The length of the longest end of `text` that begins `sequence`."""
    return next((n for n in range(min(len(text), len(sequence) - 1), 0, -1) if text.endswith(sequence[:n])), 0)


STATUS: dict[str, int] = {
    "usage": 400,
    "refused": 400,
    "not_found": 404,
    "busy": 429,
    "cancelled": 499,
    "storage": 507,
    "protocol": 502,
    "unreachable": 503,
    "deadline": 504,
}
"""HTTP status for the daemon's errors; 500 for the others."""


def http_status(error: SleepdError) -> int:
    return STATUS.get(error.code, 500)
