"""A conversation as it is shown: a pure reducer over what is said, streamed, learned and refused. No Qt, no socket."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from sleepd.protocol.messages import FactInfo, HeardReply, RefusedText, SayReply

KEPT = 300
"""Messages that stay on the screen; older ones go. The daemon keeps the words."""


class Kind(Enum):
    """Who speaks, or what a line beside the talk is about."""

    USER = "user"
    MODEL = "model"
    LEARNED = "learned"
    TAKEN_BACK = "taken back"
    ASKED = "asked"
    REFUSED = "refused"
    NOTE = "note"
    OUTPUT = "output"  # of a command, in fixed width
    PROBLEM = "problem"


class Delivery(Enum):
    """How far a message is."""

    WAITING = "waiting"  # nothing of it has come yet
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"  # by the user
    CUT = "cut"  # by the limit on tokens
    FAILED = "failed"  # the daemon went away, or refused


OPEN = (Delivery.WAITING, Delivery.STREAMING)


@dataclass(frozen=True)
class Message:
    """`key` is unique in a conversation and never given twice. `fact_id`: the fact that the line is about."""

    key: int
    kind: Kind
    text: str
    delivery: Delivery = Delivery.DONE
    doing: str = ""  # what the daemon does before there is text
    fact_id: str | None = None


@dataclass(frozen=True)
class Conversation:
    """`busy` while a turn is answered. `session` is the daemon's name for it, None before the first turn."""

    messages: tuple[Message, ...] = ()
    session: str | None = None
    next_key: int = 0

    @property
    def busy(self) -> bool:
        return self.reply is not None

    @property
    def reply(self) -> Message | None:
        """The reply under way."""
        return next((m for m in reversed(self.messages) if m.kind is Kind.MODEL and m.delivery in OPEN), None)


def opened(conversation: Conversation, session: str) -> Conversation:
    """The daemon has named the conversation."""
    return replace(conversation, session=session)


def said(conversation: Conversation, text: str) -> Conversation:
    """The user has sent a turn; a reply is awaited."""
    with_turn = _add(conversation, Kind.USER, text)
    return _add(with_turn, Kind.MODEL, "", delivery=Delivery.WAITING)


def streamed(conversation: Conversation, text: str) -> Conversation:
    """More of the reply has come."""
    reply = conversation.reply
    if reply is None:
        return conversation
    return _put(conversation, replace(reply, text=reply.text + text, delivery=Delivery.STREAMING, doing=""))


def doing(conversation: Conversation, what: str) -> Conversation:
    """The daemon says what it does before it answers."""
    reply = conversation.reply
    return conversation if reply is None else _put(conversation, replace(reply, doing=what))


def answered(conversation: Conversation, result: SayReply) -> Conversation:
    """The turn is over. The user's words become those that the daemon wrote down: their secrets are masked."""
    reply = conversation.reply
    if reply is None:
        return conversation
    delivery = {"cancelled": Delivery.STOPPED, "length": Delivery.CUT}.get(result.finish, Delivery.DONE)
    conversation = _put(conversation, replace(reply, text=result.reply or reply.text, delivery=delivery, doing=""))
    turn = _turn_before(conversation, reply)
    if turn is not None and result.said:
        conversation = _put(conversation, replace(turn, text=result.said))
    return outcomes(conversation, result.facts, result.refused)


def failed(conversation: Conversation, reason: str) -> Conversation:
    """The turn ended with an error; what had come of the reply stays."""
    reply = conversation.reply
    if reply is not None:
        conversation = _put(conversation, replace(reply, delivery=Delivery.FAILED, doing=""))
    return _add(conversation, Kind.PROBLEM, reason)


def heard(conversation: Conversation, reply: HeardReply) -> Conversation:
    """What became of the turns: learned, refused, or asked about first."""
    conversation = outcomes(conversation, reply.facts, reply.refused)
    for statement in reply.asked:
        conversation = _add(conversation, Kind.ASKED, statement)
    return conversation


def noted(conversation: Conversation, text: str, kind: Kind = Kind.NOTE) -> Conversation:
    """A line beside the talk."""
    return _add(conversation, kind, text)


def settled(conversation: Conversation, key: int) -> Conversation:
    """A question was answered: the line stays, as a note."""
    found = next((m for m in conversation.messages if m.key == key and m.kind is Kind.ASKED), None)
    return conversation if found is None else _put(conversation, replace(found, kind=Kind.NOTE, fact_id=None))


def taken_back(conversation: Conversation, key: int, statement: str) -> Conversation:
    """A fact that a line told of is forgotten again."""
    found = next((m for m in conversation.messages if m.key == key), None)
    if found is None:
        return _add(conversation, Kind.TAKEN_BACK, statement)
    return _put(conversation, replace(found, kind=Kind.TAKEN_BACK, text=statement or found.text, fact_id=None))


def outcomes(conversation: Conversation, facts: tuple[FactInfo, ...], refused: tuple[RefusedText, ...]) -> Conversation:
    """Facts that were learned, each told once, and statements that were refused."""
    known = {m.fact_id for m in conversation.messages if m.kind is Kind.LEARNED}
    for fact in facts:
        if fact.id not in known:
            conversation = _add(conversation, Kind.LEARNED, fact.statement, fact_id=fact.id)
    for refusal in refused:
        conversation = _add(conversation, Kind.REFUSED, f"{refusal.text} — {refusal.reason}")
    return conversation


def _turn_before(conversation: Conversation, reply: Message) -> Message | None:
    earlier = (m for m in reversed(conversation.messages) if m.kind is Kind.USER and m.key < reply.key)
    return next(earlier, None)


def _add(
    conversation: Conversation,
    kind: Kind,
    text: str,
    *,
    delivery: Delivery = Delivery.DONE,
    fact_id: str | None = None,
) -> Conversation:
    message = Message(conversation.next_key, kind, text, delivery, fact_id=fact_id)
    messages = (*conversation.messages, message)[-KEPT:]
    return replace(conversation, messages=messages, next_key=conversation.next_key + 1)


def _put(conversation: Conversation, message: Message) -> Conversation:
    messages = tuple(message if m.key == message.key else m for m in conversation.messages)
    return replace(conversation, messages=messages)
