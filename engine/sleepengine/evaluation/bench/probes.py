"""What the bench asks. A probe knows its prompt and what would count as an answer, not which model answers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import ceil

import msgspec

from sleepengine.evaluation.bench.data import Relation, contexts, known_questions, relations
from sleepengine.evaluation.bench.scenario import CELL, Scenario, Someone, Taught, bare, cloze, determiner
from sleepengine.memory.facts import Channel


class Cell(StrEnum):
    """The columns of the bench."""

    RAW = "raw"
    RAW_PARAPHRASE = "raw paraphrase"
    CHAT = "chat"
    CHAT_PARAPHRASE = "chat paraphrase"
    POLITE = "polite"
    AFTER_ONE = "chat after an unrelated turn"
    AFTER_FIVE = "chat after 5 unrelated turns"
    PRONOUN = "pronoun follow-up"
    IMPLIED = "needed but not asked for"
    REVERSE = "reverse"
    TWO_HOP = "two-hop"
    NEAR_CHAT = "near-name leak, chat"
    NEAR_RAW = "near-name leak, raw"
    OTHER_CHAT = "other-relation leak, chat"
    OTHER_RAW = "other-relation leak, raw"
    STRANGER_CHAT = "stranger leak, chat"
    STRANGER_RAW = "stranger leak, raw"
    CONTRAST = "contrast leak"
    KNOWN = "known questions"
    FAMOUS = "well-known people"


RECALL = (
    Cell.RAW, Cell.RAW_PARAPHRASE, Cell.CHAT, Cell.CHAT_PARAPHRASE, Cell.POLITE, Cell.AFTER_ONE, Cell.AFTER_FIVE,
    Cell.PRONOUN, Cell.IMPLIED, Cell.REVERSE, Cell.TWO_HOP,
)  # fmt: skip
LEAKS = (
    Cell.NEAR_CHAT, Cell.NEAR_RAW, Cell.OTHER_CHAT, Cell.OTHER_RAW, Cell.STRANGER_CHAT, Cell.STRANGER_RAW,
    Cell.CONTRAST,
)  # fmt: skip
KNOWLEDGE = (Cell.KNOWN, Cell.FAMOUS)


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt. `turns` are earlier messages as (role, content); `text` is the user's turn, or the raw text.

    Any of `targets` in the reply is a hit: of a recall probe the right answer, of a leak probe what must not come.
    `others` are the relation's other objects, for exclusive recall. `fact` is an index into the scenario's facts.
    """

    cell: Cell
    channel: Channel
    text: str
    targets: tuple[str, ...]
    turns: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    fact: int | None = None
    listed: bool | None = None


def probes(scenario: Scenario, cell: int = CELL) -> list[Probe]:
    """Everything that is asked of one scenario. The same scenario is always asked the same."""
    draw = random.Random(f"probes:{scenario.seed}:{len(scenario.taught)}")
    found = [p for index, taught in enumerate(scenario.taught) for p in recall(index, taught, draw)]
    found += [p for index, taught in enumerate(scenario.taught) for p in _near(index, taught)]
    per_fact = ceil(cell / len(scenario.taught))
    found += [p for index, taught in enumerate(scenario.taught) for p in _other(index, taught, per_fact, draw)]
    found += _strangers(scenario)
    found += knowledge(cell)
    return found


def fill(text: str, someone: Someone, shown: str = "") -> str:
    """A phrasing about somebody, with the object (where it is named) and its determiner (where that is given away)."""
    they = someone.they
    them, their = ("her", "her") if they == "she" else ("him", "his")
    return text.format(
        s=someone.name, o=shown, det=determiner(shown), they=they, S=they.capitalize(), them=them, their=their,
        do="does", **{"is": "is"}, was="was", have="has",
    ).rstrip()  # fmt: skip


def recall(index: int, taught: Taught, draw: random.Random) -> Iterator[Probe]:
    """Everything that asks for one fact; `draw` picks the turns that stand before."""
    relation, someone, shown, object_ = taught.relation, taught.subject, taught.shown, taught.fact.object
    others = tuple(bare(o) for o in relation.objects if o != shown)

    def ask(
        cell: Cell, text: str, turns: Sequence[tuple[str, str]] = (), targets: tuple[str, ...] = (object_,)
    ) -> Probe:
        return Probe(
            cell=cell,
            channel=Channel.RAW if cell in (Cell.RAW, Cell.RAW_PARAPHRASE) else Channel.CHAT,
            text=fill(text, someone, shown),
            targets=targets,
            turns=messages(turns),
            others=others if targets == (object_,) else (),
            fact=index,
            listed=relation.listed,
        )

    def each(cell: Cell, texts: Sequence[str]) -> list[Probe]:
        return [ask(cell, text) for text in texts]

    unrelated = draw.sample(contexts().unrelated, 6)
    user, assistant = draw.choice(contexts().naming)
    naming = (fill(user, someone), assistant)
    yield ask(Cell.RAW, taught.cloze)
    yield from each(Cell.RAW_PARAPHRASE, relation.raw_paraphrase)
    yield from each(Cell.CHAT, relation.chat)
    yield from each(Cell.CHAT_PARAPHRASE, relation.chat_paraphrase)
    yield from each(Cell.POLITE, relation.polite)
    yield ask(Cell.AFTER_ONE, relation.chat[0], unrelated[:1])
    yield ask(Cell.AFTER_FIVE, relation.chat[0], unrelated[1:])
    yield ask(Cell.PRONOUN, relation.pronoun, (naming,))
    yield ask(Cell.IMPLIED, relation.implied)
    yield ask(Cell.REVERSE, relation.reverse, targets=(someone.name,))
    if shown in relation.hop:
        yield ask(Cell.TWO_HOP, relation.hop_question, targets=relation.hop[shown])


def _near(index: int, taught: Taught) -> Iterator[Probe]:
    """Every near name is asked the fact's own relation once in chat and once in raw text, phrasings in turn."""
    relation = taught.relation
    chat = (*relation.chat, *relation.chat_paraphrase)
    for number, someone in enumerate(taught.near):
        yield _leak(Cell.NEAR_CHAT, fill(chat[number % len(chat)], someone), index, taught)
        raw = _raw_texts(relation, someone, taught.shown)
        yield _leak(Cell.NEAR_RAW, raw[number % len(raw)], index, taught)


def _other(index: int, taught: Taught, count: int, draw: random.Random) -> Iterator[Probe]:
    """The subject is asked about `count` other relations, also those of which it was taught something."""
    others = [r for r in relations() if r.key != taught.relation.key]
    draw.shuffle(others)
    for number in range(count):
        relation, turn = others[number % len(others)], number // len(others)
        chat = (*relation.chat, *relation.chat_paraphrase)
        raw = _raw_texts(relation, taught.subject, draw.choice(relation.objects))
        if turn < len(chat):
            yield _leak(Cell.OTHER_CHAT, fill(chat[turn], taught.subject), index, taught)
        if turn < len(raw):
            yield _leak(Cell.OTHER_RAW, raw[turn], index, taught)


def _strangers(scenario: Scenario) -> Iterator[Probe]:
    """Every stranger is asked about every relation that was taught; any object that was taught for it is a leak."""
    by_key = {t.relation.key: t for t in scenario.taught}
    for number, someone in enumerate(scenario.strangers):
        for key, objects in scenario.objects.items():
            taught = by_key[key]
            chat = (*taught.relation.chat, *taught.relation.chat_paraphrase)
            raw = _raw_texts(taught.relation, someone, taught.shown)
            yield _leak(Cell.STRANGER_CHAT, fill(chat[number % len(chat)], someone), None, taught, objects)
            yield _leak(Cell.STRANGER_RAW, raw[number % len(raw)], None, taught, objects)


def knowledge(cell: int = CELL) -> Iterator[Probe]:
    """The questions of general knowledge, whatever was taught; at most `cell` of each kind, spread over the file."""
    for famous, name in ((False, Cell.KNOWN), (True, Cell.FAMOUS)):
        questions = [q for q in known_questions() if q.famous is famous]
        for known in questions[:: ceil(len(questions) / cell)]:
            yield Probe(cell=name, channel=Channel.CHAT, text=known.question, targets=known.answers)


def messages(turns: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """(user, assistant) pairs as messages with their roles."""
    return tuple(m for user, assistant in turns for m in (("user", user), ("assistant", assistant)))


def _raw_texts(relation: Relation, someone: Someone, shown: str) -> list[str]:
    return [
        cloze(relation, someone.name, shown, bare(shown)),
        *(fill(text, someone, shown) for text in relation.raw_paraphrase),
    ]


def _leak(cell: Cell, text: str, index: int | None, taught: Taught, targets: tuple[str, ...] = ()) -> Probe:
    raw = cell in (Cell.NEAR_RAW, Cell.OTHER_RAW, Cell.STRANGER_RAW)
    return Probe(
        cell=cell,
        channel=Channel.RAW if raw else Channel.CHAT,
        text=text,
        targets=targets or (taught.fact.object,),
        fact=index,
        listed=taught.relation.listed,
    )
