"""What callers give the ledger and get back from it, besides facts and views. Times are UTC in ISO 8601."""

from __future__ import annotations

from typing import Any

import msgspec

from sleepengine.memory.facts import Fact, Stage, Verified
from sleepengine.memory.view import View


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one wake edit. `blob` is None when the fact could not be verified; `note` then says why.

    `suppress` marks an edit that keeps a superseded or forgotten fact, which the adapter still knows, from coming out.
    """

    fact_id: str
    blob: str | None
    verified: Verified
    note: str = ""
    suppress: bool = False


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """What a cycle decided for one fact: its stage and its edit's scale in [0, 1] under the new generation.

    `blob` is the edit as verified under that generation; needed when `scale` is above zero.
    """

    fact_id: str
    stage: Stage
    scale: float
    blob: str | None
    verified: Verified
    suppress: bool = False


class HistoryEntry(msgspec.Struct, frozen=True):
    """One line of a fact's audit trail."""

    at: str
    event: str
    detail: str


class CycleRow(msgspec.Struct, frozen=True):
    """A nap or a sleep. `ended`, `outcome` and `report` are None while it is open."""

    number: int
    kind: str
    started: str
    ended: str | None
    outcome: str | None
    report: dict[str, Any] | None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far an open cycle is, so that it can be run again after a crash.

    `facts` are the ids that it is over, `adapters` the blobs of what its training phases made, by phase; `settings` is
    a digest of what else decides its course. `attempts` counts the runs that were begun.
    """

    cycle: int
    model: str
    view: View
    facts: tuple[str, ...]
    settings: str
    rebuild: str = ""
    adapters: dict[str, str] = {}
    attempts: int = 1


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """What an undo would return to: the generation's number, the view, and the facts that need an edit there. `held`
    are facts that this generation knows about the subjects of those to be suppressed, and that hold."""

    generation: int
    view: View
    learn: tuple[Fact, ...]
    suppress: tuple[Fact, ...]
    held: tuple[Fact, ...] = ()


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    text: str
    at: str


class SessionRow(msgspec.Struct, frozen=True):
    """A conversation and how many turns it has."""

    id: str
    at: str
    turns: int


class Refusal(msgspec.Struct, frozen=True):
    """A statement that was not accepted, and why."""

    text: str
    reason: str
    at: str
