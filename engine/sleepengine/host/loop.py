"""The model-owner loop: takes orders, runs one work item at a time, sends reports. Nothing else touches the model."""

from __future__ import annotations

import logging
import os
import time
from typing import Protocol

from sleepengine.errors import EngineError
from sleepengine.host.channel import Channel
from sleepengine.host.messages import (
    Beat,
    Beaten,
    Cancel,
    Done,
    Export,
    Failed,
    Generate,
    Learn,
    Measure,
    Mount,
    Order,
    Ready,
    Sleep,
)
from sleepengine.host.schedule import Priority, Steps, Task, account, choose
from sleepengine.sleep.cycle import Aborted

log = logging.getLogger(__name__)

PRIORITIES: dict[type[Order], Priority] = {
    Mount: Priority.CHAT,
    Generate: Priority.CHAT,
    Learn: Priority.EDIT,
    Measure: Priority.EVALUATION,
    Export: Priority.EVALUATION,
    Sleep: Priority.TRAINING,
}


class Engine(Protocol):
    """What answers orders. Its generators are cut into work items; the last report of each is Done or Failed."""

    def ready(self) -> Ready:
        """What was loaded."""

    def memory_bytes(self) -> int:
        """What the model and its views hold on its device."""

    def start(self, order: Order) -> Steps:
        """Begin an order. To cancel it, Aborted is thrown into the generator, which then ends at once or goes on to a
        report of what it has."""


class Loop:
    """Runs an engine until the parent closes the channel."""

    def __init__(self, engine: Engine, channel: Channel) -> None:
        self._engine, self._channel = engine, channel
        self._tasks: list[Task] = []
        self._items = 0

    def run(self) -> None:
        """Raises Closed when the parent is gone."""
        self._channel.send(self._engine.ready())
        while True:
            for order in self._channel.receive(0.0 if self._tasks else None):
                self._take(order)
            if self._tasks:
                self._work()

    def _take(self, order: Order) -> None:
        if isinstance(order, Beat):
            self._channel.send(Done(id=order.id, result=self._beaten()))
        elif isinstance(order, Cancel):
            for task in [t for t in self._tasks if t.id == order.target]:
                self._advance(task, cancel=True)
            self._channel.send(Done(id=order.id, result=self._beaten()))
        else:
            log.debug("order %s: %s", order.id, type(order).__name__)
            steps = self._engine.start(order)
            self._tasks.append(Task(order.id, PRIORITIES[type(order)], steps, time.monotonic()))

    def _beaten(self) -> Beaten:
        return Beaten(steps=self._items, rss_bytes=rss_bytes(), device_bytes=self._engine.memory_bytes())

    def _work(self) -> None:
        task = choose(self._tasks, time.monotonic())
        started = time.monotonic()
        self._advance(task)
        account(task, started, time.monotonic(), alone=len(self._tasks) == 1)
        self._items += 1

    def _advance(self, task: Task, cancel: bool = False) -> None:
        """One work item; a finished or failed task leaves the list."""
        try:
            report = task.steps.throw(Aborted("cancelled")) if cancel else next(task.steps)
        except StopIteration:
            self._tasks.remove(task)
        except Aborted:
            self._tasks.remove(task)
            self._channel.send(Failed(id=task.id, code="cancelled", message="cancelled"))
        except EngineError as error:
            self._tasks.remove(task)
            self._channel.send(Failed(id=task.id, code=error.code, message=str(error)))
        except (ValueError, RuntimeError, AssertionError, KeyError, IndexError, OSError) as error:
            # A defect in one order must not take the loaded model down; memory exhaustion and CUDA faults do.
            if is_fatal(error):
                raise
            log.exception("order %s failed", task.id)
            self._tasks.remove(task)
            self._channel.send(Failed(id=task.id, code="other", message=f"{type(error).__name__}: {error}"))
        else:
            if report is not None:
                self._channel.send(report)


def is_fatal(error: Exception) -> bool:
    """Faults after which the process cannot be trusted: the parent starts a fresh one."""
    text = str(error)
    return "CUDA error" in text or "out of memory" in text or type(error).__name__ == "AcceleratorError"


def rss_bytes() -> int:
    """Resident memory of this process; 0 where the platform does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
