"""A memory that lives without a daemon: learning, naps and sleeps over a blob store, and what becomes of every fact.

It does what the daemon's ledger does with a cycle's report, in memory, so that the bench measures the very same cycle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sleepengine.backends.base import Backend, Mounted, Work
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.cycle import Night
from sleepengine.sleep.report import NightReport, Plan
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.editing import Editor
from sleepengine.wake.learning import learn
from sleepengine.wake.views import Views


@dataclass(frozen=True)
class Stages:
    """How many facts stand where."""

    pending: int
    active: int
    consolidating: int
    consolidated: int


class Life:
    """Facts, their stages and the live view, from the bare base on."""

    def __init__(self, backend: Backend, blobs: BlobStore, editor: Editor, settings: SleepSettings) -> None:
        self._backend, self._blobs, self._editor, self._settings = backend, blobs, editor, settings
        self._views = Views(backend, blobs, editor)
        self._memory = BaseMemory()
        self._nights = 0  # committed since the adapter was last trained from the base
        self.facts: dict[str, Fact] = {}
        self.view = View()

    @property
    def stages(self) -> Stages:
        """The facts by stage."""
        active = [f for f in self.facts.values() if f.state is FactState.ACTIVE]
        counts = [sum(f.stage is stage for f in active) for stage in Stage]
        return Stages(len(self.facts) - len(active), *counts)

    def mounted(self, edits: bool) -> Mounted:
        """The live view, or its adapter alone."""
        return self._views.mounted(self.view if edits else self.view.without_edits())

    def teach(self, facts: Sequence[Fact]) -> None:
        """Facts that wait for a night, without an edit."""
        self.facts |= {f.id: f for f in facts}

    def learn(self, facts: Sequence[Fact]) -> Work[float]:
        """Facts edited in as `remember` does; returns the seconds that it took."""
        begun = time.monotonic()
        self.teach(facts)
        work = learn(self._backend, self._editor, facts, self._views.standing(self.view))
        while True:
            try:
                next(work)
            except StopIteration as end:
                learnt = end.value
                break
            yield
        for one in learnt:
            if one.verified.raw or one.verified.chat:
                ref = EditRef(fact_id=one.fact.id, blob=self._blobs.put(one.edit.to_bytes()), scale=1.0)
                self.view = msgspec.structs.replace(self.view, edits=(*self.view.edits, ref))
                self._set(one.fact, state=FactState.ACTIVE, scale=1.0, verified=one.verified)
        return time.monotonic() - begun

    def cycle(self, kind: str) -> Work[NightReport]:
        """A nap or a sleep, and what it proposes put into effect."""
        every = self._settings.rebuild_every
        rebuild = f"{self._nights} nights on one adapter" if every and self._nights >= every else ""
        plan = Plan(kind=kind, rebuild=rebuild if kind == "sleep" else "")
        night = Night(
            self._backend,
            self._blobs,
            self._editor,
            self._views,
            self._memory,
            tuple(self.facts.values()),
            self.view,
            self._settings,
            plan,
        )
        work = night.run()
        while True:
            try:
                next(work)
            except StopIteration as end:
                report: NightReport = end.value
                break
            yield
        if report.outcome == "committed":
            self._commit(report)
        return report

    def _commit(self, report: NightReport) -> None:
        self._nights = 1 if report.rebuilt else self._nights + 1
        edits = []
        for outcome in report.facts:
            fact = self.facts[outcome.fact_id]
            held = outcome.stage > 0 or outcome.blob is not None
            state = FactState.ACTIVE if held else fact.state
            stage, scale = Stage(outcome.stage), outcome.scale
            self._set(fact, state=state, stage=stage, scale=scale, verified=outcome.verified)
            if outcome.blob is not None and scale > 0:
                edits.append(EditRef(fact_id=fact.id, blob=outcome.blob, scale=scale))
        self.view = View(generation=report.generation, edits=tuple(edits))

    def _set(self, fact: Fact, **changes: object) -> None:
        self.facts[fact.id] = msgspec.structs.replace(fact, **changes)
