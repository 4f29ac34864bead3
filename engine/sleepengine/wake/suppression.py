"""Keeping a fact from coming out that an adapter knows and that no longer holds.

A suppressing edit is made like any other, towards another answer: the bare base model's own reply to each of the fact's
prompts. It stands in the view until a sleep has trained an adapter that does not know the fact.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sleepengine.backends.base import Backend, ViewTensors, Work
from sleepengine.evaluation.recall import Answer
from sleepengine.memory.facts import Channel, Fact, Pool, Prompt, Verified
from sleepengine.wake.encoding import prompt_ids

REPLY_TOKENS = 8
"""Of the base's reply: where the answer would begin, and a little beyond."""
_NOTHING = " ..."  # where the base says nothing at all


def as_the_base_answers(backend: Backend, facts: Sequence[Fact]) -> Work[list[Fact]]:
    """The facts as an editor shall teach them: no object, and the base's own replies as the answers to train on."""
    base = backend.mount(ViewTensors(None))
    found = []
    for fact in facts:
        prompts = fact.prompts_for(Pool.TRAIN)
        replies = yield from backend.decode([prompt_ids(backend.tokenizer, p) for p in prompts], base, REPLY_TOKENS)
        taught = [_answered(p, backend.tokenizer.decode(tokens)) for p, tokens in zip(prompts, replies, strict=True)]
        others = [p for p in fact.prompts if p.pool is not Pool.TRAIN]
        found.append(msgspec.structs.replace(fact, object="", prompts=(*taught, *others)))
    return found


def silences(answers: Sequence[Answer]) -> dict[str, Verified]:
    """By fact id: whether no prompt brought the object out, in each channel."""
    found: dict[str, Verified] = {}
    for fact_id in {a.fact.id for a in answers}:
        told = {a.prompt.channel for a in answers if a.fact.id == fact_id and a.right}
        found[fact_id] = Verified(raw=Channel.RAW not in told, chat=Channel.CHAT not in told)
    return found


def _answered(prompt: Prompt, reply: str) -> Prompt:
    return msgspec.structs.replace(prompt, answer=reply if reply.strip() else _NOTHING)
