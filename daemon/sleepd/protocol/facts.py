"""Facts in the protocol: values, and the requests that learn, show and revise them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sleepd.protocol.body import MAX_TEXTS, Body, Id


class Verified(Body, frozen=True, kw_only=True):
    raw: bool = False
    chat: bool = False


class FactInfo(Body, frozen=True, kw_only=True):
    id: str
    subject: str
    relation: str
    object: str
    statement: str
    state: str
    stage: int
    scale: float
    verified: Verified


class RefusedText(Body, frozen=True, kw_only=True):
    text: str
    reason: str


class HistoryEntry(Body, frozen=True, kw_only=True):
    at: str  # UTC, ISO 8601
    event: str
    detail: str = ""


class Remember(Body, frozen=True, kw_only=True):
    """Learn statements now. Streams `progress`; the reply comes after commit."""

    texts: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_TEXTS)]
    session: Id | None = None


class RememberReply(Body, frozen=True, kw_only=True):
    facts: tuple[FactInfo, ...]
    refused: tuple[RefusedText, ...]
    seconds: float


class HearTurns(Body, frozen=True, kw_only=True):
    """What became of a conversation's turns since this was asked last; each outcome is told once.

    With `wait` the answer comes when everything said so far was learned, refused or asked about.
    """

    session: Id
    wait: bool = False


class HeardReply(Body, frozen=True, kw_only=True):
    """`asked` are statements that will be learned if the next turn says yes; `settled`: nothing is being read."""

    facts: tuple[FactInfo, ...]
    refused: tuple[RefusedText, ...]
    asked: tuple[str, ...]
    settled: bool


class Facts(Body, frozen=True, kw_only=True):
    """`query` matches words of the statement. Active, pending and superseded facts; `all` adds forgotten ones."""

    query: str | None = None
    all: bool = False
    refused: bool = False


class FactsReply(Body, frozen=True, kw_only=True):
    facts: tuple[FactInfo, ...]
    refused: tuple[RefusedText, ...] = ()


class Why(Body, frozen=True, kw_only=True):
    id: Id


class WhyReply(FactInfo, frozen=True, kw_only=True):
    """`values` are all that its slot has held, oldest first, or what it was corrected from and to."""

    provenance: dict[str, Any]
    history: tuple[HistoryEntry, ...]
    values: tuple[ValueSpan, ...] = ()


class ValueSpan(Body, frozen=True, kw_only=True):
    """One value that a slot has held, and when it was valid; `until` is null for the one that holds."""

    id: str
    statement: str
    valid_from: str
    until: str | None = None


class Probe(Body, frozen=True, kw_only=True):
    """What the model answered when it was asked for a forgotten fact; `base` is the same of the bare base model."""

    channel: str
    prompt: str
    answer: str
    recalled: bool
    base: bool


class Forget(Body, frozen=True, kw_only=True):
    """Forget facts: those named by `ids`, and those that match all of `query`, `session` and `since` that are given.

    `query` matches words of the statement; `since` is a time in ISO 8601; `all` is every fact. Streams `progress`;
    the reply comes when the model was probed. `preview` names what would be forgotten and changes nothing.
    """

    ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_TEXTS)] = ()
    query: str | None = None
    session: Id | None = None
    since: str | None = None
    all: bool = False
    preview: bool = False


class ForgottenFact(FactInfo, frozen=True, kw_only=True):
    """`gone`: no probe recalled it, but for what the bare base model says too; null where no model could be asked.

    `suppressed`: an adapter knew it, and an edit now keeps it from coming out until the next sleep unlearns it.
    """

    gone: bool | None = None
    suppressed: bool = False
    probes: tuple[Probe, ...] = ()


class ForgetReply(Body, frozen=True, kw_only=True):
    """The words of the forgotten facts are in this reply and, once nothing can know them any more, nowhere else."""

    facts: tuple[ForgottenFact, ...]
    seconds: float


class Correct(Body, frozen=True, kw_only=True):
    """Put another value in the place of a fact's: `text` is a statement, or the new object alone."""

    id: Id
    text: str


class CorrectReply(Body, frozen=True, kw_only=True):
    """As of `remember`; `superseded` are the facts that no longer hold."""

    facts: tuple[FactInfo, ...]
    superseded: tuple[str, ...]
    refused: tuple[RefusedText, ...]
    seconds: float


class TakeBack(Body, frozen=True, kw_only=True):
    """Undo the learning of a fact: it is forgotten, and the value that it superseded holds again.

    `id` null is the fact learned last.
    """

    id: Id | None = None


class TakeBackReply(Body, frozen=True, kw_only=True):
    fact: ForgottenFact
    restored: FactInfo | None = None


class PortablePrompt(Body, frozen=True, kw_only=True):
    channel: Literal["raw", "chat"]
    pool: Literal["train", "check", "gate"]
    text: str
    answer: str
    mention: str


class PortableFact(Body, frozen=True, kw_only=True):
    """A fact as it is exported: everything that a daemon needs to learn it, and nothing of how a model holds it."""

    id: str
    subject: str
    relation: str
    object: str
    statement: str
    person: Literal["first", "third"]
    slot: str
    exclusive: bool
    prompts: tuple[PortablePrompt, ...]
    said: str
    source: str
    said_at: str
    valid_from: str


class ExportFacts(Body, frozen=True, kw_only=True):
    """Active and pending facts, oldest first, a page at a time: those after the fact `after`."""

    after: Id | None = None


class ExportFactsReply(Body, frozen=True, kw_only=True):
    """`more`: ask again, after the last of these."""

    facts: tuple[PortableFact, ...]
    more: bool


class ImportFacts(Body, frozen=True, kw_only=True):
    """Learn exported facts. What was forgotten here since is refused, and what is known already is not taken twice."""

    facts: Annotated[tuple[PortableFact, ...], msgspec.Meta(max_length=MAX_TEXTS)]
