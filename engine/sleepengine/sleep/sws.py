"""Slow-wave sleep: breadth-first LoRA training on every fact, held to the base by KL (paper section 3.3, corrected).

Each step takes examples of as many facts as it holds, then anchors and minimal pairs, in micro-batches that are work
items of their own. Once every fact's held-back prompts are right when read under the adapter alone, or at the last step
allowed, the learning rate falls to zero: the anchors then heal what a high rate disturbs.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sleepengine.backends.base import Anchor, Backend, Example, Trainer
from sleepengine.sleep.curation import Curriculum, minimal_pairs

T = TypeVar("T")


@dataclass(frozen=True)
class SwsSettings:
    """`batch_size` examples a step, with `anchors` and minimal `pairs` held to the base beside them."""

    learning_rate: float
    max_steps: int
    batch_size: int
    anchors: int
    pairs: int
    anchor_weight: float
    warmup: int
    cooldown: int
    check_every: int
    patience: int  # checks that every fact must pass in a row


@dataclass(frozen=True)
class Tick:
    """How far the training is, for progress; sent after each step."""

    step: int
    total: int
    loss: float
    recalled: float  # share of facts whose held-back prompts were right at the last check


@dataclass(frozen=True)
class Trained:
    """What training took."""

    steps: int
    tokens: int
    loss: float
    recalled: float


def train(
    backend: Backend, trainer: Trainer, curriculum: Curriculum, settings: SwsSettings, seed: int
) -> Generator[Tick | None, None, Trained]:
    """Train until every fact is recalled, then cool down. Yields None after a micro-batch, a Tick after a step."""
    rng = random.Random(seed)
    examples = breadth_first(curriculum.examples, rng)
    anchors = endless(curriculum.anchors, rng)
    pairs = minimal_pairs(backend.tokenizer, curriculum.facts, rng)
    tokens, loss, recalled, streak, step, end = 0, 0.0, 0.0, 0, 0, settings.max_steps
    while step < end:
        batch: list[Example] = [next(examples) for _ in range(settings.batch_size)]
        held: list[Anchor] = [*islice(anchors, settings.anchors), *islice(pairs, settings.pairs)]
        weight = sum(w for e in batch for w in e.weights)
        loss = (yield from trainer.accumulate(batch, 1.0 / weight)) / weight
        if held:
            predicted = sum(len(a.ids) - a.start for a in held)
            yield from trainer.accumulate_anchors(held, settings.anchor_weight / predicted)
        tokens += sum(len(e.ids) for e in batch) + sum(len(a.ids) for a in held)
        trainer.step(rate(step, end, settings))
        step += 1
        if step % settings.check_every == 0 and step < end - settings.cooldown:
            recalled = yield from checked(backend, trainer, curriculum)
            streak = streak + 1 if recalled == 1.0 else 0
            if streak >= settings.patience:
                end = step + settings.cooldown
        yield Tick(step, end, loss, recalled)
    recalled = yield from checked(backend, trainer, curriculum)
    return Trained(step, tokens, loss, recalled)


def checked(backend: Backend, trainer: Trainer, curriculum: Curriculum) -> Generator[None, None, float]:
    """Share of facts all of whose held-back prompts are right, read under the adapter alone."""
    flat = [e for checks in curriculum.checks for e in checks]
    owner = [i for i, checks in enumerate(curriculum.checks) for _ in checks]
    scores = yield from backend.scores(flat, trainer.view)
    missed = {o for o, score in zip(owner, scores, strict=True) if not score.argmax}
    return 1.0 - len(missed) / len(curriculum.checks)


def rate(step: int, end: int, settings: SwsSettings) -> float:
    """Linear warm-up, a plateau, and a linear fall to zero over the last `cooldown` steps before `end`."""
    rising = (step + 1) / settings.warmup
    falling = (end - step) / (settings.cooldown + 1)
    return settings.learning_rate * min(1.0, rising, falling)


def breadth_first(examples: Sequence[Sequence[Example]], rng: random.Random) -> Iterator[Example]:
    """Endless: each round takes one example of every fact, in a fresh order, its phrasings in turn."""
    queues = [endless(own, rng) for own in examples if own]
    while True:
        order = list(queues)
        rng.shuffle(order)
        for queue in order:
            yield next(queue)


def endless(items: Sequence[T], rng: random.Random) -> Iterator[T]:
    """The items in a fresh random order again and again; ends at once where there are none."""
    while items:
        order = list(items)
        rng.shuffle(order)
        yield from order
