"""One seed's people and facts: who is taught about, who only has a similar name, and who is a stranger."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import msgspec

from sleepengine.evaluation.bench.data import Relation, people, relations
from sleepengine.memory.facts import Fact, Provenance, fact_from
from sleepengine.wake.grammar import parse_statement

EDITED_SHARE = 0.6  # of the names; people of whom nothing is learned take their own names from the rest
SECOND_FACTS = 0.2  # share of the facts that are a subject's second one
CELL = 300  # prompts that a cell of the leak columns has at least, where there are names enough
SAID_AT = "2026-01-01T00:00:00Z"  # provenance is not measured; a constant keeps results comparable


@dataclass(frozen=True)
class Someone:
    """A person of the bench; `they` is "she" or "he"."""

    first: str
    last: str
    they: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True)
class Taught:
    """A fact with what it was made from. `shown` is the object with its determiner; `near` are people who share the
    subject's first or last name and are in no edit."""

    fact: Fact
    relation: Relation
    subject: Someone
    shown: str
    near: tuple[Someone, ...]

    @property
    def cloze(self) -> str:
        """The statement up to its object."""
        return cloze(self.relation, self.subject.name, self.shown, self.fact.object)


@dataclass(frozen=True)
class Scenario:
    """What one seed teaches and asks."""

    seed: int
    taught: tuple[Taught, ...]
    strangers: tuple[Someone, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(t.fact for t in self.taught)

    @cached_property
    def objects(self) -> dict[str, tuple[str, ...]]:
        """By relation, the objects that were taught for anybody."""
        keys = dict.fromkeys(t.relation.key for t in self.taught)
        return {key: tuple(t.fact.object for t in self.taught if t.relation.key == key) for key in keys}


def scenario(seed: int, count: int, cell: int = CELL) -> Scenario:
    """`count` facts, drawn with `seed`. Raises ValueError where the data files hold fewer."""
    known = relations()
    most = min(len(r.objects) for r in known) * len(known)
    if not 1 <= count <= most:
        raise ValueError(f"the bench teaches from 1 to {most} facts, not {count}")
    draw = random.Random(f"{seed}:{count}")
    cast = _Cast(draw)
    order = _alternating(known, draw)
    objects = {r.key: draw.sample(r.objects, len(r.objects)) for r in known}
    subjects = [cast.subject() for _ in range(count - int(count * SECOND_FACTS))]
    skip = 1 if len(subjects) % len(order) == 0 else 0  # else a second fact would repeat the subject's relation
    per_side = max(2, ceil(cell / (2 * count)))
    taught = []
    for index in range(count):
        second = index - len(subjects) + skip
        subject = subjects[index] if index < len(subjects) else subjects[second % len(subjects)]
        relation = order[index % len(order)]
        shown = objects[relation.key].pop()
        fact = fact_about(f"f-bench-{seed}-{index:04}", relation, subject, shown)
        taught.append(Taught(fact, relation, subject, shown, tuple(cast.near(subject, per_side))))
    strangers = tuple(cast.stranger() for _ in range(ceil(cell / min(count, len(order)))))
    return Scenario(seed, tuple(taught), strangers)


def cloze(relation: Relation, name: str, shown: str, object_: str) -> str:
    """A relation's statement about `name` up to the object, determiner included."""
    text = relation.statement.format(s=name, o=shown)
    return text[: text.rindex(object_)].rstrip()


def determiner(shown: str) -> str:
    """The article of an object as it is shown, or nothing."""
    first, _, rest = shown.partition(" ")
    return first if rest and first in ("a", "an", "the") else ""


def bare(shown: str) -> str:
    """The object without its article."""
    return shown.removeprefix(determiner(shown)).lstrip()


def fact_about(fact_id: str, relation: Relation, subject: Someone, shown: str) -> Fact:
    """A relation's statement about somebody as a fact; `shown` is the object with its article."""
    statement = relation.statement.format(s=subject.name, o=shown)
    provenance = Provenance(source="bench", text=statement, at=SAID_AT)
    return msgspec.structs.replace(fact_from(parse_statement(statement), provenance), id=fact_id)


def _alternating(known: Sequence[Relation], draw: random.Random) -> list[Relation]:
    """Listed and unlisted relations in turn, each kind shuffled: half of any number of facts is of each kind."""
    kinds = [[r for r in known if r.listed is kind] for kind in (True, False)]
    for kind in kinds:
        draw.shuffle(kind)
    return [relation for pair in zip(*kinds, strict=True) for relation in pair]


class _Cast:
    """Hands out people, no full name twice."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        names = people()
        first = [(n, "she") for n in names.she] + [(n, "he") for n in names.he]
        last = list(names.last)
        draw.shuffle(first)
        draw.shuffle(last)
        a, b = int(len(first) * EDITED_SHARE), int(len(last) * EDITED_SHARE)
        self._first, self._other_first = first[:a], first[a:]
        self._last, self._other_last = last[:b], last[b:]
        self._subjects = self._pairs()
        self._used: set[str] = set()

    def subject(self) -> Someone:
        """Somebody to teach about. Names repeat only once all were used."""
        return next(self._subjects)

    def near(self, subject: Someone, per_side: int) -> Iterator[Someone]:
        """`per_side` people who share the first name and as many who share the last, as far as names go."""
        firsts = self._draw.sample(self._other_first, len(self._other_first))
        lasts = self._draw.sample(self._other_last, len(self._other_last))
        yield from self._fresh((Someone(subject.first, last, subject.they) for last in lasts), per_side)
        yield from self._fresh((Someone(first, subject.last, they) for first, they in firsts), per_side)

    def stranger(self) -> Someone:
        """Somebody who shares no name with anybody who is taught about."""
        while True:
            first, they = self._draw.choice(self._other_first)
            found = list(self._fresh([Someone(first, self._draw.choice(self._other_last), they)], 1))
            if found:
                return found[0]

    def _fresh(self, candidates: Iterator[Someone] | Sequence[Someone], count: int) -> Iterator[Someone]:
        taken = 0
        for someone in candidates:
            if taken == count:
                return
            if someone.name not in self._used:
                self._used.add(someone.name)
                taken += 1
                yield someone

    def _pairs(self) -> Iterator[Someone]:
        number = 0
        while True:
            first, they = self._first[number % len(self._first)]
            last = self._last[(number + number // len(self._first)) % len(self._last)]
            yield Someone(first, last, they)
            number += 1
