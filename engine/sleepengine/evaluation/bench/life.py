"""A memory that lives without a daemon: learning, naps and sleeps over a blob store, and what becomes of every fact.

It does what the daemon's ledger does with a cycle's report, in memory, so that the bench measures the very same cycle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass

import msgspec

from sleepengine.backends.base import Backend, Mounted, Work
from sleepengine.errors import EngineError
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.evaluation.work import silently
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.cycle import Night
from sleepengine.sleep.report import NightReport, Plan
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.editing import Editor, Silencer
from sleepengine.wake.learning import Learnt, learn
from sleepengine.wake.suppression import silence
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

    def __init__(
        self,
        backend: Backend,
        blobs: BlobStore,
        editor: Editor,
        settings: SleepSettings,
        silencer: Silencer | None = None,
    ) -> None:
        """Without a `silencer` nothing that an adapter knows can be forgotten or corrected."""
        self._backend, self._blobs, self._editor, self._settings = backend, blobs, editor, settings
        self._silencer = silencer
        self._views = Views(backend, blobs, editor)
        self._memory = BaseMemory()
        self._nights = 0  # committed since the adapter was last trained from the base
        self.facts: dict[str, Fact] = {}
        self.view = View()
        self._known: dict[str, Fact] = {}  # corrected or forgotten, and in the adapter still

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
        standing = self._views.standing(self.view)
        learnt = yield from silently(learn(self._backend, self._editor, facts, standing))
        for one in self._put(learnt):
            self._set(one.fact, state=FactState.ACTIVE, scale=1.0, verified=one.verified)
        return time.monotonic() - begun

    def forget(self, facts: Sequence[Fact]) -> Work[int]:
        """Facts taken out of the view; what the adapter knows of them is suppressed. Returns how many were not silenced
        where that was tried."""
        for fact in facts:
            if self.facts.pop(fact.id).stage > Stage.ACTIVE:
                self._known[fact.id] = fact
        self._leave({f.id for f in facts})
        return (yield from self._suppressed([f for f in facts if f.id in self._known]))

    def correct(self, pairs: Sequence[tuple[Fact, Fact]]) -> Work[int]:
        """Other facts in place of old ones, as (old, new). Returns how many new ones did not come out."""
        yield from self.forget([old for old, _ in pairs])
        yield from self.learn([new for _, new in pairs])
        return sum(self.facts[new.id].state is not FactState.ACTIVE for _, new in pairs)

    def cycle(self, kind: str) -> Work[NightReport]:
        """A nap or a sleep, and what it proposes put into effect."""
        plan = Plan(kind=kind, rebuild=self._rebuild() if kind == "sleep" else "")
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
        report = yield from silently(night.run())
        if report.outcome == "committed":
            self._commit(report)
            if report.rebuilt:
                self._known.clear()
            yield from self._suppressed(list(self._known.values()))
        return report

    def _rebuild(self) -> str:
        """Why the adapter shall be trained from the base again; "" where it is trained on."""
        if self._known:
            return f"{len(self._known)} facts that it knows were forgotten or corrected"
        every = self._settings.rebuild_every
        return f"{self._nights} nights on one adapter" if every and self._nights >= every else ""

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

    def _suppressed(self, facts: Sequence[Fact]) -> Work[int]:
        """Edits that keep facts from coming out; returns how many could not be silenced."""
        if not facts:
            return 0
        if self._silencer is None:
            raise EngineError("this memory has no editor that can suppress facts")
        standing = self._views.standing(self.view)
        held = [f for f in self.facts.values() if f.stage > Stage.ACTIVE]
        learnt = yield from silently(silence(self._backend, self._editor, self._silencer, facts, standing, held))
        return len(facts) - len(self._put(learnt))

    def _put(self, learnt: Sequence[Learnt]) -> list[Learnt]:
        """Put the edits that came out into the live view; returns these."""
        good = [one for one in learnt if one.verified.raw or one.verified.chat]
        refs = [EditRef(fact_id=one.fact.id, blob=self._blobs.put(one.edit.to_bytes())) for one in good]
        self.view = msgspec.structs.replace(self.view, edits=(*self.view.edits, *refs))
        return good

    def _leave(self, ids: Set[str]) -> None:
        """Take the edits of these facts out of the view."""
        kept = tuple(ref for ref in self.view.edits if ref.fact_id not in ids)
        self.view = msgspec.structs.replace(self.view, edits=kept)

    def _set(self, fact: Fact, **changes: object) -> None:
        self.facts[fact.id] = msgspec.structs.replace(fact, **changes)
