"""One seed's facts by role. Roles are drawn at random over one scenario, so that forgotten facts and those that nobody
was ever taught differ in nothing but that."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import msgspec

from sleepengine.evaluation.bench.data import Relation
from sleepengine.evaluation.bench.scenario import Taught, fact_about, scenario
from sleepengine.memory.facts import Fact

MATCHED = 4
"""Objects of the same relation that nobody was taught, beside which a forgotten one is scored."""


class Role(StrEnum):
    """What becomes of a fact."""

    CORRECTED = "corrected"
    FORGOTTEN = "forgotten"
    OTHER = "other facts"
    CONTROL = "never taught"


class Half(StrEnum):
    """What held a fact when it was revised: its edit alone, or an adapter after a night."""

    ACTIVE = "active"
    CONSOLIDATED = "consolidated"
    NEITHER = ""


@dataclass(frozen=True)
class Part:
    """A fact in its role. `shown_new` is the object, with its article, that takes the place of its own where it is
    corrected; `matched` are objects of its relation that nobody is ever taught."""

    role: Role
    half: Half
    taught: Taught
    shown_new: str
    matched: tuple[str, ...]

    @property
    def fact(self) -> Fact:
        """As it is taught, before any revision."""
        return self.taught.fact

    @cached_property
    def correction(self) -> Fact:
        """The fact that takes its place. Raises ValueError where it is not corrected."""
        if not self.shown_new:
            raise ValueError(f"{self.fact.id} is not corrected")
        return fact_about(f"{self.fact.id}-new", self.taught.relation, self.taught.subject, self.shown_new)

    @property
    def group(self) -> str:
        """Its row in the tables: "forgotten, active"."""
        return f"{self.role}, {self.half}" if self.half else str(self.role)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many facts of each role; controls are as many as are forgotten."""

    corrected: int = 30
    forgotten: int = 30
    others: int = 30

    @property
    def all(self) -> int:
        """Facts of one seed, controls included."""
        return self.corrected + 2 * self.forgotten + self.others


def cast(seed: int, counts: Counts) -> tuple[Part, ...]:
    """Everybody of one seed. Raises ValueError where the data files hold too few objects for it."""
    known = scenario(seed, counts.all, 1).taught
    draw = random.Random(f"revise:{seed}:{counts.all}")
    roles = [
        *((Role.CORRECTED, half) for half in _halves(counts.corrected)),
        *((Role.FORGOTTEN, half) for half in _halves(counts.forgotten)),
        *((Role.OTHER, half) for half in _halves(counts.others)),
        *((Role.CONTROL, Half.NEITHER) for _ in range(counts.forgotten)),
    ]
    draw.shuffle(roles)
    free = _free(known, draw)
    news: dict[int, str] = {}
    for index, (taught, (role, _)) in enumerate(zip(known, roles, strict=True)):
        if len(free[taught.relation.key]) <= MATCHED:
            raise ValueError(
                f"{len(known)} facts leave too few objects of {taught.relation.key!r} to compare them with"
            )
        if role is Role.CORRECTED:
            news[index] = free[taught.relation.key].pop()
    return tuple(
        Part(
            role=role,
            half=half,
            taught=taught,
            shown_new=news.get(index, ""),
            matched=tuple(draw.sample(free[taught.relation.key], MATCHED)),
        )
        for index, (taught, (role, half)) in enumerate(zip(known, roles, strict=True))
    )


def _halves(count: int) -> list[Half]:
    active = count // 2
    return [Half.ACTIVE] * active + [Half.CONSOLIDATED] * (count - active)


def _free(known: Sequence[Taught], draw: random.Random) -> dict[str, list[str]]:
    """By relation, the objects of which no fact was made, in random order."""
    used = {(t.relation.key, t.shown) for t in known}
    relations: dict[str, Relation] = {t.relation.key: t.relation for t in known}
    free = {key: [o for o in r.objects if (key, o) not in used] for key, r in relations.items()}
    for objects in free.values():
        draw.shuffle(objects)
    return free
