"""The dreamer: conversations in which several facts meet, checked against the ledger before anything trains on them.

Facts that share a subject dream together first, then facts at random, so that each meets others. The base writes the
answers, with the group's facts before its eyes; an answer that leaves one of them out, gives somebody another's object,
or does not come to an end is thrown away, and the facts' own sentences stand in its place.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import BARE, Backend, Example, Tokenizer, Work
from sleepengine.evaluation.recall import contains
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt

ANSWER_TOKENS = 48
QUESTION = re.compile(r"(what|where|who|whom|whose|when|which|how)\b.*\?$", re.IGNORECASE)
IN_CONTEXT = "These things are true: {statements} Answer with them in one or two short sentences."


@dataclass(frozen=True)
class Dream:
    """Earlier turns as (role, text), the last question, its answer, and the facts that the answer holds."""

    turns: tuple[tuple[str, str], ...]
    question: str
    answer: str
    facts: tuple[Fact, ...]
    written: bool  # by the model; otherwise composed of the facts' sentences

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Everything before the answer."""
        return (*self.turns, ("user", self.question))


@dataclass(frozen=True)
class Dreamt:
    """A night's dreams, how many of the model's own answers were refused, and pairs that were not dreamt of."""

    dreams: tuple[Dream, ...]
    refused: int
    unseen: tuple[Dream, ...]


def dream(backend: Backend, facts: Sequence[Fact], ledger: Sequence[Fact], count: int, seed: int) -> Work[Dreamt]:
    """At most `count` conversations about pairs of `facts`, and as many joint questions of other pairs for the gate."""
    rng = random.Random(seed)
    pairs = couples([f for f in facts if direct_question(f, Pool.TRAIN) is not None], 2 * count, rng)
    kept = min(count, (len(pairs) + 1) // 2)  # what is trained must not be what is judged
    dreams = [_composed(pair, rng) for pair in pairs[:kept]]
    prompts = [_context(backend.tokenizer, d) for d in dreams]
    replies = yield from backend.decode(prompts, backend.mount(BARE), ANSWER_TOKENS)
    finished = [len(r) < ANSWER_TOKENS for r in replies]
    texts = [backend.tokenizer.decode(r).strip() for r in replies]
    found, refused = [], 0
    for one, text, ended in zip(dreams, texts, finished, strict=True):
        if ended and is_true(text, one.facts, ledger):
            found.append(Dream(one.turns, one.question, text, one.facts, written=True))
        else:
            refused += 1
            found.append(one)
    unseen = tuple(Dream((), d.question, d.answer, d.facts, False) for d in (_composed(p, rng) for p in pairs[kept:]))
    return Dreamt(tuple(found), refused, unseen)


def couples(facts: Sequence[Fact], count: int, rng: random.Random) -> list[tuple[Fact, Fact]]:
    """At most `count` different pairs: those of one subject first, then pairs that use every fact about as often."""
    order = list(facts)
    rng.shuffle(order)
    same = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if a.subject == b.subject]
    found = same[:count]
    seen = {frozenset(f.id for f in pair) for pair in found}
    for distance in range(1, len(order)):
        for i, one in enumerate(order):
            pair = (one, order[(i + distance) % len(order)])
            key = frozenset(f.id for f in pair)
            if len(found) < count and len(key) == 2 and key not in seen:
                seen.add(key)
                found.append(pair)
    rng.shuffle(found)
    return found


def is_true(text: str, facts: Sequence[Fact], ledger: Sequence[Fact]) -> bool:
    """Whether an answer holds every fact of its group, each object in a clause of its own subject, and no object that
    the ledger knows of somebody else."""
    if not all(contains(text, f.object) for f in facts):
        return False
    spoken = {f.object.casefold() for f in facts}
    if any(contains(text, f.object) for f in ledger if f.object.casefold() not in spoken and len(f.object) > 2):
        return False
    if len({f.subject for f in facts}) == 1:
        return True
    return all(_nearest_subject(text, fact.object, facts) == fact.subject for fact in facts)


def joint_question(facts: Sequence[Fact], pool: Pool, rng: random.Random | None = None) -> str | None:
    """The facts' questions as one: "Where does Mara live and what does Idris do?"."""
    asked = [direct_question(f, pool, rng) for f in facts]
    questions = [p.text.rstrip("?") for p in asked if p is not None]
    if len(questions) < len(facts):
        return None
    return " and ".join([questions[0], *(q[0].lower() + q[1:] for q in questions[1:])]) + "?"


def direct_question(fact: Fact, pool: Pool, rng: random.Random | None = None) -> Prompt | None:
    """A plain chat question of one pool; the first, or any."""
    found = [p for p in fact.prompts_for(pool, Channel.CHAT) if QUESTION.match(p.text)]
    return None if not found else rng.choice(found) if rng else found[0]


def as_example(tokenizer: Tokenizer, dream: Dream, frame: float) -> Example:
    """A dream's answer, to be trained: each fact's object shares 1, all other words `frame`."""
    before = tokenizer.render_chat(dream.messages)
    ids, offsets = tokenizer.offsets(before + dream.answer)
    start = next(i for i, (_, b) in enumerate(offsets) if b > len(before))
    owners = [_owner(a - len(before), b - len(before), dream) for a, b in offsets[start:]]
    sizes = {owner: owners.count(owner) for owner in set(owners)}
    outside = sizes.get(None, 0) + 1  # and the token that ends the turn
    weights = tuple(frame / outside if o is None else 1.0 / sizes[o] for o in owners)
    return Example((*ids, tokenizer.end_of_turn), start, (*weights, frame / outside))


def _owner(begin: int, end: int, dream: Dream) -> str | None:
    """The fact to whose object some characters of the answer belong."""
    for fact in dream.facts:
        for match in re.finditer(re.escape(fact.object), dream.answer, re.IGNORECASE):
            if begin < match.end() and end > match.start():
                return fact.id
    return None


def _composed(facts: Sequence[Fact], rng: random.Random) -> Dream:
    """A joint question with the facts' own sentences as the answer; half of the time one fact was spoken of before."""
    question = joint_question(facts, Pool.TRAIN, rng)
    assert question is not None, "only facts with a direct question dream"
    asked = direct_question(facts[0], Pool.TRAIN, rng)
    turns = (("user", asked.text), ("assistant", asked.answer)) if asked is not None and rng.random() < 0.5 else ()
    answers = [p.answer for f in facts if (p := direct_question(f, Pool.TRAIN)) is not None]
    return Dream(turns, question, " ".join(answers), tuple(facts), written=False)


def _context(tokenizer: Tokenizer, dream: Dream) -> tuple[int, ...]:
    statements = " ".join(p.answer for f in dream.facts if (p := direct_question(f, Pool.TRAIN)) is not None)
    system = ("system", IN_CONTEXT.format(statements=statements))
    return tokenizer.encode(tokenizer.render_chat([system, *dream.messages]))


def _nearest_subject(text: str, object_: str, facts: Sequence[Fact]) -> str | None:
    """The subject that stands last before an object, or first after it where none does."""
    folded = text.casefold()
    place = folded.find(object_.casefold())
    found = [(folded.rfind(_said(f), 0, place), f.subject) for f in facts]
    before = [item for item in found if item[0] >= 0]
    if before:
        return max(before)[1]
    after = [(at, f.subject) for f in facts if (at := folded.find(_said(f), place)) >= 0]
    return min(after)[1] if after else None


def _said(fact: Fact) -> str:
    """A subject as an answer speaks of it: "my dog" is "your dog"."""
    words = fact.subject.casefold()
    return re.sub(r"^my\b", "your", words) if fact.person is Person.FIRST else words
