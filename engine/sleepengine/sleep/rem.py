"""REM: training on dreams in which facts meet, beside SWS's own rows so that single facts are not lost over it.

What the paper's REM is for, undoing what SWS did to ordinary language, is SWS's own anchors' work here; REM teaches to
answer for several facts at once, and is held to the base like SWS.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from itertools import islice

from sleepengine.backends.base import Backend, Mounted, Trainer, Work
from sleepengine.evaluation.recall import contains
from sleepengine.sleep.contrasts import Contrasts
from sleepengine.sleep.curation import Curriculum
from sleepengine.sleep.dreams import ANSWER_TOKENS, Dream, as_example
from sleepengine.sleep.settings import SleepSettings
from sleepengine.sleep.sws import batches, endless
from sleepengine.sleep.training import Batch, Schedule, Tick, Trained, train

DREAM_SHARE = 0.5  # of a step's taught rows


def rem(
    backend: Backend,
    trainer: Trainer,
    curriculum: Curriculum,
    contrasts: Contrasts,
    dreams: Sequence[Dream],
    settings: SleepSettings,
) -> Generator[Tick | None, None, Trained]:
    """Train on the dreams and the curriculum. There must be a dream."""
    total = max(1, round(settings.rem_steps * settings.planned_steps(len(curriculum.facts))))
    schedule = Schedule(settings.rem_rate * settings.learning_rate, total, round(settings.warmup * total), total)
    return (yield from train(trainer, _batches(backend, curriculum, contrasts, dreams, settings), schedule))


def _batches(
    backend: Backend,
    curriculum: Curriculum,
    contrasts: Contrasts,
    dreams: Sequence[Dream],
    settings: SleepSettings,
) -> Iterator[Batch]:
    rows = settings.rows
    dreamt = endless(
        [as_example(backend.tokenizer, d, settings.frame_weight) for d in dreams], random.Random(settings.seed)
    )
    for batch in batches(curriculum, contrasts, rows, settings):
        share = max(1, round(DREAM_SHARE * len(batch.taught)))
        yield Batch((*islice(dreamt, share), *batch.taught[share:]), batch.held)


def answered_jointly(backend: Backend, dreams: Sequence[Dream], view: Mounted) -> Work[float | None]:
    """The share of joint questions whose answers hold every fact's object; None where there is none to ask."""
    if not dreams:
        return None
    prompts = [backend.tokenizer.encode(backend.tokenizer.render_chat(d.messages)) for d in dreams]
    replies = yield from backend.decode(prompts, view, ANSWER_TOKENS)
    texts = [backend.tokenizer.decode(r) for r in replies]
    right = [all(contains(text, f.object) for f in d.facts) for text, d in zip(texts, dreams, strict=True)]
    return sum(right) / len(right)
