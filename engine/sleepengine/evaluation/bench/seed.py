"""One seed of one arm: learn, ask, measure what else changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean, median

import msgspec

from sleepengine.backends.base import BARE, Backend, Mounted, Work
from sleepengine.evaluation.bench.asking import Limits, Reply, ask, prompt
from sleepengine.evaluation.bench.conditions import Condition, Cost
from sleepengine.evaluation.bench.probes import Cell
from sleepengine.evaluation.bench.scoring import Estimate, metrics
from sleepengine.evaluation.bench.speed import decode_speeds
from sleepengine.evaluation.bench.tasks import BYSTANDERS, Task
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.texts import report_text
from sleepengine.memory.facts import Verified


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What is no share. Perplexities are of the report text without notes, `kl_*` are nats a token."""

    perplexity_base: float
    perplexity: float
    perplexity_change: float  # relative
    kl_biographies: float  # of people with similar names; in the user's set, of strangers
    kl_other_questions: float  # the base's own replies to other questions about the subjects
    seconds_per_fact: float
    seconds_median: float
    bytes_per_fact: float
    steps_per_fact: float
    verified_raw: float  # share that the editor itself found verified
    verified_chat: float
    decode_base: float  # tokens a second of one conversation
    decode: float
    decode_cost: float  # share of the base's speed that is lost


class LearntFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the seed and what its editor said of it."""

    statement: str
    relation: str
    listed: bool | None
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
    task: Task,
    before: Sequence[str],
    limits: Limits,
    announce: Callable[[str], None],
) -> Work[SeedResult]:
    """Everything that the bench measures of one condition on one task. `before` are the base's replies."""
    asked = task.probes
    announce(f"learning {len(task.taught)} facts")
    prepared = yield from condition.prepare(task.facts)
    announce(f"asking {len(asked)} prompts")
    replies = yield from ask(backend, asked, prepared, before, limits)
    announce("measuring perplexity and divergence")
    numbers = yield from _numbers(backend, prepared.view, prepared.cost, task, replies, prepared.verified, announce)
    return SeedResult(
        seed=task.seed,
        facts=tuple(
            LearntFact(
                statement=fact.statement,
                relation=fact.relation,
                listed=listed,
                verified=prepared.verified.get(fact.id, Verified()),
            )
            for fact, listed in task.taught
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
    task: Task,
    replies: Sequence[Reply],
    verified: dict[str, Verified],
    announce: Callable[[str], None],
) -> Work[Numbers]:
    base = yield from perplexity(backend, report_text(), backend.mount(BARE))
    now = yield from perplexity(backend, report_text(), view)
    biographies = yield from _biographies(backend, view, task.biographies)
    others = yield from _other_questions(backend, view, task.seed, replies)
    announce("measuring the speed of decoding")
    base_speed, speed = yield from decode_speeds(backend, (backend.mount(BARE), view))
    facts = len(task.taught)
    return Numbers(
        perplexity_base=base.value,
        perplexity=now.value,
        perplexity_change=now.value / base.value - 1.0,
        kl_biographies=biographies,
        kl_other_questions=others,
        seconds_per_fact=fmean(cost.seconds),
        seconds_median=median(cost.seconds),
        bytes_per_fact=cost.bytes,
        steps_per_fact=cost.steps,
        verified_raw=sum(v.raw for v in verified.values()) / facts,
        verified_chat=sum(v.chat for v in verified.values()) / facts,
        decode_base=base_speed,
        decode=speed,
        decode_cost=1.0 - speed / base_speed if base_speed else 0.0,
    )


def _biographies(backend: Backend, view: Mounted, texts: Sequence[str]) -> Work[float]:
    """Mean KL(base || view) over all predictions in the texts."""
    total, tokens = 0.0, 0
    for text in texts:
        ids = backend.tokenizer.encode(text)
        total += backend.divergence(ids, 1, view) * (len(ids) - 1)
        tokens += len(ids) - 1
        yield
    return total / tokens


def _other_questions(backend: Backend, view: Mounted, seed: int, replies: Sequence[Reply]) -> Work[float]:
    """Mean KL(base || view) over the base's own replies to questions near to the facts that ask for something else."""
    others = [r for r in replies if r.probe.cell in (Cell.OTHER_CHAT, Cell.CONTRAST) and r.base]
    chosen = random.Random(f"others:{seed}").sample(others, min(BYSTANDERS, len(others)))
    total, tokens = 0.0, 0
    for reply in chosen:
        before = prompt(backend.tokenizer, reply.probe)
        start, ids = len(backend.tokenizer.encode(before)), backend.tokenizer.encode(before + reply.base)
        if len(ids) > start:
            total += backend.divergence(ids, start, view) * (len(ids) - start)
            tokens += len(ids) - start
        yield
    return total / tokens if tokens else 0.0
