"""Slow-wave sleep: breadth-first LoRA training on every fact, held to the base (paper section 3.3, corrected).

Each step takes rows of as many facts as it holds, minimal pairs, other relations of the same subjects, and general
anchors. Now and then the student is checked on phrasings held back from training and searched for leaks by generation;
what leaks is trained next. Once everything is recalled and nothing leaks, the learning rate falls early.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from sleepengine.backends.base import Backend, Row, Trainer, Work
from sleepengine.memory.facts import Channel
from sleepengine.sleep.contrasts import Contrasts
from sleepengine.sleep.curation import Curriculum
from sleepengine.sleep.settings import SleepSettings, StepRows
from sleepengine.sleep.training import Batch, Checked, Held, Schedule, Tick, Trained, train
from sleepengine.wake.encoding import prompt_ids

T = TypeVar("T")

MINED_TOKENS = 16  # of a reply that is searched for a leak


def sws(
    backend: Backend, trainer: Trainer, curriculum: Curriculum, contrasts: Contrasts, settings: SleepSettings
) -> Generator[Tick | None, None, Trained]:
    """Train on the whole curriculum."""
    rows = settings.rows
    total = settings.planned_steps(len(curriculum.facts))
    schedule = Schedule(
        settings.learning_rate, total, round(settings.warmup * total), max(1, round(settings.cooldown * total))
    )
    return (
        yield from train(
            trainer,
            batches(curriculum, contrasts, rows, settings),
            schedule,
            check=lambda: checked(backend, trainer, curriculum, contrasts, settings.mine_rows),
            check_every=max(1, round(settings.check_every * total)),
            patience=settings.patience if settings.early_stop else 0,
        )
    )


def batches(curriculum: Curriculum, contrasts: Contrasts, rows: StepRows, settings: SleepSettings) -> Iterator[Batch]:
    """Endless steps."""
    rng = random.Random(settings.seed)
    lessons = breadth_first(curriculum, settings.chat_share, rng)
    anchors = endless(curriculum.anchors, rng)
    while True:
        taught = tuple(islice(lessons, rows.facts))
        others = (*contrasts.pairs(rows.pairs), *contrasts.others(rows.others))
        general = tuple(islice(anchors, rows.anchors))
        groups = Held(others, settings.contrast_factor), Held(general, settings.anchor_factor)
        yield Batch(taught, tuple(group for group in groups if group.rows))


def checked(
    backend: Backend, trainer: Trainer, curriculum: Curriculum, contrasts: Contrasts, searched: int
) -> Work[Checked]:
    """Whether every fact's held-back prompts are right when read under the adapter alone, and what leaks when it is
    asked about others; leaks become rows."""
    flat = [e for checks in curriculum.checks for e in checks]
    owner = [i for i, checks in enumerate(curriculum.checks) for _ in checks]
    scores = yield from backend.scores(flat, trainer.view)
    missed = {o for o, score in zip(owner, scores, strict=True) if not score.argmax}
    probes = contrasts.probes(searched)
    prompts = [prompt_ids(backend.tokenizer, p.prompt) for p in probes]
    replies = yield from backend.decode(prompts, trainer.view, MINED_TOKENS)
    texts = [backend.tokenizer.decode(reply) for reply in replies]
    leaks = sum([contrasts.mined(p, text) for p, text in zip(probes, texts, strict=True)])
    return Checked(1.0 - len(missed) / len(curriculum.checks), leaks / max(1, len(probes)))


def breadth_first(curriculum: Curriculum, chat_share: float, rng: random.Random) -> Iterator[Row]:
    """Endless: each round takes one row of every fact, in a fresh order, its phrasings in turn, mostly chat."""
    queues = [{ch: endless(rows, rng) for ch, rows in own.items() if rows} for own in curriculum.lessons]
    while True:
        order = [q for q in queues if q]
        rng.shuffle(order)
        for queue in order:
            channel = Channel.CHAT if rng.random() < chat_share else Channel.RAW
            yield next(queue[channel] if channel in queue else next(iter(queue.values())))


def endless(items: Sequence[T], rng: random.Random) -> Iterator[T]:
    """The items in a fresh random order again and again; ends at once where there are none."""
    while items:
        order = list(items)
        rng.shuffle(order)
        yield from order
