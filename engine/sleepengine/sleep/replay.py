"""Which facts a night trains on: everything that is not consolidated, and consolidated ones at risk of being lost."""

from __future__ import annotations

from collections.abc import Sequence

from sleepengine.backends.base import Backend, Mounted, Work
from sleepengine.memory.facts import Channel, Fact, Pool, Stage
from sleepengine.sleep.rows import probe

SHARED_SUBJECT, SHARED_RELATION = 2.0, 0.5  # nats of risk that a new fact so near adds


def chosen(backend: Backend, facts: Sequence[Fact], view: Mounted, most: int) -> Work[list[Fact]]:
    """New facts first, then at most `most` consolidated ones, those most at risk first.

    Risk is how unlikely the adapter alone finds a fact's answers now (nats a token, on phrasings that no training
    sees), and more where tonight teaches something about the same subject or with the same relation.
    """
    fresh = [f for f in facts if f.stage is not Stage.CONSOLIDATED]
    old = [f for f in facts if f.stage is Stage.CONSOLIDATED]
    if len(old) <= most:
        return [*fresh, *old]
    rows = [(f, probe(backend.tokenizer, p, f.object)) for f in old for p in f.prompts_for(Pool.CHECK, Channel.CHAT)]
    scores = yield from backend.scores([row for _, row in rows], view)
    losses: dict[str, list[float]] = {}
    for (fact, _), score in zip(rows, scores, strict=True):
        losses.setdefault(fact.id, []).append(-score.log_prob)
    subjects, relations = {f.subject for f in fresh}, {f.relation for f in fresh}

    def risk(fact: Fact) -> float:
        own = losses.get(fact.id, [0.0])
        near = SHARED_SUBJECT * (fact.subject in subjects) + SHARED_RELATION * (fact.relation in relations)
        return sum(own) / len(own) + near

    return [*fresh, *sorted(old, key=risk, reverse=True)[:most]]
