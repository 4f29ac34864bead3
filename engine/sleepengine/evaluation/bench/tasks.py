"""What one seed teaches and asks: facts about people, or facts that one user tells of himself."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from sleepengine.evaluation.bench.data import UserFact, contexts, user_facts
from sleepengine.evaluation.bench.probes import Cell, Probe, fill, knowledge, messages, probes
from sleepengine.evaluation.bench.scenario import CELL, SAID_AT, Someone, bare, scenario
from sleepengine.memory.facts import Channel, Fact, Provenance, fact_from
from sleepengine.wake.grammar import parse_statement

BYSTANDERS = 48  # texts of each kind on which the distance to the base is measured


class Set(StrEnum):
    """Whom the facts are about."""

    PEOPLE = "people"
    USER = "user"


@dataclass(frozen=True)
class Task:
    """Facts, each with whether its relation is listed (None where that is not asked), all probes, and biographies of
    people who were not taught about."""

    seed: int
    taught: tuple[tuple[Fact, bool | None], ...]
    probes: tuple[Probe, ...]
    biographies: tuple[str, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(fact for fact, _ in self.taught)


def task(kind: Set, seed: int, count: int, cell: int = CELL) -> Task:
    """The task of one seed. Raises ValueError where the data files hold fewer facts than `count`."""
    return people_task(seed, count, cell) if kind is Set.PEOPLE else user_task(seed, count, cell)


def people_task(seed: int, count: int, cell: int = CELL) -> Task:
    """Facts about people; `cell` is how many prompts a leak column has at least, and a knowledge column at most."""
    known = scenario(seed, count, cell)
    taught = tuple((t.fact, t.relation.listed) for t in known.taught)
    near = [someone for t in known.taught for someone in t.near]
    return Task(seed, taught, tuple(probes(known, cell)), _biographies(seed, near))


def user_task(seed: int, count: int, cell: int = CELL) -> Task:
    """The first `count` facts of a user, each with an object drawn by the seed."""
    known = user_facts()
    if not 1 <= count <= len(known):
        raise ValueError(f"the bench teaches from 1 to {len(known)} facts about the user, not {count}")
    draw = random.Random(f"user:{seed}:{count}")
    chosen = [(own, draw.choice(own.objects)) for own in known[:count]]
    facts = tuple(_fact(seed, index, own, shown) for index, (own, shown) in enumerate(chosen))
    objects = [bare(shown) for _, shown in chosen]
    asked = [
        probe
        for index, (own, _) in enumerate(chosen)
        for probe in _user_probes(index, own, facts[index], [o for o in objects if o != objects[index]], draw)
    ]
    strangers = scenario(seed, 1).strangers
    return Task(
        seed=seed,
        taught=tuple((fact, None) for fact in facts),
        probes=(*asked, *knowledge(cell)),
        biographies=_biographies(seed, strangers),
    )


def _fact(seed: int, index: int, own: UserFact, shown: str) -> Fact:
    statement = own.statement.format(o=shown)
    provenance = Provenance(source="bench", text=statement, at=SAID_AT)
    return msgspec.structs.replace(fact_from(parse_statement(statement), provenance), id=f"f-bench-{seed}-u{index:03}")


def _user_probes(index: int, own: UserFact, fact: Fact, others: Sequence[str], draw: random.Random) -> Iterator[Probe]:
    """`others` are the user's other objects: a reply that holds one is about the wrong relation."""
    statement = fact.statement
    unrelated = draw.sample(contexts().unrelated, 6)
    asked: list[tuple[Cell, str, Sequence[tuple[str, str]]]] = [
        (Cell.RAW, statement[: statement.rindex(fact.object)].rstrip(), ()),
        *((Cell.RAW_PARAPHRASE, text, ()) for text in own.raw_paraphrase),
        *((Cell.CHAT, text, ()) for text in own.chat),
        *((Cell.CHAT_PARAPHRASE, text, ()) for text in own.chat_paraphrase),
        *((Cell.POLITE, text, ()) for text in own.polite),
        (Cell.AFTER_ONE, own.chat[0], unrelated[:1]),
        (Cell.AFTER_FIVE, own.chat[0], unrelated[1:]),
        *((Cell.CONTRAST, text, ()) for text in own.contrast),
    ]
    for cell, text, turns in asked:
        yield Probe(
            cell=cell,
            channel=Channel.RAW if cell in (Cell.RAW, Cell.RAW_PARAPHRASE) else Channel.CHAT,
            text=text,
            targets=(fact.object,),
            turns=messages(turns),
            others=tuple(others),
            fact=index,
        )


def _biographies(seed: int, people: Sequence[Someone]) -> tuple[str, ...]:
    draw = random.Random(f"biographies:{seed}")
    chosen = draw.sample(people, min(BYSTANDERS, len(people)))
    return tuple(fill(draw.choice(contexts().biographies), someone) for someone in chosen)
