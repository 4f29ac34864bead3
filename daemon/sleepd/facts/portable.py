"""Facts as they leave one daemon and enter another."""

from __future__ import annotations

import re

import msgspec

from sleepd.protocol.facts import PortableFact, PortablePrompt
from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt, Provenance
from sleepengine.wake.grammar.prompts import LEAST

_ID = re.compile(r"f-[a-z0-9]{8}")
_MOST_PROMPTS = 64
_LONGEST = 1000  # characters of any one text


def portable(fact: Fact) -> PortableFact:
    """A fact without anything of how a model holds it."""
    prompts = tuple(
        PortablePrompt(channel=p.channel.value, pool=p.pool.value, text=p.text, answer=p.answer, mention=p.mention)
        for p in fact.prompts
    )
    return PortableFact(
        id=fact.id,
        subject=fact.subject,
        relation=fact.relation,
        object=fact.object,
        statement=fact.statement,
        person=fact.person.value,
        slot=fact.slot,
        exclusive=fact.exclusive,
        prompts=prompts,
        said=fact.provenance.text,
        source=fact.provenance.source,
        said_at=fact.provenance.at,
        valid_from=fact.valid_from,
    )


def fact_of(given: PortableFact, at: str) -> Fact:
    """A pending fact from an exported one, imported at `at`.

    Raises StatementRefused where it could not be taught: an empty field, a prompt that gives its answer away, whose
    answer lacks the object or that does not name its subject, or too few prompts.
    """
    _check(given)
    return Fact(
        id=given.id,
        subject=given.subject,
        relation=given.relation,
        object=given.object,
        statement=given.statement,
        person=Person(given.person),
        slot=given.slot,
        exclusive=given.exclusive,
        prompts=tuple(_prompt(p) for p in given.prompts),
        provenance=Provenance(source="import", text=given.said, at=at),
        valid_from=given.valid_from,
    )


def _prompt(given: PortablePrompt) -> Prompt:
    return Prompt(
        channel=Channel(given.channel),
        pool=Pool(given.pool),
        text=given.text,
        answer=given.answer,
        mention=given.mention,
    )


def _check(given: PortableFact) -> None:
    fields = msgspec.structs.asdict(given)
    texts = [value for name, value in fields.items() if isinstance(value, str) and name != "said"]
    if not _ID.fullmatch(given.id):
        raise StatementRefused(f"{given.id!r} is no fact's id")
    if not all(text.strip() for text in texts) or max(map(len, (*texts, given.said))) > _LONGEST:
        raise StatementRefused(f"a field is empty or has more than {_LONGEST} characters")
    if given.object not in given.statement:
        raise StatementRefused("its object is not in its statement")
    if len(given.prompts) > _MOST_PROMPTS:
        raise StatementRefused(f"it has {len(given.prompts)} prompts; at most {_MOST_PROMPTS} are read")
    for prompt in given.prompts:
        if max(len(prompt.text), len(prompt.answer)) > _LONGEST or not prompt.mention:
            raise StatementRefused("a prompt is too long or names no subject")
        if given.object not in prompt.answer or prompt.mention not in prompt.text:
            raise StatementRefused(f"the prompt {prompt.text!r} does not lead to the object")
    for (channel, pool), least in LEAST.items():
        if sum(p.channel == channel and p.pool == pool for p in given.prompts) < least:
            raise StatementRefused(f"it has fewer than {least} prompts of {channel.value} for {pool.value}")
