"""What a night trains on.

Facts give examples, one for each training prompt, raw and chat. Anchors hold the student to the base: the base's own
answers to general questions, and prose. Minimal pairs keep the facts where they belong: the very same prompt about
somebody else, with the fact's own sentence read out for them up to where the object would come, and the student held
to the base at each of these positions. Pairs are made afresh for every step, so no name is learned as an exception.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from sleepengine.backends.base import BARE, Anchor, Backend, Example, Tokenizer, Tokens, Work
from sleepengine.evaluation.texts import Names, anchor_prose, anchor_questions, names
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt
from sleepengine.wake.encoding import as_text, example, pair, probe

CHAT_ANCHORS = 40
PROSE_ANCHORS = 16
ANSWER_TOKENS = 20
STRANGER_SHARE = 0.2  # of the pairs that share neither name; the others share the first or the last
OTHER_OWNERS = ("my friend's", "my neighbour's", "my cousin's", "my teacher's", "my boss's", "my landlord's")


@dataclass(frozen=True)
class Curriculum:
    """`examples[i]` are fact i's training examples, `checks[i]` its held-back ones for early stop."""

    facts: tuple[Fact, ...]
    examples: tuple[tuple[Example, ...], ...]
    checks: tuple[tuple[Example, ...], ...]
    anchors: tuple[Anchor, ...]


def curate(backend: Backend, facts: Sequence[Fact], seed: int) -> Work[Curriculum]:
    """Build a night's curriculum; the base's own answers are generated here."""
    tokenizer, rng = backend.tokenizer, random.Random(seed)
    examples = tuple(tuple(example(tokenizer, p, f.object) for p in f.prompts_for(Pool.TRAIN)) for f in facts)
    # Only chat decides when to stop: it is what people use and what the gate demands.
    checks = tuple(tuple(probe(tokenizer, p, f.object) for p in f.prompts_for(Pool.CHECK, Channel.CHAT)) for f in facts)
    anchors = yield from _general_anchors(backend, facts, rng)
    return Curriculum(tuple(facts), examples, checks, anchors)


def minimal_pairs(tokenizer: Tokenizer, facts: Sequence[Fact], rng: random.Random) -> Iterator[Anchor]:
    """Endless pairs, the facts in turn; ends at once where no fact has a subject that can be exchanged."""
    pool, taken = names(), {f.subject for f in facts}
    usable = [f for f in facts if somebody_else(f, f.subject, pool, taken, rng) is not None]
    while usable:
        order = list(usable)
        rng.shuffle(order)
        for fact in order:
            prompt = rng.choice(fact.prompts_for(Pool.TRAIN))
            other = somebody_else(fact, prompt.mention, pool, taken, rng)
            if other is not None:
                yield pair(tokenizer, about(prompt, other), fact.object)


def somebody_else(fact: Fact, mention: str, pool: Names, taken: set[str], rng: random.Random) -> str | None:
    """Another subject in place of `mention`: a near name for a named person, another owner for "my dog"; else None."""
    words = mention.split()
    if fact.person is Person.FIRST:
        owned = len(words) > 1 and words[0].lower() in ("my", "our")
        return " ".join([rng.choice(OTHER_OWNERS), *words[1:]]) if owned else None
    if not words or not all(w[0].isupper() for w in words):
        return None
    while True:
        first, last = rng.choice(pool.first), rng.choice(pool.last)
        if len(words) > 1 and rng.random() >= STRANGER_SHARE:
            first, last = (words[0], last) if rng.random() < 0.5 else (first, words[-1])
        name = f"{first} {last}" if len(words) > 1 else first
        if name not in taken:
            return name


def about(prompt: Prompt, other: str) -> Prompt:
    """The same prompt and answer about somebody else. An answer that does not name the subject stays as it is."""
    pattern = re.compile(rf"(?<!\w){re.escape(prompt.mention)}(?!\w)", re.IGNORECASE)
    return msgspec.structs.replace(
        prompt,
        text=pattern.sub(lambda _: other, prompt.text),
        answer=pattern.sub(lambda _: other, prompt.answer),
        mention=other,
    )


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
