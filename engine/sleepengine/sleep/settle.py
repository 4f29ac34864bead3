"""What becomes of every fact's edit under a new generation: dissolved, left as a trace, or made again and verified."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sleepengine.backends.base import Adapter, Backend
from sleepengine.evaluation.recall import ask, verdicts
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Pool, Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.gates import FactVerdict, next_stage
from sleepengine.sleep.report import FactOutcome
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.editing import Editor, ScaledEdit, Standing
from sleepengine.wake.learning import Learnt, learn
from sleepengine.wake.views import Views

T = TypeVar("T")

NOT_RECALLED = "the adapter alone did not answer its gate questions"
DISTURBED = "beside the edits that stay, it was no longer answered"


@dataclass(frozen=True)
class NewGeneration:
    """A candidate that passed its gates: the adapter and its blob."""

    adapter: Adapter
    blob: str


class Settlement:
    """Decides edits under one new generation. Every edit above scale 0 is captured again and verified there."""

    def __init__(
        self, backend: Backend, blobs: BlobStore, editor: Editor, views: Views, settings: SleepSettings, view: View
    ) -> None:
        self._backend, self._blobs, self._editor, self._views = backend, blobs, editor, views
        self._settings = settings
        self._refs = {ref.fact_id: ref for ref in view.edits}

    def settle(self, new: NewGeneration, judged: Sequence[FactVerdict]) -> Generator[None, None, list[FactOutcome]]:
        """One outcome a fact. Facts that the adapter does not recall are edited again, so that none is lost."""
        advanced = [self._advanced(new, v) for v in judged if v.passed]
        outcomes = {o.fact_id: o for o in advanced}
        failed = [v.fact for v in judged if not v.passed]
        outcomes |= yield from self._edited(new, failed, list(outcomes.values()), NOT_RECALLED)
        passed = {v.fact.id: v.fact for v in judged if v.passed}
        for _ in range(2):  # an edit made again may disturb another fact
            lost = yield from self._lost(new, list(passed.values()), list(outcomes.values()))
            if not lost:
                break
            others = [o for o in outcomes.values() if o.fact_id not in {f.id for f in lost}]
            outcomes |= yield from self._edited(new, lost, others, DISTURBED)
            for fact in lost:
                del passed[fact.id]
        return [outcomes[v.fact.id] for v in judged]

    def view(self, new: NewGeneration, outcomes: Sequence[FactOutcome]) -> View:
        """The view that goes live with these outcomes."""
        live = [o for o in outcomes if o.blob is not None and o.scale > 0]
        edits = tuple(EditRef(fact_id=o.fact_id, blob=o.blob or "", scale=o.scale) for o in live)
        return View(generation=new.blob, edits=edits)

    def _advanced(self, new: NewGeneration, verdict: FactVerdict) -> FactOutcome:
        """The outcome of a fact that the adapter recalls; what is left of its edit is captured under the generation."""
        s, fact = self._settings, verdict.fact
        stage = next_stage(fact.stage, passed=True)
        scale = s.residual_scale if stage is Stage.CONSOLIDATING else s.consolidated_scale
        blob = self._captured(new, fact) if scale > 0 else None
        return FactOutcome(
            fact_id=fact.id,
            passed=True,
            stage=int(stage),
            scale=scale if blob is not None else 0.0,
            blob=blob,
            verified=verdict.verified,
        )

    def _edited(
        self, new: NewGeneration, facts: Sequence[Fact], beside: Sequence[FactOutcome], reason: str
    ) -> Generator[None, None, dict[str, FactOutcome]]:
        """Facts back at stage 0, with fresh edits on top of the new generation and the edits beside them."""
        if not facts:
            return {}
        standing = Standing(new.adapter, new.blob, tuple(self._scaled(beside)))
        learnt = yield from silent(learn(self._backend, self._editor, facts, standing))
        return {one.fact.id: self._again(new, one, reason) for one in learnt}

    def _again(self, new: NewGeneration, one: Learnt, reason: str) -> FactOutcome:
        """A fact back at stage 0 with its fresh edit; where that did not come out, with the one that it had, if any."""
        if one.verified.chat or one.verified.raw:
            blob: str | None = self._blobs.put(one.edit.to_bytes())
        else:
            blob = self._captured(new, one.fact)
            reason = f"{reason}; an edit made afresh did not come out either"
        return FactOutcome(
            fact_id=one.fact.id,
            passed=False,
            stage=int(Stage.ACTIVE),
            scale=1.0 if blob is not None else 0.0,
            blob=blob,
            verified=one.verified,
            reason=reason,
        )

    def _captured(self, new: NewGeneration, fact: Fact) -> str | None:
        """The fact's present edit, captured under the new generation; None where it has none."""
        ref = self._refs.get(fact.id)
        if ref is None or fact.state is not FactState.ACTIVE:
            return None
        (again,) = self._editor.recapture([self._views.edit(ref.blob)], Standing(new.adapter, new.blob, ()))
        return self._blobs.put(again.to_bytes())

    def _lost(
        self, new: NewGeneration, facts: Sequence[Fact], outcomes: Sequence[FactOutcome]
    ) -> Generator[None, None, list[Fact]]:
        """Advanced facts that the whole new view, edits included, does not answer in chat."""
        edits = self._scaled(outcomes)
        if not facts or not edits:
            return []  # the adapter alone was judged already
        mounted = self._backend.mount(self._editor.tensors(Standing(new.adapter, new.blob, tuple(edits))))
        found = verdicts((yield from ask(self._backend, facts, Pool.GATE, mounted)), self._settings.recall_threshold)
        return [f for f in facts if f.id in found and not found[f.id].chat]

    def _scaled(self, outcomes: Sequence[FactOutcome]) -> list[ScaledEdit]:
        return [ScaledEdit(self._views.edit(o.blob), o.scale) for o in outcomes if o.blob is not None and o.scale > 0]


def silent(work: Generator[object, None, T]) -> Generator[None, None, T]:
    """Work whose own progress is of no interest."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield None
