"""Orders answered by a real model."""

from __future__ import annotations

import time
from collections.abc import Generator

from sleepengine.backends.base import Backend, Sampling
from sleepengine.errors import EngineError, ExportRefused
from sleepengine.evaluation.drift import BaseMemory, canary_replies, drift
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.texts import gate_text
from sleepengine.host.exporting import export
from sleepengine.host.messages import (
    Chunk,
    Done,
    EditProposal,
    Export,
    Generate,
    Generated,
    Learn,
    Learned,
    Measure,
    Measured,
    Mount,
    Mounted as MountedReport,
    Order,
    Progress,
    Ready,
    Report,
    Saved as SavedReport,
    Sleep,
    Slept,
)
from sleepengine.host.schedule import Steps
from sleepengine.host.text import TextStream
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.view import BASE, View
from sleepengine.models.registry import ModelRecord
from sleepengine.sleep.cycle import Aborted, Night, NightTick, Saved, Step
from sleepengine.wake.editing import Editor, Silencer
from sleepengine.wake.learning import learn
from sleepengine.wake.suppression import silence
from sleepengine.wake.views import Views

NOT_OUT = "the edit did not come out; it will be trained at the next sleep"
NOT_SILENT = "the adapter still tells it; the next sleep unlearns it"


class ModelEngine:
    """Implements `sleepengine.host.loop.Engine` over a backend, a blob store and an editor."""

    def __init__(
        self,
        backend: Backend,
        blobs: BlobStore,
        editor: Editor,
        load_seconds: float,
        checkpoint: ModelRecord | None = None,
        silencer: Silencer | None = None,
    ) -> None:
        """`checkpoint` is what the backend was loaded from; without it nothing can be exported. Without a `silencer`
        nothing can be suppressed."""
        self.backend, self.blobs, self.editor, self.silencer = backend, blobs, editor, silencer
        self._checkpoint = checkpoint
        self.views = Views(backend, blobs, editor)
        self.live = BASE
        self._load_seconds = load_seconds
        self._base = BaseMemory()

    def ready(self) -> Ready:
        spec = self.backend.spec
        return Ready(
            model=spec.name,
            identity=spec.identity,
            backend=spec.backend,
            device=spec.device,
            dtype=spec.dtype,
            layers=spec.layers,
            context=spec.context,
            seconds=self._load_seconds,
        )

    def memory_bytes(self) -> int:
        return self.backend.memory_bytes()

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

    def _mount(self, order: Mount) -> Steps:
        begun = time.monotonic()
        self.views.mounted(order.view)
        self.live = order.view
        yield Done(id=order.id, result=MountedReport(digest=order.view.digest, seconds=time.monotonic() - begun))

    def _generate(self, order: Generate) -> Steps:
        begun, tokenizer = time.monotonic(), self.backend.tokenizer
        if order.messages is not None:
            prompt = tokenizer.render_chat(order.messages)
        elif order.text is not None:
            prompt = order.text
        else:
            raise EngineError("there is nothing to continue")
        view = self.live if order.view is None else order.view
        mounted = self.views.mounted(view)
        ids = tokenizer.encode(prompt)
        room = self.backend.spec.context - len(ids)
        if not ids or room < 1:
            raise EngineError(f"a prompt of {len(ids)} tokens does not fit a context of {self.backend.spec.context}")
        sampling = Sampling(min(order.max_tokens, room), order.temperature, order.seed, order.schema)
        text, finish = TextStream(tokenizer), "cancelled"
        stream = self.backend.stream(ids, mounted, sampling, order.session, self.views.talk_digest(view))
        try:
            while True:
                try:
                    token = next(stream)
                except StopIteration as end:
                    finish = end.value
                    break
                fresh = text.push(token) if token is not None else ""
                yield Chunk(id=order.id, text=fresh) if fresh else None
        except Aborted:
            stream.close()
        if rest := text.rest():
            yield Chunk(id=order.id, text=rest)
        yield Done(
            id=order.id,
            result=Generated(
                text=text.text,
                prompt=prompt,
                prompt_tokens=len(ids),
                tokens=text.tokens,
                seconds=time.monotonic() - begun,
                finish=finish,
            ),
        )

    def _learn(self, order: Learn) -> Steps:
        begun = time.monotonic()
        standing = self.views.standing(order.view)
        if not order.suppress:
            work = learn(self.backend, self.editor, order.facts, standing)
        elif self.silencer is None:
            raise EngineError("this engine has no editor that can suppress facts")
        else:
            work = silence(self.backend, self.editor, self.silencer, order.facts, standing, order.held)
        while True:
            try:
                tick = next(work)
            except StopIteration as end:
                learnt = end.value
                break
            yield (
                None
                if tick is None
                else Progress(
                    id=order.id,
                    phase=tick.phase,
                    done=tick.attempt - 1,
                    total=tick.attempt,
                    detail=f"attempt {tick.attempt}",
                )
            )
        proposals = []
        for one in learnt:
            data = one.edit.to_bytes()
            good = one.verified.raw or one.verified.chat
            proposals.append(
                EditProposal(
                    fact_id=one.fact.id,
                    blob=self.blobs.put(data) if good else None,
                    verified=one.verified,
                    bytes=len(data),
                    seconds=one.seconds,
                    note="" if good else NOT_SILENT if order.suppress else NOT_OUT,
                )
            )
        yield Done(id=order.id, result=Learned(edits=tuple(proposals), seconds=time.monotonic() - begun))

    def _sleep(self, order: Sleep) -> Steps:
        night = Night(
            self.backend,
            self.blobs,
            self.editor,
            self.views,
            self._base,
            order.facts,
            order.view,
            order.settings,
            order.plan,
        )
        work = night.run()
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                report = end.value
                break
            try:
                yield _told(order.id, step)
            except Aborted as stop:
                try:
                    work.throw(stop)
                except StopIteration as end:
                    report = end.value
                    break
        yield Done(id=order.id, result=Slept(cycle=order.cycle, report=report))

    def _export(self, order: Export) -> Steps:
        if self._checkpoint is None:
            raise ExportRefused("the model was not loaded from a checkpoint")
        yield from export(order, self.backend, self.editor, self.views.standing(order.view), self._checkpoint)

    def _measure(self, order: Measure) -> Steps:
        begun = time.monotonic()
        view = self.live if order.view is None else order.view
        mounted, base = self.views.mounted(view), self.views.mounted(View())
        text = order.text if order.text is not None else gate_text()
        answers = yield from self._base.answers(self.backend)
        measured = yield from perplexity(self.backend, text, mounted)
        of_base = measured if view.digest == BASE.digest else (yield from perplexity(self.backend, text, base))
        moved = yield from drift(self.backend, answers, mounted)
        replies = yield from canary_replies(self.backend, answers, mounted)
        yield Done(
            id=order.id,
            result=Measured(
                perplexity=measured.value,
                base_perplexity=of_base.value,
                drift=moved,
                tokens=measured.tokens,
                canaries=tuple((r.canary.question, r.reply, r.accepted) for r in replies),
                seconds=time.monotonic() - begun,
            ),
        )


def _told(order: str, step: Step) -> Report | None:
    match step:
        case NightTick():
            return Progress(id=order, phase=step.phase, done=step.done, total=step.total, detail=step.detail)
        case Saved():
            return SavedReport(id=order, phase=step.phase, blob=step.blob)
        case None:
            return None


def reports(steps: Generator[Report | None, None, None]) -> list[Report]:
    """All reports of an order, run to its end; for use without a loop."""
    return [report for report in steps if report is not None]
