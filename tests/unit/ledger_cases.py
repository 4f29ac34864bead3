"""Small facts for the storage tests."""

from __future__ import annotations

import hashlib

from sleepengine.memory.facts import Channel, Fact, Parsed, Person, Pool, Prompt, Provenance, Stage, Verified, fact_from
from sleepengine.memory.ledger import Advance, Learned

AT = "2026-01-02T03:04:05.000+00:00"
MODEL = "model-a"
BOTH = Verified(raw=True, chat=True)


def blob(name: str) -> str:
    """A well-formed blob name."""
    return hashlib.sha256(name.encode()).hexdigest()


def make_fact(value: str, *, subject: str = "Idris Larsson", exclusive: bool = True, at: str = AT) -> Fact:
    prompts = tuple(
        Prompt(channel=channel, text=f"{subject} works as a", answer=f" {value}", mention=subject, pool=pool)
        for channel in Channel
        for pool in Pool
    )
    parsed = Parsed(
        subject=subject,
        relation="work as",
        object=value,
        statement=f"{subject} works as a {value}.",
        person=Person.THIRD,
        slot=f"{subject.casefold()}|work as|{exclusive}",
        exclusive=exclusive,
        prompts=prompts,
    )
    said = f"{subject} works as a {value}"
    return fact_from(parsed, Provenance(source="remember", text=said, session="s-1", turn=4, at=at))


def learned(fact: Fact, name: str | None = "edit", **rest: object) -> Learned:
    named = None if name is None else blob(f"{name} {fact.id}")
    return Learned(fact_id=fact.id, blob=named, verified=BOTH if named else Verified(raw=True), **rest)  # type: ignore[arg-type]


def advance(fact: Fact, stage: int, scale: float, name: str | None = "night", **rest: object) -> Advance:
    named = None if name is None else blob(f"{name} {fact.id}")
    return Advance(fact_id=fact.id, stage=Stage(stage), scale=scale, blob=named, verified=BOTH, **rest)  # type: ignore[arg-type]
