"""Recall by greedy generation: a prompt is answered if the object stands in the reply as whole words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import Backend, Mounted, Work
from sleepengine.memory.facts import Channel, Fact, Pool, Prompt, Verified
from sleepengine.wake.encoding import prompt_ids

RAW_TOKENS = 8  # more than any object needs; rambling costs time
CHAT_TOKENS = 24
PASS_SHARE = 0.5


@dataclass(frozen=True)
class Answer:
    """What the model said to one prompt of a fact, and whether it holds the object."""

    fact: Fact
    prompt: Prompt
    reply: str
    right: bool


def contains(reply: str, object_: str) -> bool:
    """Whether `object_` occurs in `reply` on word boundaries, whatever the case and the spacing."""
    return _found(_plain(reply), object_) is not None


def locate(reply: str, object_: str) -> tuple[int, int] | None:
    """Where `object_` occurs in `reply` as it stands, as a half-open range of characters; None where it does not."""
    found = _found(reply, object_)
    return None if found is None else found.span()


def _found(text: str, object_: str) -> re.Match[str] | None:
    words = re.escape(_plain(object_)).replace(r"\ ", r"\s+")
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("’", "'")


def ask(
    backend: Backend, facts: Sequence[Fact], pool: Pool, view: Mounted, chat_tokens: int = CHAT_TOKENS
) -> Work[list[Answer]]:
    """All prompts of one pool of all facts, each answered greedily from an empty context."""
    asked = [(f, p) for f in facts for p in f.prompts_for(pool)]
    answers: dict[int, Answer] = {}
    for ch, limit in ((Channel.RAW, RAW_TOKENS), (Channel.CHAT, chat_tokens)):
        here = [i for i, (_, p) in enumerate(asked) if p.channel is ch]
        if not here:
            continue
        ids = [prompt_ids(backend.tokenizer, asked[i][1]) for i in here]
        replies = yield from backend.decode(ids, view, limit)
        for i, tokens in zip(here, replies, strict=True):
            fact, prompt = asked[i]
            reply = backend.tokenizer.decode(tokens)
            answers[i] = Answer(fact, prompt, reply, contains(reply, fact.object))
    return [answers[i] for i in range(len(asked))]


def share(answers: Sequence[Answer], channel: Channel) -> float:
    """The share of right answers through one channel; 0 where nothing was asked."""
    here = [a.right for a in answers if a.prompt.channel is channel]
    return sum(here) / len(here) if here else 0.0


def verdicts(answers: Sequence[Answer], threshold: float = PASS_SHARE) -> dict[str, Verified]:
    """By fact id: whether at least `threshold` of its prompts were answered, in each channel."""
    found: dict[str, Verified] = {}
    for fact_id in {a.fact.id for a in answers}:
        own = [a for a in answers if a.fact.id == fact_id]
        found[fact_id] = Verified(raw=share(own, Channel.RAW) >= threshold, chat=share(own, Channel.CHAT) >= threshold)
    return found
