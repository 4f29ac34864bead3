"""What a reader of chat turns gives: candidate facts, and what it passed over with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sleepengine.memory.facts import Channel, Parsed, Pool


class Certainty(StrEnum):
    """How sure the user said to be. Only what is certain is learned."""

    CERTAIN = "certain"
    HEDGED = "hedged"  # "I think", "probably"


@dataclass(frozen=True, slots=True)
class Span:
    """Where words stand in the turn, as character offsets."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fact as it was read. `fact` holds subject, relation, object, statement, person, time and prompts.

    `corrects` is the fact just said that this one takes the place of ("Actually it is a Seat.").
    """

    fact: Parsed
    said: str
    span: Span
    certainty: Certainty = Certainty.CERTAIN
    corrects: Parsed | None = None

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions that the fact answers."""
        return tuple(p.text for p in self.fact.prompts if p.channel is Channel.CHAT)

    @property
    def cloze(self) -> str:
        """The statement up to its object."""
        return next(p.text for p in self.fact.prompts if p.channel is Channel.RAW and p.pool is Pool.TRAIN)


@dataclass(frozen=True, slots=True)
class Passed:
    """Words that were passed over. `telling`: they were a statement and may be shown as refused; small talk is not."""

    text: str
    reason: str
    telling: bool = True


@dataclass(frozen=True, slots=True)
class Context:
    """What came before a turn: the user's own earlier turns, oldest first, and the facts read in the last of them."""

    before: tuple[str, ...] = ()
    last: tuple[Parsed, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of one user turn."""

    candidates: tuple[Candidate, ...] = ()
    passed: tuple[Passed, ...] = field(default=())


class Reader(Protocol):
    """Reads user turns. The assistant's words never reach a reader."""

    def read(self, turn: str, context: Context) -> Reading:
        """The candidate facts of one user turn."""
        ...
