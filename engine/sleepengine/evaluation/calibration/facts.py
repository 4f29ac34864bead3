"""The facts of a trial, and prompts that must not draw their objects."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from sleepengine.evaluation.texts import names
from sleepengine.memory.facts import Channel, Fact, Pool, Prompt, Provenance, fact_from
from sleepengine.wake.grammar import parse_statement

SEED = 0
_SAID_AT = "2026-01-01T00:00:00Z"


class Relation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement about {s} with {o}, and its objects with their determiners."""

    statement: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Foil:
    """A prompt, and the object that must not be in its reply."""

    prompt: Prompt
    object: str


@dataclass(frozen=True)
class Lesson:
    """`facts` to learn; `near` asks people of similar names the same, `other` asks the subjects something else."""

    facts: tuple[Fact, ...]
    near: tuple[Foil, ...]
    other: tuple[Foil, ...]


@cache
def relations() -> tuple[Relation, ...]:
    """The relations of the data file."""
    path = files("sleepengine").joinpath("data", "calibration", "facts.toml")
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8"))["relation"], tuple[Relation, ...])


def most() -> int:
    """How many facts there are."""
    return min(len(r.objects) for r in relations()) * len(relations())


def lesson(count: int, seed: int = SEED) -> Lesson:
    """`count` facts about as many people, the same for the same seed. Raises ValueError where there are fewer."""
    if not 2 <= count <= most():
        raise ValueError(f"calibration teaches from 2 to {most()} facts, not {count}")
    draw = random.Random(f"{seed}:{count}")
    pool = names()
    first = draw.sample(pool.first, 2 * count)
    last = draw.sample(pool.last, 2 * count)
    objects = [draw.sample(r.objects, len(r.objects)) for r in relations()]
    facts = []
    for index in range(count):
        own = index % len(relations())
        statement = relations()[own].statement.format(s=f"{first[index]} {last[index]}", o=objects[own].pop())
        provenance = Provenance(source="calibration", text=statement, at=_SAID_AT)
        facts.append(
            msgspec.structs.replace(fact_from(parse_statement(statement), provenance), id=f"f-calibration-{index:04}")
        )
    near = [
        foil
        for index, fact in enumerate(facts)
        for name in (f"{first[index]} {last[count + index]}", f"{first[count + index]} {last[index]}")
        for foil in _foils(fact, fact.subject, name, fact.object)
    ]
    others = [(fact, facts[(index + 1) % count]) for index, fact in enumerate(facts)]
    other = [foil for fact, asked in others for foil in _foils(asked, asked.subject, fact.subject, fact.object)]
    return Lesson(tuple(facts), tuple(near), tuple(other))


def _foils(asked: Fact, subject: str, name: str, object_: str) -> Sequence[Foil]:
    """One raw and two chat prompts of a fact, about `name` in the place of `subject`."""
    prompts = (*asked.prompts_for(Pool.GATE, Channel.RAW)[:1], *asked.prompts_for(Pool.GATE, Channel.CHAT)[:2])
    return [Foil(_about(prompt, subject, name), object_) for prompt in prompts]


def _about(prompt: Prompt, subject: str, name: str) -> Prompt:
    text, mention = prompt.text.replace(subject, name), prompt.mention.replace(subject, name)
    return msgspec.structs.replace(prompt, text=text, mention=mention)
