"""Talk in the protocol: single questions, raw completion, conversations that are kept."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sleepd.protocol.body import MAX_TEXTS, Body, Id, Number, ViewName
from sleepd.protocol.facts import FactInfo, RefusedText

MAX_TOKENS = 1 << 16
MAX_TURNS = 1024
"""Turns that an `ask` may say went before."""


class Generation(Body, frozen=True, kw_only=True):
    """Fields that every request for text shares; `temperature` 0 is greedy."""

    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKENS)] = 256
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.0
    seed: Number | None = None
    view: ViewName = "current"
    wait: bool = True  # false: `busy` at once when the model cannot start answering now


class ChatTurn(Body, frozen=True, kw_only=True):
    role: Literal["user", "assistant"]
    text: str


class Ask(Generation, frozen=True, kw_only=True):
    """One question in a conversation that is not kept: a fresh one, or what the client says went before.

    Streams `chunk`. With `learn` the text is treated as a turn of a kept conversation is.
    """

    text: str
    system: str | None = None
    history: Annotated[tuple[ChatTurn, ...], msgspec.Meta(max_length=MAX_TURNS)] = ()
    learn: bool = False


class AskReply(Body, frozen=True, kw_only=True):
    reply: str
    prompt: str
    tokens: int
    seconds: float
    finish: str
    prompt_tokens: int = 0
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()


class Complete(Generation, frozen=True, kw_only=True):
    """Raw continuation, no chat template. Streams `chunk`."""

    text: str


class CompleteReply(Body, frozen=True, kw_only=True):
    completion: str
    prompt: str
    tokens: int
    seconds: float
    finish: str


class OpenSession(Body, frozen=True, kw_only=True):
    """Begin a conversation, or continue the latest one."""

    resume: bool = False
    system: str | None = None


class OpenSessionReply(Body, frozen=True, kw_only=True):
    session: str
    turns: int


class Sessions(Body, frozen=True, kw_only=True):
    """The conversations that are kept, oldest first."""


class SessionInfo(Body, frozen=True, kw_only=True):
    id: str
    at: str  # when it began; UTC, ISO 8601
    messages: int  # the user's and the model's


class SessionsReply(Body, frozen=True, kw_only=True):
    sessions: tuple[SessionInfo, ...]


class RemoveSessions(Body, frozen=True, kw_only=True):
    """Delete conversations' words; the facts learned from them stay. All must exist, else none is deleted."""

    ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]


class RemoveSessionsReply(Body, frozen=True, kw_only=True):
    removed: tuple[str, ...]


class Say(Generation, frozen=True, kw_only=True):
    """One user turn of a conversation. Streams `chunk`.

    What it says is learned after the reply (see `heard`), unless `learn` is false. "remember that ...", "forget what I
    said about ..." and their slash forms are obeyed instead of answered.
    """

    session: Id
    text: str
    learn: bool = True


class SayReply(Body, frozen=True, kw_only=True):
    """`said` is the turn as it was written down, secrets masked, and empty where it named what was to be forgotten;
    clients keep no other form of it."""

    reply: str
    prompt: str
    tokens: int
    seconds: float
    finish: str
    session: str
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()
    said: str = ""
