"""One seed of one arm: make facts, ask the base, learn, ask again, measure what else changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec

from sleepengine.backends.base import BARE, Backend, Mounted, Work
from sleepengine.evaluation.bench.asking import Limits, Reply, ask, ask_base, prompt
from sleepengine.evaluation.bench.conditions import Condition, Cost
from sleepengine.evaluation.bench.data import contexts
from sleepengine.evaluation.bench.probes import Cell, fill, probes
from sleepengine.evaluation.bench.scenario import CELL, Scenario, scenario
from sleepengine.evaluation.bench.scoring import Estimate, metrics
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.texts import report_text
from sleepengine.memory.facts import Verified

DIVERGENCE_TEXTS = 48  # sequences of each kind on which the distance to the base is measured


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What is no share. Perplexities are of the report text without notes, `kl_*` are nats a token."""

    perplexity_base: float
    perplexity: float
    perplexity_change: float  # relative
    kl_biographies: float  # of people with similar names
    kl_other_questions: float  # the base's own replies to other questions about the subjects
    seconds_per_fact: float
    bytes_per_fact: float
    steps_per_fact: float
    verified_raw: float  # share that the editor itself found verified
    verified_chat: float


class LearntFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the seed and what its editor said of it."""

    statement: str
    relation: str
    listed: bool
    verified: Verified


class SeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """All of one seed. `listed` and `unlisted` are the same metrics for half of the relations each."""

    seed: int
    facts: tuple[LearntFact, ...]
    all: dict[str, Estimate]
    listed: dict[str, Estimate]
    unlisted: dict[str, Estimate]
    numbers: Numbers
    prompts: tuple[Reply, ...]


def run_seed(
    backend: Backend,
    condition: Condition,
    seed: int,
    count: int,
    limits: Limits,
    announce: Callable[[str], None],
    cell: int = CELL,
) -> Work[SeedResult]:
    """Everything that the bench measures of one condition on one seed's facts."""
    known = scenario(seed, count, cell)
    asked = probes(known, cell)
    announce(f"asking the base {len(asked)} prompts")
    before = yield from ask_base(backend, asked, limits)
    announce(f"learning {count} facts")
    prepared = yield from condition.prepare(known.facts)
    announce(f"asking {len(asked)} prompts")
    replies = yield from ask(backend, asked, prepared, before, limits)
    announce("measuring perplexity and divergence")
    numbers = yield from _numbers(backend, prepared.view, prepared.cost, known, replies, prepared.verified)
    return SeedResult(
        seed=seed,
        facts=tuple(
            LearntFact(
                statement=t.fact.statement,
                relation=t.relation.key,
                listed=t.relation.listed,
                verified=prepared.verified.get(t.fact.id, Verified()),
            )
            for t in known.taught
        ),
        all=metrics(replies),
        listed=metrics([r for r in replies if r.probe.listed is True]),
        unlisted=metrics([r for r in replies if r.probe.listed is False]),
        numbers=numbers,
        prompts=tuple(replies),
    )


def _numbers(
    backend: Backend,
    view: Mounted,
    cost: Cost,
    known: Scenario,
    replies: Sequence[Reply],
    verified: dict[str, Verified],
) -> Work[Numbers]:
    base = yield from perplexity(backend, report_text(), backend.mount(BARE))
    now = yield from perplexity(backend, report_text(), view)
    biographies = yield from _biographies(backend, view, known)
    others = yield from _other_questions(backend, view, known, replies)
    facts = len(known.taught)
    return Numbers(
        perplexity_base=base.value,
        perplexity=now.value,
        perplexity_change=now.value / base.value - 1.0,
        kl_biographies=biographies,
        kl_other_questions=others,
        seconds_per_fact=cost.seconds,
        bytes_per_fact=cost.bytes,
        steps_per_fact=cost.steps,
        verified_raw=sum(v.raw for v in verified.values()) / facts,
        verified_chat=sum(v.chat for v in verified.values()) / facts,
    )


def _biographies(backend: Backend, view: Mounted, known: Scenario) -> Work[float]:
    """Mean KL(base || view) over biographies of people whose names are near to taught ones."""
    draw = random.Random(f"biographies:{known.seed}")
    near = [someone for taught in known.taught for someone in taught.near]
    chosen = draw.sample(near, min(DIVERGENCE_TEXTS, len(near)))
    texts = [fill(draw.choice(contexts().biographies), someone) for someone in chosen]
    total, tokens = 0.0, 0
    for text in texts:
        ids = backend.tokenizer.encode(text)
        total += backend.divergence(ids, 1, view) * (len(ids) - 1)
        tokens += len(ids) - 1
        yield
    return total / tokens


def _other_questions(backend: Backend, view: Mounted, known: Scenario, replies: Sequence[Reply]) -> Work[float]:
    """Mean KL(base || view) over the base's own replies to questions about the subjects' other relations."""
    others = [r for r in replies if r.probe.cell is Cell.OTHER_CHAT and r.base]
    chosen = random.Random(f"others:{known.seed}").sample(others, min(DIVERGENCE_TEXTS, len(others)))
    total, tokens = 0.0, 0
    for reply in chosen:
        before = prompt(backend.tokenizer, reply.probe)
        start, ids = len(backend.tokenizer.encode(before)), backend.tokenizer.encode(before + reply.base)
        if len(ids) > start:
            total += backend.divergence(ids, start, view) * (len(ids) - start)
            tokens += len(ids) - start
        yield
    return total / tokens if tokens else 0.0
