"""What the bench measures: an editor, or a baseline that leaves the model alone.

A condition is given the facts once. Afterwards there is a view to ask, and for each prompt the notes that stand in it:
none for an editor, since nothing of a fact may ever be in the context.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from sleepengine.backends.base import Backend, Mounted, ValueProblem, ValueResult, ValueSettings, Work
from sleepengine.evaluation.work import silently
from sleepengine.memory.facts import Fact, Verified
from sleepengine.wake.editing import Editor, ScaledEdit, Standing
from sleepengine.wake.learning import Learnt, learn

Notes = Callable[[str], Sequence[str]]
"""From all that the user has said, earlier turns included, to the statements that are shown with it."""


@dataclass(frozen=True)
class Cost:
    """What learning took: seconds of wall time for each fact (of a batch, its share), and for one fact on average the
    bytes on disk and the optimiser steps of its value."""

    seconds: tuple[float, ...]
    bytes: float
    steps: float


@dataclass(frozen=True)
class Prepared:
    """A condition that knows its facts. `verified` is what the editor itself found, by fact id."""

    view: Mounted
    notes: Notes
    cost: Cost
    verified: dict[str, Verified]


class Condition(Protocol):
    """Something to measure."""

    @property
    def name(self) -> str:
        """As it stands in tables."""

    def prepare(self, facts: Sequence[Fact]) -> Work[Prepared]:
        """Learn, or note down, all facts together."""


def no_notes(query: str) -> Sequence[str]:
    """The notes of whoever keeps none."""
    return ()


class Metered:
    """A backend that counts the steps which values take; everything else is passed on."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.steps: list[int] = []

    @property
    def as_backend(self) -> Backend:
        """This object for those who ask for a backend."""
        return cast(Backend, self)

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def optimise_values(
        self, problems: Sequence[ValueProblem], settings: ValueSettings, view: Mounted
    ) -> Work[list[ValueResult]]:
        """See `Backend.optimise_values`."""
        results = yield from self._backend.optimise_values(problems, settings, view)
        self.steps += [result.steps for result in results]
        return results


@dataclass(frozen=True)
class Edited:
    """An editor, through the same pipeline as `remember`: edit, verify, retry. `backend` is what it was built with.

    `alone` learns the facts one after another, each on top of those before; else they are learned in one batch.
    """

    name: str
    backend: Metered
    editor: Editor
    alone: bool = False

    def prepare(self, facts: Sequence[Fact]) -> Work[Prepared]:
        backend, standing = self.backend.as_backend, Standing(None, None, ())
        seconds: list[float] = []
        learnt: list[Learnt] = []
        self.backend.steps.clear()
        for batch in [[fact] for fact in facts] if self.alone else [list(facts)]:
            begun = time.monotonic()
            fresh = yield from silently(learn(backend, self.editor, batch, standing))
            seconds += [(time.monotonic() - begun) / len(batch)] * len(batch)
            learnt += fresh
            good = [ScaledEdit(one.edit, 1.0) for one in fresh if one.verified.raw or one.verified.chat]
            standing = Standing(None, None, (*standing.edits, *good))
        size = sum(len(one.edit.to_bytes()) for one in learnt)
        cost = Cost(tuple(seconds), size / len(facts), sum(self.backend.steps) / len(facts))
        view = backend.mount(self.editor.tensors(standing))
        return Prepared(view, no_notes, cost, {one.fact.id: one.verified for one in learnt})
