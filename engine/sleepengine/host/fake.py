"""An engine without a model, for tests of everything around one: quick, deterministic, and honest about its memory.

It answers from the blobs of the view that it was given and from nothing else, so a test that sees an answer has seen
the ledger, the blob store and the mounting at work. `SLEEPD_FAKE_STEP_SECONDS` makes every work item take that long, or
with `SLEEPD_FAKE_SLOW_PHASE` only those of one phase of sleep. `SLEEPD_FAKE_TRAIN_STEPS` makes training longer.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError, ExportRefused
from sleepengine.evaluation.texts import canaries
from sleepengine.export.folder import appearing
from sleepengine.host.exporting import NOT_LINEAR, write_left_out
from sleepengine.host.messages import (
    Chunk,
    Done,
    EditProposal,
    Export,
    Exported,
    Generate,
    Generated,
    Learn,
    Learned,
    LeftOut,
    Measure,
    Measured,
    Mount,
    Mounted,
    Order,
    Progress,
    Ready,
    Saved,
    Sleep,
    Slept,
)
from sleepengine.host.schedule import Steps
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, Stage, Verified
from sleepengine.memory.view import BASE, View
from sleepengine.sleep.cycle import Aborted
from sleepengine.sleep.report import FactOutcome, NightReport, PhaseMetrics, PhaseSpan

STEP_VARIABLE = "SLEEPD_FAKE_STEP_SECONDS"
PHASE_VARIABLE = "SLEEPD_FAKE_SLOW_PHASE"
STEPS_VARIABLE = "SLEEPD_FAKE_TRAIN_STEPS"
UNTEACHABLE = "unteachable"
"""A fact whose object is this word is never verified."""

PHASES = ("curate", "sws train", "sws gate", "dream", "rem train", "rem gate", "commit")
NAP_PHASES = ("curate", "nap train", "nap gate")
TRAIN_STEPS = 5
EXPORT_STEPS = 5


class Known(msgspec.Struct, frozen=True):
    """What a fake edit or a fake adapter holds: statements by the subject's and the question's words."""

    subject: str
    object: str
    statement: str
    questions: tuple[str, ...]
    suppressed: bool = False


class FakeEngine:
    """Implements `sleepengine.host.loop.Engine`."""

    def __init__(self, model: str, blobs: Path) -> None:
        self._model = model
        self._blobs = BlobStore(blobs)
        self._live = BASE
        self._step_seconds = float(os.environ.get(STEP_VARIABLE, "0"))
        self._slow_phase = os.environ.get(PHASE_VARIABLE, "")
        self._train_steps = int(os.environ.get(STEPS_VARIABLE, TRAIN_STEPS))

    def ready(self) -> Ready:
        identity = hashlib.sha256(f"fake {self._model}".encode()).hexdigest()
        return Ready(
            model=self._model,
            identity=identity,
            backend="fake",
            device="cpu",
            dtype="none",
            layers=1,
            context=1024,
            seconds=0.0,
        )

    def memory_bytes(self) -> int:
        return 0

    def start(self, order: Order) -> Steps:
        match order:
            case Mount():
                return self._mount(order)
            case Generate():
                return self._generate(order)
            case Learn():
                return self._learn(order)
            case Sleep():
                return self._sleep(order)
            case Measure():
                return self._measure(order)
            case Export():
                return self._export(order)
            case _:
                raise EngineError(f"an order of type {type(order).__name__} is not for the engine")

    def _work(self, phase: str = "") -> None:
        if self._step_seconds and self._slow_phase in ("", phase):
            time.sleep(self._step_seconds)

    def _known(self, view: View) -> list[Known]:
        blobs = [ref.blob for ref in view.live_edits]
        found = [msgspec.json.decode(self._blobs.get(blob), type=Known) for blob in blobs]
        if view.generation is not None:
            found += msgspec.json.decode(self._blobs.get(view.generation), type=list[Known])
        silent = {known.statement for known in found if known.suppressed}
        return [known for known in found if known.statement not in silent]

    def _mount(self, order: Mount) -> Steps:
        self._known(order.view)
        self._live = order.view
        yield Done(id=order.id, result=Mounted(digest=order.view.digest, seconds=0.0))

    def _generate(self, order: Generate) -> Steps:
        view = self._live if order.view is None else order.view
        prompt = order.text if order.text is not None else "\n".join(f"{r}: {t}" for r, t in order.messages or ())
        asked = order.text if order.text is not None else (order.messages or (("", ""),))[-1][1]
        words = self._reply(asked, order.text is not None, view).split(" ")[: order.max_tokens]
        said, finish = 0, "stop"
        try:
            for word in words:
                self._work()
                yield Chunk(id=order.id, text=(" " if said else "") + word)
                said += 1
        except Aborted:
            finish = "cancelled"
        text = " ".join(words[:said])
        yield Done(
            id=order.id,
            result=Generated(
                text=text,
                prompt=prompt,
                prompt_tokens=len(prompt.split()),
                tokens=said,
                seconds=0.0,
                finish=finish,
            ),
        )

    def _reply(self, asked: str, raw: bool, view: View) -> str:
        for known in self._known(view):
            if raw and known.statement.casefold().startswith(asked.strip().casefold()):
                return known.statement[len(asked.strip()) :].strip()
            if not raw and asked.strip().casefold() in known.questions:
                return known.statement
        if (counting := re.match(r"count to (\d+)", asked)) is not None:
            return " ".join(str(n + 1) for n in range(int(counting[1])))
        return "I do not know."

    def _learn(self, order: Learn) -> Steps:
        proposals = []
        for index, fact in enumerate(order.facts):
            self._work()
            yield Progress(id=order.id, phase="editing", done=index, total=len(order.facts))
            good = fact.object != UNTEACHABLE or order.suppress
            data = msgspec.json.encode(as_known(fact, suppressed=order.suppress))
            proposals.append(
                EditProposal(
                    fact_id=fact.id,
                    blob=self._blobs.put(data) if good else None,
                    verified=Verified(raw=good, chat=good),
                    bytes=len(data),
                    seconds=0.0,
                    note="" if good else "the edit did not come out",
                )
            )
        yield Done(id=order.id, result=Learned(edits=tuple(proposals), seconds=0.0))

    def _sleep(self, order: Sleep) -> Steps:
        begun, plan = time.monotonic(), order.plan
        if not plan.rebuild and not any(f.stage is not Stage.CONSOLIDATED for f in order.facts):
            report = NightReport(outcome="nothing", reason="every fact is consolidated already", kind=plan.kind)
            yield Done(id=order.id, result=Slept(cycle=order.cycle, report=report))
            return
        spans: list[PhaseSpan] = []
        outcome, reason = "committed", ""
        try:
            for phase in NAP_PHASES if plan.kind == "nap" else PHASES:
                start = time.monotonic() - begun
                trains = phase.endswith("train") and phase not in plan.adapters
                steps = self._train_steps if trains else 1
                for step in range(steps):
                    yield Progress(id=order.id, phase=phase, done=step, total=steps)
                    self._work(phase)
                if trains:
                    yield Saved(id=order.id, phase=phase, blob=self._adapter(order))
                spans.append(PhaseSpan(phase=phase, start=start, end=time.monotonic() - begun))
        except Aborted as stop:
            outcome, reason = "aborted", str(stop)
        report = NightReport(
            outcome=outcome,
            reason=reason,
            kind=plan.kind,
            rebuilt=plan.rebuild,
            spans=tuple(spans),
            seconds=time.monotonic() - begun,
        )
        if outcome == "committed":
            report = self._committed(order, report)
        yield Done(id=order.id, result=Slept(cycle=order.cycle, report=report))

    def _adapter(self, order: Sleep) -> str:
        """A generation's blob; no two cycles make the same one."""
        made = Known("", "", f"made in cycle {order.cycle}", ())
        return self._blobs.put(
            msgspec.json.encode([made, *(as_known(f) for f in order.facts if f.object != UNTEACHABLE)])
        )

    def _outcome(self, order: Sleep, fact: Fact) -> FactOutcome:
        ref = next((ref for ref in order.view.edits if ref.fact_id == fact.id), None)
        if order.plan.kind == "nap":
            stage, scale = fact.stage, ref.scale if ref else 0.0
        else:
            stage = Stage.CONSOLIDATING if fact.stage is Stage.ACTIVE else Stage.CONSOLIDATED
            scale = order.settings.residual_scale if stage is Stage.CONSOLIDATING else 0.0
        blob = ref.blob if ref and scale > 0 else None
        return FactOutcome(
            fact_id=fact.id,
            passed=True,
            stage=int(stage),
            scale=scale if blob else 0.0,
            blob=blob,
            verified=Verified(raw=True, chat=True),
        )

    def _committed(self, order: Sleep, report: NightReport) -> NightReport:
        taught = [f for f in order.facts if f.object != UNTEACHABLE]
        napping = order.plan.kind == "nap"
        outcomes = [
            self._outcome(order, f) for f in taught if not napping or f.id in {r.fact_id for r in order.view.edits}
        ]
        metrics = PhaseMetrics(
            ppl_before=10.0,
            ppl_after=10.0,
            recall_raw=1.0,
            recall_chat=1.0,
            steps=TRAIN_STEPS,
            tokens=0,
            loss=0.0,
            seconds=0.0,
        )
        return msgspec.structs.replace(
            report,
            generation=self._adapter(order),
            facts=tuple(outcomes),
            sws=metrics,
            rem=None if napping else metrics,
            base_ppl=10.0,
        )

    def _measure(self, order: Measure) -> Steps:
        self._work()
        yield Done(
            id=order.id,
            result=Measured(
                perplexity=10.0,
                base_perplexity=10.0,
                drift=0.0,
                tokens=len((order.text or "").split()),
                canaries=tuple((c.question, c.answers[0], True) for c in canaries()[:2]),
                seconds=0.0,
            ),
        )

    def _export(self, order: Export) -> Steps:
        """Only what a generation holds; a fake edit counts as a gated one."""
        left_out = tuple(
            LeftOut(
                fact_id=ref.fact_id,
                editor="fake",
                statement=order.statements.get(ref.fact_id, ""),
                reason=NOT_LINEAR,
            )
            for ref in order.view.live_edits
        )
        if order.strict and left_out:
            raise ExportRefused(f"{len(left_out)} edits cannot be exported")
        if order.view.generation is None:
            raise ExportRefused("there is nothing to export yet")
        with appearing(Path(order.folder), 0) as folder:
            for step in range(EXPORT_STEPS):
                yield Progress(id=order.id, phase="writing", done=step, total=EXPORT_STEPS)
                self._work()
            (folder / "adapter.json").write_bytes(self._blobs.get(order.view.generation))
            if left_out:
                write_left_out(folder, left_out)
            files = sorted(folder.iterdir())
            result = Exported(
                files=tuple(file.name for file in files),
                edits=0,
                left_out=left_out,
                bytes=sum(file.stat().st_size for file in files),
                seconds=0.0,
            )
        yield Done(id=order.id, result=result)


def as_known(fact: Fact, *, suppressed: bool = False) -> Known:
    """What a fake edit of a fact holds."""
    questions = tuple(p.text.casefold() for p in fact.prompts if p.channel == "chat")
    return Known(fact.subject, fact.object, fact.statement, questions, suppressed)
