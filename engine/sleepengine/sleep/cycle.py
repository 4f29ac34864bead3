"""A night: curate, train, gate, and propose a new generation with what becomes of every fact's edit.

Training and gating happen in a candidate view with every edit silenced: an active edit would answer already, and
nothing would move into the adapter. The live view is not touched; the caller commits what is proposed, or nothing.

The phases stand in `PHASES` in the order in which they run. Each is a generator over the night's notes, so that a phase
between the SWS gate and the commit joins by standing there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sleepengine.backends.base import Adapter, Backend, Mounted, Trainer, ViewTensors
from sleepengine.evaluation.drift import BaseAnswers, base_answers, canary_replies, drift
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.recall import ask, share
from sleepengine.evaluation.texts import gate_text
from sleepengine.memory import generations
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Channel, Fact, FactState, Pool, Stage
from sleepengine.memory.view import View
from sleepengine.sleep import sws
from sleepengine.sleep.curation import Curriculum, curate
from sleepengine.sleep.gates import FactVerdict, PerplexityGate, judge, next_stage
from sleepengine.sleep.report import FactOutcome, NightReport, PhaseMetrics, PhaseSpan, SleepSettings
from sleepengine.wake.editing import Editor, ScaledEdit, Standing
from sleepengine.wake.learning import learn
from sleepengine.wake.views import Views

T = TypeVar("T")


class Aborted(Exception):
    """Thrown into a night to end it at its next safe point."""


class Rejected(Exception):
    """A gate refused the candidate; the message says why."""


@dataclass(frozen=True)
class NightTick:
    """Progress of the phase that runs: `done` of `total` of its steps."""

    phase: str
    done: int
    total: int
    detail: str = ""


Phase = Generator[NightTick | None, None, None]


@dataclass
class Notes:
    """What the phases of one night hand to each other."""

    base: BaseAnswers | None = None
    curriculum: Curriculum | None = None
    trainer: Trainer | None = None
    trained: sws.Trained | None = None
    candidate: Adapter | None = None
    base_ppl: float = 0.0
    drift: float = 0.0
    metrics: PhaseMetrics | None = None
    verdicts: list[FactVerdict] = field(default_factory=list)
    generation: str | None = None
    outcomes: list[FactOutcome] = field(default_factory=list)


class Night:
    """One cycle of full sleep over frozen facts and a frozen view."""

    def __init__(
        self,
        backend: Backend,
        blobs: BlobStore,
        editor: Editor,
        views: Views,
        facts: Sequence[Fact],
        view: View,
        settings: SleepSettings,
    ) -> None:
        self.backend, self.blobs, self.editor, self.views = backend, blobs, editor, views
        self.facts, self.view, self.settings = tuple(facts), view, settings
        self.notes = Notes()
        self.spans: list[PhaseSpan] = []

    def run(self) -> Generator[NightTick | None, None, NightReport]:
        """All phases. Returns the report whatever the outcome; only a defect or a broken disk raises."""
        begun = time.monotonic()
        if not any(f.stage is not Stage.CONSOLIDATED for f in self.facts):
            return NightReport(outcome="nothing", reason="every fact is consolidated already")
        outcome, reason = "committed", ""
        phase_begun, phase = 0.0, ""
        try:
            for phase, work in PHASES:
                phase_begun = time.monotonic() - begun
                yield NightTick(phase, 0, 1)
                yield from work(self)
                self.spans.append(PhaseSpan(phase=phase, start=phase_begun, end=time.monotonic() - begun))
        except (Aborted, Rejected) as stop:
            outcome = "aborted" if isinstance(stop, Aborted) else "rejected"
            reason = str(stop)
            self.spans.append(PhaseSpan(phase=phase, start=phase_begun, end=time.monotonic() - begun))
        n = self.notes
        good = outcome == "committed"
        return NightReport(
            outcome=outcome,
            reason=reason,
            generation=n.generation if good else None,
            facts=tuple(n.outcomes) if good else (),
            sws=n.metrics,
            spans=tuple(self.spans),
            base_ppl=n.base_ppl,
            drift=n.drift,
            seconds=time.monotonic() - begun,
        )

    # --- phases -------------------------------------------------------------------------------------------------

    def curate(self) -> Phase:
        """The base's own answers, and what tonight trains on."""
        self.notes.base = yield from base_answers(self.backend)
        self.notes.curriculum = yield from curate(self.backend, self.facts, self.settings.seed)

    def sws_train(self) -> Phase:
        """Train a copy of the current adapter, or a fresh one."""
        s, standing = self.settings, self.views.standing(View(generation=self.view.generation))
        trainer = self.backend.trainer(standing.adapter, s.rank, s.alpha, s.seed)
        assert self.notes.curriculum is not None
        training = sws.train(self.backend, trainer, self.notes.curriculum, sws_settings(s, len(self.facts)), s.seed)
        self.notes.trained = yield from _reported(training)
        self.notes.candidate = trainer.adapter()

    def sws_gate(self) -> Phase:
        """Perplexity, canaries and drift against the base; recall of every fact on its gate prompts."""
        n, s = self.notes, self.settings
        assert n.base is not None
        assert n.trained is not None
        before = self.views.mounted(View(generation=self.view.generation))
        after = self._candidate_view()
        base_ppl = yield from perplexity(self.backend, gate_text(), self.views.mounted(View()))
        ppl_before = base_ppl
        if self.view.generation is not None:
            ppl_before = yield from perplexity(self.backend, gate_text(), before)
        yield NightTick("sws gate", 1, 4, "perplexity")
        ppl_after = yield from perplexity(self.backend, gate_text(), after)
        n.base_ppl = base_ppl.value
        n.drift = yield from drift(self.backend, n.base, after)
        yield NightTick("sws gate", 2, 4, "canaries")
        answered_before = yield from canary_replies(self.backend, n.base, before)
        answered_after = yield from canary_replies(self.backend, n.base, after)
        yield NightTick("sws gate", 3, 4, "recall")
        answers = yield from ask(self.backend, self.facts, Pool.GATE, after)
        n.verdicts = judge(self.facts, answers, s.recall_threshold)
        n.metrics = PhaseMetrics(
            ppl_before=ppl_before.value,
            ppl_after=ppl_after.value,
            recall_raw=share(answers, Channel.RAW),
            recall_chat=share(answers, Channel.CHAT),
            steps=n.trained.steps,
            tokens=n.trained.tokens,
            loss=n.trained.loss,
            seconds=sum(span.end - span.start for span in self.spans),
        )
        gate = PerplexityGate(s.ppl_budget, s.lifetime_ppl_budget)
        if refusal := gate.refusal(base_ppl.value, ppl_before.value, ppl_after.value):
            raise Rejected(refusal)
        kept, had = (sum(r.accepted for r in replies) for replies in (answered_after, answered_before))
        if kept < s.canary_share * had:
            raise Rejected(f"only {kept} of the {had} canary questions answered before are still answered")

    def settle(self) -> Phase:
        """Write the new generation and decide every edit's scale; re-edit under it what it does not recall."""
        n, s = self.notes, self.settings
        assert n.candidate is not None
        n.generation = self.blobs.put(generations.to_bytes(n.candidate, s.alpha, self.backend.spec.name))
        refs = {ref.fact_id: ref for ref in self.view.edits}
        for verdict in n.verdicts:
            if verdict.passed:
                ref = refs.get(verdict.fact.id)
                n.outcomes.append(self._advanced(verdict, ref.blob if ref else None))
        kept = [ScaledEdit(self.views.edit(o.blob), o.scale) for o in n.outcomes if o.blob is not None and o.scale > 0]
        failed = [v.fact for v in n.verdicts if not v.passed]
        if failed:
            yield NightTick("commit", 0, len(failed), "editing again what the adapter does not recall")
            standing = Standing(n.candidate, n.generation, tuple(kept))
            for learnt in (yield from _silent(learn(self.backend, self.editor, failed, standing))):
                n.outcomes.append(
                    FactOutcome(
                        fact_id=learnt.fact.id,
                        passed=False,
                        stage=int(Stage.ACTIVE),
                        scale=1.0,
                        blob=self.blobs.put(learnt.edit.to_bytes()),
                        verified=learnt.verified,
                        reason="the adapter alone did not answer its gate questions",
                    )
                )

    # --- parts --------------------------------------------------------------------------------------------------

    def _candidate_view(self) -> Mounted:
        return self.backend.mount(ViewTensors(self.notes.candidate))

    def _advanced(self, verdict: FactVerdict, blob: str | None) -> FactOutcome:
        """The outcome of a fact that the adapter recalls; what is left of its edit is named for the new generation."""
        s, fact = self.settings, verdict.fact
        stage = next_stage(fact.stage, passed=True)
        scale = s.residual_scale if stage is Stage.CONSOLIDATING else s.consolidated_scale
        if blob is not None and fact.state is FactState.ACTIVE and scale > 0:
            standing = Standing(self.notes.candidate, self.notes.generation, ())
            (renamed,) = self.editor.recapture([self.views.edit(blob)], standing)
            blob = self.blobs.put(renamed.to_bytes())
        else:
            blob, scale = None, 0.0
        return FactOutcome(
            fact_id=fact.id, passed=True, stage=int(stage), scale=scale, blob=blob, verified=verdict.verified
        )


PHASES: tuple[tuple[str, Callable[[Night], Phase]], ...] = (
    ("curate", Night.curate),
    ("sws train", Night.sws_train),
    ("sws gate", Night.sws_gate),
    ("commit", Night.settle),
)


def sws_settings(s: SleepSettings, facts: int) -> sws.SwsSettings:
    """The part of the settings that training reads; how long it may take grows with the number of facts."""
    return sws.SwsSettings(
        learning_rate=s.learning_rate,
        max_steps=max(s.min_steps, min(s.max_steps, round(s.steps_per_fact * facts))),
        batch_size=s.batch_size,
        anchors=s.anchors,
        pairs=s.pairs,
        anchor_weight=s.anchor_weight,
        warmup=s.warmup,
        cooldown=s.cooldown,
        check_every=s.check_every,
        patience=s.patience,
    )


def _reported(
    training: Generator[sws.Tick | None, None, sws.Trained],
) -> Generator[NightTick | None, None, sws.Trained]:
    """Training ticks as the night's own."""
    while True:
        try:
            tick = next(training)
        except StopIteration as end:
            trained: sws.Trained = end.value
            return trained
        if tick is None:
            yield None
        else:
            detail = f"loss {tick.loss:.2f}, {tick.recalled:.0%} of the facts recalled"
            yield NightTick("sws train", tick.step, tick.total, detail)


def _silent(work: Generator[object, None, T]) -> Generator[None, None, T]:
    """Work whose own progress is of no interest here."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield None
