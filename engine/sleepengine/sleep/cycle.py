"""A cycle: a full sleep (curate, SWS, REM, each gated, commit) or a nap (curate, train, gate, commit).

Training and gating happen in a candidate view with every edit silenced: an active edit would answer already, and
nothing would move into the adapter. The live view is not touched; the caller commits what is proposed, or nothing.

The phases stand in `SLEEP` and `NAP` in the order in which they run. Each is a generator over the cycle's notes. A
training phase leaves its adapter in the blob store and says so (`Saved`): a cycle that is run again after a crash with
the same plan, facts and view takes it from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from sleepengine.backends.base import Adapter, Backend, LoraScope, Mounted, Trainer, ViewTensors
from sleepengine.evaluation.drift import BaseMemory, drift
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.texts import gate_text
from sleepengine.memory import generations
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, Stage
from sleepengine.memory.view import View
from sleepengine.sleep import nap
from sleepengine.sleep.contrasts import Contrasts
from sleepengine.sleep.curation import Curriculum, curate
from sleepengine.sleep.dreams import Dreamt, dream
from sleepengine.sleep.gates import FactVerdict, judge, paper_refusal, refusal
from sleepengine.sleep.measure import Gauge, Measurement
from sleepengine.sleep.rem import answered_jointly, rem
from sleepengine.sleep.replay import chosen
from sleepengine.sleep.report import FactOutcome, NightReport, PhaseMetrics, PhaseSpan, Plan
from sleepengine.sleep.settings import SleepSettings
from sleepengine.sleep.settle import NewGeneration, Settlement
from sleepengine.sleep.sws import sws
from sleepengine.sleep.training import Checked, Tick, Trained
from sleepengine.wake.editing import Editor
from sleepengine.wake.profile import profile_for
from sleepengine.wake.views import Views


class Aborted(Exception):
    """Thrown into a cycle to end it at its next safe point."""


class Rejected(Exception):
    """A gate refused the candidate; the message says why."""


@dataclass(frozen=True)
class NightTick:
    """Progress of the phase that runs: `done` of `total` of its steps."""

    phase: str
    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True)
class Saved:
    """The adapter that a phase made is in the blob store."""

    phase: str
    blob: str


RESUMED = Trained(0, 0, 0.0, 0.0, Checked(0.0, 0.0))
"""A training whose adapter an earlier run of the cycle made."""

Step = NightTick | Saved | None
Phase = Generator[Step, None, None]


@dataclass
class Notes:
    """What the phases of one cycle hand to each other."""

    gauge: Gauge | None = None
    curriculum: Curriculum | None = None
    contrasts: Contrasts | None = None
    base_ppl: float = 0.0
    before: Measurement | None = None
    adapter: Adapter | None = None  # the candidate as it is now
    after: Measurement | None = None
    dreamt: Dreamt = field(default_factory=lambda: Dreamt((), 0, ()))
    after_sws: Adapter | None = None  # what REM starts from, and falls back to
    trained: dict[str, Trained] = field(default_factory=dict)
    sws: PhaseMetrics | None = None
    rem: PhaseMetrics | None = None
    verdicts: list[FactVerdict] = field(default_factory=list)
    generation: str | None = None
    outcomes: list[FactOutcome] = field(default_factory=list)


class Night:
    """One cycle over frozen facts and a frozen view."""

    def __init__(
        self,
        backend: Backend,
        blobs: BlobStore,
        editor: Editor,
        views: Views,
        memory: BaseMemory,
        facts: Sequence[Fact],
        view: View,
        settings: SleepSettings,
        plan: Plan,
    ) -> None:
        self.backend, self.blobs, self.editor, self.views, self.memory = backend, blobs, editor, views, memory
        self.facts, self.view, self.settings, self.plan = tuple(facts), view, settings, plan
        self.notes = Notes()
        self.spans: list[PhaseSpan] = []
        self._begun = time.monotonic()

    def run(self) -> Generator[Step, None, NightReport]:
        """All phases. Returns the report whatever the outcome; only a defect or a broken disk raises."""
        napping = self.plan.kind == "nap"
        if nothing := self._nothing_to_do(napping):
            return NightReport(outcome="nothing", reason=nothing, kind=self.plan.kind)
        outcome, reason = "committed", ""
        phase_begun, phase = 0.0, ""
        try:
            for phase, work in NAP if napping else SLEEP:
                phase_begun = self._elapsed
                yield NightTick(phase, 0, 1)
                yield from work(self)
                self.spans.append(PhaseSpan(phase=phase, start=phase_begun, end=self._elapsed))
        except (Aborted, Rejected) as stop:
            outcome = "aborted" if isinstance(stop, Aborted) else "rejected"
            reason = str(stop)
            self.spans.append(PhaseSpan(phase=phase, start=phase_begun, end=self._elapsed))
        n, good = self.notes, outcome == "committed"
        return NightReport(
            outcome=outcome,
            reason=reason,
            kind=self.plan.kind,
            generation=n.generation if good else None,
            rebuilt=self.plan.rebuild,
            facts=tuple(n.outcomes) if good else (),
            sws=n.sws,
            rem=n.rem,
            spans=tuple(self.spans),
            base_ppl=n.base_ppl,
            drift=n.after.drift if n.after else 0.0,
            seconds=self._elapsed,
            peak_bytes=self.backend.peak_memory_bytes(),
        )

    # --- phases of a full sleep -----------------------------------------------------------------------------------

    def curate(self) -> Phase:
        """What the night begins with, and what it trains on."""
        n, s = self.notes, self.settings
        n.gauge = Gauge(self.backend, self.memory, self.facts, s.near_names(self._on_cpu))
        current = View(generation=self.view.generation)
        n.base_ppl = yield from self.memory.perplexity(self.backend, gate_text())
        if self.view.generation is None:
            n.before = yield from n.gauge.of_base()
        else:
            n.before = yield from n.gauge.measure(self.views.mounted(current))
        yield NightTick("curate", 1, 2, "lessons and anchors")
        if self.plan.rebuild:
            replayed = list(self.facts)
        else:
            replayed = yield from chosen(self.backend, self.facts, self.views.mounted(current), s.replay)
        n.curriculum = yield from curate(self.backend, self.memory, replayed, s)
        n.contrasts = Contrasts(self.backend.tokenizer, replayed, self.facts, s, s.seed)

    def sws_train(self) -> Phase:
        """Train the current adapter on, or a fresh one where it is rebuilt."""
        yield from self._trained("sws train", self._current_adapter(), self._sws)

    def sws_gate(self) -> Phase:
        """The candidate against the night's beginning; recall of every fact."""
        n, s = self.notes, self.settings
        assert n.gauge is not None
        assert n.before is not None
        after = yield from n.gauge.measure(self._candidate_view())
        n.sws = self._metrics("sws train", n.before, after)
        held = n.before.recalled(s.recall_threshold)
        if why := refusal(s, n.base_ppl, n.before, after, held):
            raise Rejected(why)
        n.after, n.verdicts = after, judge(self.facts, after, s.recall_threshold)

    def dream(self) -> Phase:
        """Conversations in which facts that the adapter recalls meet."""
        n, s = self.notes, self.settings
        recalled = [v.fact for v in n.verdicts if v.passed]
        if s.rem and len(recalled) > 1:
            n.dreamt = yield from dream(self.backend, recalled, self.facts, s.dreams, s.seed)

    def rem_train(self) -> Phase:
        """Train on the dreams, from where SWS ended."""
        if self.notes.dreamt.dreams:
            self.notes.after_sws = self.notes.adapter
            yield from self._trained("rem train", self.notes.adapter, self._rem)

    def rem_gate(self) -> Phase:
        """The dual gate: where REM harmed, what SWS made stays."""
        n, s = self.notes, self.settings
        if "rem train" not in n.trained:
            return
        assert n.gauge is not None
        assert n.after is not None
        assert n.adapter is not None
        unseen = n.dreamt.unseen
        joint_before = yield from answered_jointly(self.backend, unseen, self._mounted(n.after_sws))
        after = yield from n.gauge.measure(self._candidate_view())
        joint = yield from answered_jointly(self.backend, unseen, self._candidate_view())
        if s.gate == "paper":
            why = paper_refusal(n.after, after, self.facts, s.recall_threshold)
        else:
            why = refusal(s, n.base_ppl, n.after, after, n.after.recalled(s.recall_threshold))
        n.rem = self._metrics("rem train", n.after, after, joint_before, joint, why or "")
        if why:
            n.adapter = n.after_sws
        else:
            n.after, n.verdicts = after, judge(self.facts, after, s.recall_threshold)

    def settle(self) -> Phase:
        """Write the new generation, decide every edit's scale, and test the view that will go live."""
        n = self.notes
        assert n.adapter is not None
        new = NewGeneration(n.adapter, self._stored(n.adapter))
        settlement = Settlement(self.backend, self.blobs, self.editor, self.views, self.settings, self.view)
        n.outcomes = yield from settlement.settle(new, n.verdicts)
        n.generation = new.blob
        yield from self._live_gate(settlement.view(new, n.outcomes))

    # --- phases of a nap ------------------------------------------------------------------------------------------

    def nap_curate(self) -> Phase:
        """What has not been consolidated yet, as it is answered now, edits included."""
        n, s = self.notes, self.settings
        fresh = nap.facts_of(self.facts)
        n.gauge = Gauge(self.backend, self.memory, fresh, s.near_names(self._on_cpu))
        n.base_ppl = yield from self.memory.perplexity(self.backend, gate_text())
        n.before = yield from n.gauge.measure(self.views.mounted(self.view))
        n.curriculum = yield from curate(self.backend, self.memory, fresh, s)
        n.contrasts = Contrasts(self.backend.tokenizer, fresh, self.facts, s, s.seed)

    def nap_train(self) -> Phase:
        """A few steps on top of the current adapter."""
        yield from self._trained("nap train", self._current_adapter(), self._nap)

    def nap_settle(self) -> Phase:
        """Every edit stays as it is, captured under the new generation; the whole view must be no worse than before."""
        n, s = self.notes, self.settings
        assert n.adapter is not None
        assert n.gauge is not None
        assert n.before is not None
        new = NewGeneration(n.adapter, self._stored(n.adapter))
        n.outcomes = nap.outcomes(self.editor, self.blobs, self.views, self.view, self.facts, new)
        live = nap.view(new, n.outcomes)
        after = yield from n.gauge.measure(self.views.mounted(live))
        n.sws = self._metrics("nap train", n.before, after)
        # Edits stand in both views, so the bound over the bare base, which knows none, does not apply.
        if why := refusal(s, n.before.ppl, n.before, after, n.before.recalled(s.recall_threshold)):
            raise Rejected(why)
        n.after, n.generation = after, new.blob

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def _on_cpu(self) -> bool:
        return self.backend.spec.device == "cpu"

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _nothing_to_do(self, napping: bool) -> str:
        if not any(f.stage is not Stage.CONSOLIDATED for f in self.facts) and not self.plan.rebuild:
            return "every fact is consolidated already"
        if napping and not nap.facts_of(self.facts):
            return "there is no edit to strengthen"
        return ""

    def _current_adapter(self) -> Adapter | None:
        if self.plan.rebuild:
            return None
        return self.views.standing(View(generation=self.view.generation)).adapter

    def _trained(
        self,
        phase: str,
        init: Adapter | None,
        training: Callable[[Trainer], Generator[Tick | None, None, Trained]],
    ) -> Phase:
        """Run one training phase, or take what it made before a crash."""
        n, s = self.notes, self.settings
        if blob := self.plan.adapters.get(phase):
            n.adapter = generations.from_bytes(self.blobs.get(blob))
            n.trained[phase] = RESUMED
            return
        trainer = self.backend.trainer(init, s.rank, s.alpha, s.seed, self._scope())
        work = training(trainer)
        while True:
            try:
                tick = next(work)
            except StopIteration as end:
                n.trained[phase] = end.value
                break
            yield None if tick is None else NightTick(phase, tick.step, tick.total, _told(tick))
        n.adapter = trainer.adapter()
        yield Saved(phase, self._stored(n.adapter))

    def _sws(self, trainer: Trainer) -> Generator[Tick | None, None, Trained]:
        n = self.notes
        assert n.curriculum is not None
        assert n.contrasts is not None
        return sws(self.backend, trainer, n.curriculum, n.contrasts, self.settings)

    def _rem(self, trainer: Trainer) -> Generator[Tick | None, None, Trained]:
        n = self.notes
        assert n.curriculum is not None
        assert n.contrasts is not None
        return rem(self.backend, trainer, n.curriculum, n.contrasts, n.dreamt.dreams, self.settings)

    def _nap(self, trainer: Trainer) -> Generator[Tick | None, None, Trained]:
        n = self.notes
        assert n.curriculum is not None
        assert n.contrasts is not None
        return nap.train(self.backend, trainer, n.curriculum, n.contrasts, self.settings)

    def _scope(self) -> LoraScope:
        above = profile_for(self.backend.spec).layers[-1] + 1 if self.settings.layers == "above_edits" else 0
        return LoraScope(above, mlp_only=self.settings.modules == "mlp")

    def _stored(self, adapter: Adapter) -> str:
        return self.blobs.put(generations.to_bytes(adapter, self.settings.alpha, self.backend.spec.name))

    def _mounted(self, adapter: Adapter | None) -> Mounted:
        return self.backend.mount(ViewTensors(adapter))

    def _candidate_view(self) -> Mounted:
        return self._mounted(self.notes.adapter)

    def _live_gate(self, live: View) -> Phase:
        """The view that will go live must not be further from the base's language than the one that it replaces."""
        s, n = self.settings, self.notes
        if s.gate != "strict" or not live.live_edits or n.after is None:
            return  # without edits it is the candidate, which was judged
        base = yield from self.memory.answers(self.backend)
        views = self.views.mounted(self.view), self.views.mounted(live)
        ppl_now = (yield from perplexity(self.backend, gate_text(), views[0])).value
        ppl_then = (yield from perplexity(self.backend, gate_text(), views[1])).value
        drift_now = yield from drift(self.backend, base, views[0])
        drift_then = yield from drift(self.backend, base, views[1])
        if ppl_then > max(ppl_now, n.after.ppl) * (1 + s.ppl_budget):
            raise Rejected(f"with the edits that stay, perplexity would rise by {ppl_then / ppl_now - 1:+.2%}")
        if drift_then > max(s.drift_budget, drift_now):
            raise Rejected(f"with the edits that stay, answers would drift by {drift_then:.3f} nats a token")

    def _metrics(
        self,
        phase: str,
        before: Measurement,
        after: Measurement,
        joint_before: float | None = None,
        joint: float | None = None,
        why: str = "",
    ) -> PhaseMetrics:
        trained, dreams = self.notes.trained[phase], self.notes.dreamt.dreams if phase == "rem train" else ()
        begun = next((span for span in self.spans if span.phase == phase), None)
        return PhaseMetrics(
            ppl_before=before.ppl,
            ppl_after=after.ppl,
            recall_raw=after.raw,
            recall_chat=after.chat,
            steps=trained.steps,
            tokens=trained.tokens,
            loss=trained.loss,
            kl=trained.kl,
            seconds=begun.end - begun.start if begun else 0.0,
            drift=after.drift,
            leaked=after.leaked,
            canaries=after.canaries,
            joint=joint,
            joint_before=joint_before,
            dreams=len(dreams),
            dreams_written=sum(d.written for d in dreams),
            refusal=why,
        )


def _told(tick: Tick) -> str:
    """A training step in a few words."""
    checked = tick.checked
    return f"loss {tick.loss:.2f}, {checked.recalled:.0%} of the facts recalled, {checked.leaked:.0%} leaks"


SLEEP: tuple[tuple[str, Callable[[Night], Phase]], ...] = (
    ("curate", Night.curate),
    ("sws train", Night.sws_train),
    ("sws gate", Night.sws_gate),
    ("dream", Night.dream),
    ("rem train", Night.rem_train),
    ("rem gate", Night.rem_gate),
    ("commit", Night.settle),
)
NAP: tuple[tuple[str, Callable[[Night], Phase]], ...] = (
    ("curate", Night.nap_curate),
    ("nap train", Night.nap_train),
    ("nap gate", Night.nap_settle),
)
