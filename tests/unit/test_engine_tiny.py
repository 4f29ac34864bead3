"""Learning, sleeping and the host's loop over a tiny random model: every step real, only the model is small."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.host.channel import Channel, Closed
from sleepengine.host.engine import ModelEngine
from sleepengine.host.loop import Loop
from sleepengine.host.messages import (
    Beat,
    Cancel,
    Chunk,
    Done,
    Failed,
    Generate,
    Generated,
    Learn,
    Learned,
    Measure,
    Mount,
    Order,
    Progress,
    Ready,
    Report,
    Sleep,
    Slept,
    decode_report,
    encode,
)
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import FactState, Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.cycle import SLEEP, Aborted, Night, NightTick, Saved
from sleepengine.sleep.report import NightReport, Plan
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.covariance import Covariance, estimate
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile
from tests.unit.engine_parts import drain, fact, small_measures, tiny_backend

PROFILE = EditProfile(
    layers=(1, 2), ridge=0.1, steps=40, learning_rate=0.5, clamp=20.0, hold_weight=0.0, enough=0.9, collateral=1e9
)  # fmt: skip
EASY = SleepSettings(
    rank=8, alpha=16.0, learning_rate=0.02, steps=24, contrast_factor=0.01, anchor_factor=0.01, effort="short",
    mine_rows=4, dreams=2, nap_steps=4, leak_prompts=4, ppl_budget=1e9, lifetime_ppl_budget=1e9, drift_budget=1e9,
    canary_share=0.0, leak_rise=1.0,
)  # fmt: skip
TEXTS = ["The quick brown fox jumps over the lazy dog, and people say that it is well known. " * 20]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small_measures(monkeypatch)


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    return tiny_backend()


@pytest.fixture(scope="module")
def covariance(backend: TorchBackend) -> Covariance:
    return drain(estimate(backend, PROFILE.layers, TEXTS))


@pytest.fixture
def engine(backend: TorchBackend, covariance: Covariance, tmp_path: Path) -> ModelEngine:
    return ModelEngine(backend, BlobStore(tmp_path / "blobs"), Memit(backend, PROFILE, covariance), 0.0)


def night(engine: ModelEngine, facts, view: View, settings: SleepSettings = EASY, plan: Plan | None = None) -> Night:
    return Night(
        engine.backend, engine.blobs, engine.editor, engine.views, BaseMemory(), facts, view, settings, plan or Plan()
    )


def recorded(work, steps: list[object]):
    """A night whose steps are noted down."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value
        steps.append(step)
        yield step


def test_an_edit_raises_its_fact_and_removing_it_restores_the_bytes(engine: ModelEngine) -> None:
    backend, editor = engine.backend, engine.editor
    idris, mara = fact(), fact("Mara Lindqvist", "lives in", "Lisbon")
    bare = Standing(None, None, ())
    (first,) = drain(editor.learn([idris], bare))
    with_first = Standing(None, None, (ScaledEdit(first, 1.0),))
    (second,) = drain(editor.learn([mara], with_first))
    ids = backend.tokenizer.encode("Idris Larsson works as a carpenter")
    start = len(backend.tokenizer.encode("Idris Larsson works as a"))

    def loss(*edits) -> float:
        view = backend.mount(editor.tensors(bare, [ScaledEdit(e, 1.0) for e in edits]))
        return float(backend.nll(ids, start, view).mean())

    assert loss(first) < loss() - 0.5
    assert loss(first, second) < loss() - 0.5
    assert loss() == float(backend.nll(ids, start, backend.bare).mean())
    assert first.header.layers == PROFILE.layers
    assert len({row.tobytes() for row in first.keys[1]}) == len(first.keys[1])


def test_a_night_commits_a_generation_that_knows(engine: ModelEngine) -> None:
    facts = [
        fact(),
        fact("Mara Lindqvist", "lives in", "Lisbon"),
        fact("Tomas", "plays the", "cello", FactState.PENDING),
    ]
    (edit,) = drain(engine.editor.learn(facts[:1], Standing(None, None, ())))
    view = View(edits=(EditRef(fact_id=facts[0].id, blob=engine.blobs.put(edit.to_bytes())),))
    report: NightReport = drain(night(engine, facts, view).run())
    assert report.outcome == "committed", report.reason
    assert report.generation is not None
    assert {o.fact_id for o in report.facts} == {f.id for f in facts}
    for outcome in report.facts:
        assert outcome.stage == (Stage.CONSOLIDATING if outcome.passed else Stage.ACTIVE)
        assert outcome.scale == (0.0 if outcome.blob is None else EASY.residual_scale if outcome.passed else 1.0)
        if outcome.blob is not None:
            assert engine.views.edit(outcome.blob).header.generation == report.generation
    assert [span.phase for span in report.spans] == [name for name, _ in SLEEP]
    trained = engine.views.mounted(View(generation=report.generation))
    ids = engine.backend.tokenizer.encode("Idris Larsson works as a carpenter")
    before, after = (engine.backend.nll(ids, 3, v).mean() for v in (engine.views.mounted(View()), trained))
    assert after < before


def test_a_second_night_starts_from_the_first(engine: ModelEngine) -> None:
    one = fact()
    first: NightReport = drain(night(engine, [one], View()).run())
    assert first.generation is not None
    second: NightReport = drain(night(engine, [one], View(generation=first.generation)).run())
    assert second.outcome == "committed"
    assert second.generation not in (None, first.generation)


def test_a_night_that_harms_is_rejected_and_leaves_no_trace(engine: ModelEngine) -> None:
    strict = msgspec.structs.replace(EASY, ppl_budget=-1.0)
    blobs = set(engine.blobs)
    work = night(engine, [fact()], View(), strict).run()
    steps: list[object] = []
    report: NightReport = drain(recorded(work, steps))
    saved = {s.blob for s in steps if isinstance(s, Saved)}
    assert report.outcome == "rejected"
    assert "perplexity" in report.reason
    assert report.generation is None
    assert report.facts == ()
    assert set(engine.blobs) - blobs == saved  # garbage that nothing names


def test_a_night_is_aborted_in_every_phase(engine: ModelEngine) -> None:
    facts = [fact(), fact("Mara Lindqvist", "lives in", "Lisbon")]
    quick = msgspec.structs.replace(EASY, steps=2, mine_rows=0, leak_prompts=0, recall_threshold=0.0)
    for phase, _ in SLEEP:
        work = night(engine, facts, View(), quick).run()
        for tick in work:
            if isinstance(tick, NightTick) and tick.phase == phase:
                break
        with pytest.raises(StopIteration) as end:
            work.throw(Aborted("cancelled"))
        assert end.value.value.outcome == "aborted"
        assert end.value.value.generation is None


def test_consolidated_facts_need_no_night(engine: ModelEngine) -> None:
    assert drain(night(engine, [fact(stage=Stage.CONSOLIDATED)], View()).run()).outcome == "nothing"


def test_perplexity_is_exp_of_the_mean_loss(backend: TorchBackend) -> None:
    text = "The quick brown fox jumps over the lazy dog."
    ids = backend.tokenizer.encode(text)
    measured = drain(perplexity(backend, text, backend.bare))
    assert measured.tokens == len(ids) - 1
    assert measured.value == pytest.approx(float(np.exp(backend.nll(ids, 1, backend.bare).mean())), rel=1e-4)
    with pytest.raises(ValueError, match="fewer than two"):
        drain(perplexity(backend, "", backend.bare))


class Parent:
    """The daemon's end of the channel, and a loop running over the other."""

    def __init__(self, engine: ModelEngine) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(60)
        self._thread = threading.Thread(target=self._run, args=(engine, theirs))
        self._thread.start()
        assert isinstance(self.read(), Ready)

    def _run(self, engine: ModelEngine, theirs: socket.socket) -> None:
        with theirs, pytest.raises(Closed):
            Loop(engine, Channel(theirs)).run()

    def give(self, *orders: Order) -> None:
        self._ours.sendall(b"".join(encode(order) for order in orders))

    def read(self) -> Report:
        size = int.from_bytes(self._exactly(4), "big")
        return decode_report(self._exactly(size))

    def until_end(self, order: str) -> list[Report]:
        reports: list[Report] = []
        while not (reports and reports[-1].id == order and isinstance(reports[-1], Done | Failed)):  # type: ignore[union-attr]
            reports.append(self.read())
        return reports

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._ours.recv(size - len(data))
            assert piece, "the host closed the channel"
            data += piece
        return data

    def close(self) -> None:
        self._ours.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def parent(engine: ModelEngine):
    parent = Parent(engine)
    yield parent
    parent.close()


def test_the_loop_streams_and_what_is_streamed_is_the_reply(parent: Parent) -> None:
    parent.give(Generate(id="g", messages=(("user", "Where does Mara live?"),), max_tokens=8))
    *chunks, end = parent.until_end("g")
    assert isinstance(end, Done)
    assert isinstance(end.result, Generated)
    assert end.result.finish in ("stop", "length")
    assert "".join(c.text for c in chunks if isinstance(c, Chunk)) == end.result.text
    assert "Where does Mara live?" in end.result.prompt


def test_a_reply_is_cancelled_between_tokens_and_keeps_what_it_has(parent: Parent) -> None:
    parent.give(Generate(id="g", text="The quick brown", max_tokens=400))
    parent.read()
    parent.give(Cancel(id="c", target="g"))
    end = parent.until_end("c")
    done = next((r for r in end if isinstance(r, Done) and r.id == "g"), None) or parent.until_end("g")[-1]
    assert isinstance(done, Done)
    assert isinstance(done.result, Generated)
    assert done.result.finish == "cancelled"
    assert 0 < done.result.tokens < 400


def test_chat_is_answered_while_it_learns(parent: Parent) -> None:
    one = fact()
    parent.give(Learn(id="l", facts=(one,), view=View()), Generate(id="g", text="My dog", max_tokens=4))
    reports = parent.until_end("l")
    assert any(isinstance(r, Done) and r.id == "g" for r in reports)
    end = reports[-1]
    assert isinstance(end, Done)
    assert isinstance(end.result, Learned)
    assert end.result.edits[0].fact_id == one.id


def test_a_bad_order_fails_alone(parent: Parent) -> None:
    missing = View(generation="0" * 64)
    parent.give(Mount(id="m", view=missing), Generate(id="g", text="", max_tokens=1), Measure(id="p", text="x y z"))
    failed = {r.id: r for r in (*parent.until_end("m"), *parent.until_end("p")) if isinstance(r, Failed)}
    assert failed["m"].code == "storage"
    assert set(failed) == {"m", "g"}
    parent.give(Beat(id="b"))
    assert isinstance(parent.until_end("b")[-1], Done)


def test_an_edit_that_damages_the_model_is_thrown_away(
    backend: TorchBackend, covariance: Covariance, tmp_path: Path
) -> None:
    strict = Memit(backend, msgspec.structs.replace(PROFILE, collateral=0.0), covariance)
    engine = ModelEngine(backend, BlobStore(tmp_path / "blobs"), strict, 0.0)
    *_, end = (r for r in engine.start(Learn(id="l", facts=(fact(),), view=View())) if r is not None)
    assert isinstance(end, Done)
    assert isinstance(end.result, Learned)
    assert end.result.edits[0].blob is None
    assert end.result.edits[0].note
    assert list(engine.blobs) == []


def test_a_reply_begins_while_it_sleeps(engine: ModelEngine) -> None:
    """Between two work items of the training an answer runs to its end; the night goes on and commits."""
    parent = Parent(engine)
    try:
        settings = msgspec.structs.replace(EASY, steps=6, rem=False, leak_prompts=0)
        parent.give(Sleep(id="s", cycle=1, plan=Plan(), facts=(fact(),), view=View(), settings=settings))
        while not (isinstance(report := parent.read(), Progress) and report.phase == "sws train"):
            assert not isinstance(report, Done | Failed)
        parent.give(Generate(id="g", messages=(("user", "Where does Mara live?"),), max_tokens=8))
        slept_first = 0
        while not (isinstance(report, Done) and report.id == "g"):
            report = parent.read()
            slept_first += isinstance(report, Progress)
            assert not (isinstance(report, Done) and report.id == "s"), "the answer came after the night"
        assert slept_first <= 2
        end = parent.until_end("s")[-1]
        assert isinstance(end, Done)
        assert isinstance(end.result, Slept)
        assert end.result.report.outcome == "committed"
        assert end.result.report.peak_bytes > 0
    finally:
        parent.close()


def test_a_nap_leaves_edits_as_they_are(engine: ModelEngine) -> None:
    idris = fact()
    (edit,) = drain(engine.editor.learn([idris], Standing(None, None, ())))
    view = View(edits=(EditRef(fact_id=idris.id, blob=engine.blobs.put(edit.to_bytes()), scale=0.7),))
    settings = msgspec.structs.replace(EASY, leak_prompts=0, recall_loss=1.0)
    report: NightReport = drain(night(engine, [idris], view, settings, Plan(kind="nap")).run())
    assert report.outcome == "committed", report.reason
    (outcome,) = report.facts
    assert (outcome.stage, outcome.scale) == (Stage.ACTIVE, 0.7)
    assert outcome.blob is not None
    assert engine.views.edit(outcome.blob).header.generation == report.generation
    assert engine.views.edit(outcome.blob).residuals[1].tobytes() == edit.residuals[1].tobytes()


def test_a_night_goes_on_from_what_a_crash_left(engine: ModelEngine) -> None:
    """With what training made in the plan, the same night trains nothing and proposes the very same adapter."""
    facts, steps = [fact(), fact("Mara Lindqvist", "lives in", "Lisbon")], []
    settings = msgspec.structs.replace(EASY, steps=3, leak_prompts=0, recall_threshold=0.0)
    whole: NightReport = drain(recorded(night(engine, facts, View(), settings).run(), steps))
    made = {s.phase: s.blob for s in steps if isinstance(s, Saved)}
    assert set(made) == {"sws train", "rem train"}
    again: NightReport = drain(night(engine, facts, View(), settings, Plan(adapters=made)).run())
    assert (again.outcome, again.generation) == (whole.outcome, whole.generation) == ("committed", whole.generation)
    assert again.sws is not None
    assert again.sws.steps == 0
    assert [o.stage for o in again.facts] == [o.stage for o in whole.facts]


def test_arms_of_training_run_on_the_tiny_model(engine: ModelEngine) -> None:
    for arm in (
        {"targets": "teacher"}, {"targets": "self_answers"}, {"strangers": "abstain"}, {"modules": "mlp"},
    ):  # fmt: skip
        settings = msgspec.convert(
            {**msgspec.to_builtins(EASY), "steps": 2, "rem": False, "leak_prompts": 0, "mine_rows": 0, **arm},
            SleepSettings,
        )
        report: NightReport = drain(night(engine, [fact()], View(), settings).run())
        assert report.outcome == "committed", report.reason
        assert report.sws is not None
        assert report.sws.loss > 0
