"""The training loop that SWS, REM and naps share: batches in, optimiser steps out, cut into short work items.

It knows rows and rates, not facts. What to train on, when everything is learned, and what it is good for stands in
`sws` and `rem`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice

from sleepengine.backends.base import Anchor, Row, Trainer, Work

AHEAD = 8  # steps whose anchors the base reads together


@dataclass(frozen=True)
class Held:
    """Rows that keep to the base, whose mean divergence weighs `factor` in the loss."""

    rows: tuple[Row, ...]
    factor: float


@dataclass(frozen=True)
class Batch:
    """One step's rows. `taught` are those of facts: examples, or anchors with a context; their mean loss weighs 1."""

    taught: tuple[Row, ...]
    held: tuple[Held, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of them, the taught first."""
        return (*self.taught, *(row for group in self.held for row in group.rows))

    @property
    def scales(self) -> tuple[float, ...]:
        """What each of `rows` weighs in the loss."""
        own = (1.0 / len(self.taught),) * len(self.taught)
        return own + tuple(g.factor / len(g.rows) for g in self.held for _ in g.rows)

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """All rows that the base reads."""
        return tuple(r for r in self.rows if isinstance(r, Anchor))


@dataclass(frozen=True)
class Checked:
    """What a check found: the share of facts recalled on phrasings held back, and of searched prompts that leaked."""

    recalled: float
    leaked: float

    @property
    def good(self) -> bool:
        """Whether there is nothing left to learn."""
        return self.recalled == 1.0 and self.leaked == 0.0


@dataclass(frozen=True)
class Tick:
    """How far the training is; sent after each step."""

    step: int
    total: int
    loss: float
    checked: Checked


@dataclass(frozen=True)
class Trained:
    """What training took. `loss` is the last step's cross-entropy a taught row, `kl` its divergence a held row."""

    steps: int
    tokens: int
    loss: float
    kl: float
    checked: Checked


@dataclass
class Schedule:
    """Linear warm-up, then a half cosine to zero at `total`; `cool_down` lets it fall to zero sooner."""

    rate: float
    total: int
    warmup: int
    cooldown: int
    _from: int = field(default=0, init=False)  # where the fall began
    _height: float = field(default=1.0, init=False)  # and from which share of the rate

    def at(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / max(1, self.warmup))
        fallen = (step - self._from) / max(1, self.total - self._from)
        return self.rate * rising * self._height * 0.5 * (1.0 + math.cos(math.pi * min(1.0, fallen)))

    def cool_down(self, step: int) -> None:
        """End `cooldown` steps from now, where that is sooner."""
        if step + self.cooldown < self.total:
            self._height = self.at(step) / self.rate
            self._from, self.total, self.warmup = step, step + self.cooldown, 0


def train(
    trainer: Trainer,
    batches: Iterator[Batch],
    schedule: Schedule,
    check: Callable[[], Work[Checked]] | None = None,
    check_every: int = 0,
    patience: int = 0,
) -> Generator[Tick | None, None, Trained]:
    """Train until the schedule ends. Yields None after a work item, a Tick after a step.

    With `check_every`, everything is checked so often; once it was good `patience` times in a row, the rate falls early
    (`patience` 0: never).
    """
    step, tokens, streak = 0, 0, 0
    loss, kl, checked = 0.0, 0.0, Checked(0.0, 0.0)
    ahead: list[Batch] = []
    while step < schedule.total:
        if not ahead:
            ahead = list(islice(batches, min(AHEAD, schedule.total - step)))
            if not ahead:
                break
            yield from trainer.prepare([a for batch in ahead for a in batch.anchors])
        batch = ahead.pop(0)
        loss, kl = yield from _accumulate(trainer, batch)
        tokens += sum(len(row.ids) for row in batch.rows)
        trainer.step(schedule.at(step))
        step += 1
        if check is not None and check_every and step % check_every == 0 and step < schedule.total:
            checked = yield from check()
            streak = streak + 1 if checked.good else 0
            if patience and streak == patience:
                schedule.cool_down(step)
                ahead = ahead[: schedule.total - step]
        yield Tick(step, schedule.total, loss, checked)
    if check is not None:
        checked = yield from check()
    return Trained(step, tokens, loss, kl, checked)


def _accumulate(trainer: Trainer, batch: Batch) -> Work[tuple[float, float]]:
    """One step's gradient; returns the mean losses of its taught and of its held rows."""
    losses = yield from trainer.accumulate(batch.rows, batch.scales)
    taught = len(batch.taught)
    return sum(losses[:taught]) / taught, sum(losses[taught:]) / max(1, len(losses) - taught)
