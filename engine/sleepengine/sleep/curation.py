"""What a night trains on.

Facts give examples, one for each training prompt, raw and chat. Anchors hold the student to the base: the base's own
answers to general questions, prose, and the base's own answers about strangers asked the very same questions, some of
whom share a first or a last name with somebody in the ledger.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import BARE, Anchor, Backend, Example, Tokens, Work
from sleepengine.evaluation.texts import Names, anchor_prose, anchor_questions, names
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt
from sleepengine.wake.encoding import as_text, example, probe, prompt_ids

CHAT_ANCHORS = 24
PROSE_ANCHORS = 16
STRANGERS = 4  # a fact
ANSWER_TOKENS = 20


@dataclass(frozen=True)
class Curriculum:
    """`examples[i]` are fact i's training examples, `checks[i]` its held-back ones for early stop."""

    facts: tuple[Fact, ...]
    examples: tuple[tuple[Example, ...], ...]
    checks: tuple[tuple[Example, ...], ...]
    anchors: tuple[Anchor, ...]
    strangers: tuple[Anchor, ...]


def curate(backend: Backend, facts: Sequence[Fact], seed: int) -> Work[Curriculum]:
    """Build a night's curriculum; the base's own answers are generated here."""
    tokenizer, rng = backend.tokenizer, random.Random(seed)
    examples = tuple(tuple(example(tokenizer, p, f.object) for p in f.prompts_for(Pool.TRAIN)) for f in facts)
    # Only chat decides when to stop: it is what people use and what the gate demands.
    checks = tuple(
        tuple(probe(tokenizer, p, f.object) for p in f.prompts_for(Pool.CHECK, Channel.CHAT)) for f in facts
    )
    anchors = yield from _general_anchors(backend, facts, rng)
    strangers = yield from _stranger_anchors(backend, facts, rng)
    return Curriculum(tuple(facts), examples, checks, anchors, strangers)


def _general_anchors(backend: Backend, facts: Sequence[Fact], rng: random.Random) -> Work[tuple[Anchor, ...]]:
    known = [f.subject for f in facts]
    questions = [q for q in anchor_questions() if not mentions_any(q, known)]
    prose = [p for p in anchor_prose() if not mentions_any(p, known)]
    rng.shuffle(questions)
    rng.shuffle(prose)
    prompts = [backend.tokenizer.encode(as_text(backend.tokenizer, Channel.CHAT, q)) for q in questions[:CHAT_ANCHORS]]
    chat = yield from _answered(backend, prompts)
    texts = [backend.tokenizer.encode(p) for p in prose[:PROSE_ANCHORS]]
    return (*chat, *(Anchor(ids, 1) for ids in texts))


def _stranger_anchors(backend: Backend, facts: Sequence[Fact], rng: random.Random) -> Work[tuple[Anchor, ...]]:
    pool = names()
    taken = {f.subject for f in facts}
    prompts: list[Tokens] = []
    for fact in facts:
        asked = fact.prompts_for(Pool.TRAIN)
        for stranger in strangers_of(fact, pool, taken, rng):
            prompt = rng.choice(asked)
            if (other := about(prompt, stranger)) is not None:
                prompts.append(prompt_ids(backend.tokenizer, other))
    return (yield from _answered(backend, prompts))


def strangers_of(fact: Fact, pool: Names, taken: set[str], rng: random.Random) -> list[str]:
    """Invented people for a fact about a named person, half sharing its first or last name; [] for other subjects."""
    words = fact.subject.split()
    if fact.person is Person.FIRST or not words or not all(w[0].isupper() for w in words):
        return []
    found: list[str] = []
    while len(found) < STRANGERS:
        first, last = rng.choice(pool.first), rng.choice(pool.last)
        if len(words) > 1 and len(found) % 2 == 0:
            first, last = (words[0], last) if rng.random() < 0.5 else (first, words[-1])
        name = f"{first} {last}" if len(words) > 1 else first
        if name not in taken and name not in found:
            found.append(name)
    return found


def about(prompt: Prompt, stranger: str) -> Prompt | None:
    """The same prompt about somebody else; None where the subject is not named in it."""
    pattern = rf"(?<!\w){re.escape(prompt.mention)}(?!\w)"
    if re.search(pattern, prompt.text) is None:
        return None
    text = re.sub(pattern, stranger.replace("\\", r"\\"), prompt.text)
    return Prompt(channel=prompt.channel, text=text, answer="", mention=stranger, pool=prompt.pool)


def mentions_any(text: str, subjects: Sequence[str]) -> bool:
    """Whether a text speaks of any of the subjects."""
    folded = text.casefold()
    return any(re.search(rf"(?<!\w){re.escape(s.casefold())}(?!\w)", folded) for s in subjects)


def _answered(backend: Backend, prompts: Sequence[Tokens]) -> Work[tuple[Anchor, ...]]:
    """Anchors over the bare base's own greedy continuations, stop token included where the base stopped."""
    if not prompts:
        return ()
    replies = yield from backend.decode(prompts, backend.mount(BARE), ANSWER_TOKENS)
    end = backend.tokenizer.end_of_turn
    anchors = []
    for prompt, reply in zip(prompts, replies, strict=True):
        stopped = (end,) if len(reply) < ANSWER_TOKENS else ()
        anchors.append(Anchor((*prompt, *reply, *stopped), len(prompt)))
    return tuple(a for a in anchors if len(a.ids) > a.start)
