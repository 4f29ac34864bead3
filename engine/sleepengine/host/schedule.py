"""Which piece of work the model's owner does next.

A task is a generator whose every `next()` is one short work item. Chat goes before edits, edits before evaluation,
evaluation before training; but nothing starves: an edit waits at most `EDIT_PATIENCE`, and after `TRAINING_PATIENCE`
without a turn, training gets about a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import IntEnum

from sleepengine.host.messages import Report

EDIT_PATIENCE = 30.0  # seconds
TRAINING_PATIENCE = 600.0  # seconds
TRAINING_SHARE = 0.1

Steps = Generator[Report | None, None, None]


class Priority(IntEnum):
    """Lower runs first."""

    CHAT = 0
    EDIT = 1
    EVALUATION = 2
    TRAINING = 3


@dataclass
class Task:
    """An order in progress. Times are seconds of a monotonic clock."""

    id: str
    priority: Priority
    steps: Steps
    ran_at: float
    item_seconds: float = 0.0  # how long its latest work item took
    starving: bool = field(default=False)


def overdue(task: Task, now: float) -> bool:
    """Whether a task has waited so long that it goes before anything else."""
    waited = now - task.ran_at
    if task.priority is Priority.TRAINING:
        if task.starving:
            return waited > task.item_seconds * (1 / TRAINING_SHARE - 1)
        return waited > TRAINING_PATIENCE
    return waited > EDIT_PATIENCE


def choose(tasks: list[Task], now: float) -> Task:
    """The task whose next item shall run; the first come among equals. Raises ValueError for an empty list."""
    if late := [t for t in tasks if overdue(t, now)]:
        return min(late, key=lambda t: t.ran_at)
    return min(tasks, key=lambda t: (t.priority, t.ran_at if t.priority is Priority.CHAT else 0.0))


def account(task: Task, started: float, ended: float, alone: bool) -> None:
    """Note that a task ran one item. Training that had to starve keeps its share until it is undisturbed again."""
    if task.priority is Priority.TRAINING:
        task.starving = not alone and (task.starving or started - task.ran_at > TRAINING_PATIENCE)
    task.ran_at, task.item_seconds = ended, ended - started
