"""A fact, the prompts it is taught and tested with, and where it came from. Plain values, no I/O, no torch."""

from __future__ import annotations

import secrets
from enum import IntEnum, StrEnum

import msgspec


class FactState(StrEnum):
    """Where a fact stands in its life."""

    PENDING = "pending"  # accepted, not yet (or not verifiably) in the view
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    FORGOTTEN = "forgotten"


class Stage(IntEnum):
    """Consolidation stage (paper, section 3.3)."""

    ACTIVE = 0  # held by its edit alone
    CONSOLIDATING = 1  # the adapter recalled it in one cycle
    CONSOLIDATED = 2  # the adapter recalled it in two cycles


class Person(StrEnum):
    """Whether the statement speaks of the user ("my dog ...", "I ...") or of somebody else."""

    FIRST = "first"
    THIRD = "third"


class Channel(StrEnum):
    """How a prompt reaches the model: as bare text to continue, or as a user turn in the chat template."""

    RAW = "raw"
    CHAT = "chat"


class Pool(StrEnum):
    """What a prompt may be used for. The pools are disjoint, so no gate reads what was trained on."""

    TRAIN = "train"  # value optimisation and sleep training
    CHECK = "check"  # early stop, retry, and verification after an edit
    GATE = "gate"  # sleep's per-fact gates


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask for a fact.

    `mention` is the subject exactly as it stands in `text` ("Idris Larsson", "my dog", "I"); an edit acts on its
    last token. `answer` continues `text`: for RAW it starts with a space and is the object alone (" carpenter"),
    for CHAT it is the assistant's whole reply ("Idris Larsson works as a carpenter."). `answer` contains the
    fact's object verbatim.
    """

    channel: Channel
    text: str
    answer: str
    mention: str
    pool: Pool


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What the grammar makes of one statement.

    `relation` is the verb phrase in its dictionary form with its preposition ("work as", "be called", "favourite
    food be"); `slot` is the normalised subject and relation under which a new value supersedes an old one.
    `exclusive` is false for relations that hold many values at once ("like", "speak", "have").
    """

    subject: str
    relation: str
    object: str
    statement: str
    person: Person
    slot: str
    exclusive: bool
    prompts: tuple[Prompt, ...]
    since: str | None = None  # a year, month or day in ISO 8601, where the statement names when it began


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who said it, where and when. `at` is UTC in ISO 8601."""

    source: str  # "remember", "chat", "import"
    text: str  # the words as they were said
    session: str | None = None
    turn: int | None = None
    at: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the fact came out by generation on phrasings that its edit did not use."""

    raw: bool = False
    chat: bool = False


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered fact; a row of the ledger.

    `scale` is the multiplier of its edit in the live view (s_i of the paper's Eq. 2), in [0, 1].
    """

    id: str
    subject: str
    relation: str
    object: str
    statement: str
    person: Person
    slot: str
    exclusive: bool
    prompts: tuple[Prompt, ...]
    provenance: Provenance
    state: FactState = FactState.PENDING
    stage: Stage = Stage.ACTIVE
    scale: float = 0.0
    verified: Verified = Verified()
    valid_from: str  # what the user said ("since March 2021"), else when it was said
    valid_until: str | None = None  # when another value took its place
    superseded_by: str | None = None

    def prompts_for(self, pool: Pool, channel: Channel | None = None) -> tuple[Prompt, ...]:
        """The prompts of one pool, of one channel or of both."""
        return tuple(p for p in self.prompts if p.pool is pool and channel in (None, p.channel))


_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"  # no look-alikes: ids are read aloud and typed


def new_fact_id() -> str:
    """A fresh random id such as `f-k3m9w2ta` (38 bits; the ledger refuses a collision)."""
    return "f-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def fact_from(parsed: Parsed, provenance: Provenance) -> Fact:
    """A pending fact from what the grammar read."""
    return Fact(
        id=new_fact_id(),
        subject=parsed.subject,
        relation=parsed.relation,
        object=parsed.object,
        statement=parsed.statement,
        person=parsed.person,
        slot=parsed.slot,
        exclusive=parsed.exclusive,
        prompts=parsed.prompts,
        provenance=provenance,
        valid_from=parsed.since or provenance.at,
    )
