"""What is learned in one backend is known in the other: edits, gates, nights, and the ledger that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sleepengine.backends.base import BARE, Backend, Sampling, ViewTensors
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.host.engine import ModelEngine
from sleepengine.host.messages import Done, Generate, Generated, Learn, Learned, Mount
from sleepengine.memory import records
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.edits import GatedEdit, MemitEdit
from sleepengine.memory.facts import Fact, FactState, Verified
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.cycle import Night
from sleepengine.sleep.report import NightReport, Plan
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.covariance import Covariance, estimate
from sleepengine.wake.editing import Editors, ScaledEdit, Standing
from sleepengine.wake.gated import Gated
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile, GateProfile
from sleepengine.wake.relations import RelationSpace, fit
from tests.mlx.conftest import Pair
from tests.unit.engine_parts import drain, fact, few_wordings, small_measures

__all__ = ["few_wordings"]  # a fixture

LINEAR = EditProfile(
    layers=(1, 2), ridge=0.1, steps=25, learning_rate=0.5, clamp=20.0, hold_weight=0.0, enough=0.9, collateral=1e9
)  # fmt: skip
GATED = GateProfile(
    relation_layers=(1, 2), relation_threshold=-0.24, first_person_threshold=0.0, value_layer=1, steps=25,
    learning_rate=0.5, clamp=20.0, enough=0.9,
)  # fmt: skip
EASY = SleepSettings(
    rank=4, alpha=8.0, learning_rate=0.02, steps=12, contrast_factor=0.01, anchor_factor=0.01, effort="short",
    mine_rows=2, dreams=2, nap_steps=4, leak_prompts=0, ppl_budget=1e9, lifetime_ppl_budget=1e9, drift_budget=1e9,
    canary_share=0.0, leak_rise=1.0, recall_threshold=0.0,
)  # fmt: skip
TEXTS = ["The quick brown fox jumps over the lazy dog, and people say that it is well known. " * 20]
ANSWERS = ("Idris Larsson works as a", " carpenter"), ("Mara Lindqvist lives in", " Lisbon")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small_measures(monkeypatch)


@pytest.fixture(scope="module")
def statistics(pair: Pair) -> Callable[[Backend], tuple[Covariance, RelationSpace]]:
    """What the editors measure of the model, each by its own backend."""
    with pytest.MonkeyPatch.context() as patch:
        few_wordings.__wrapped__(patch)  # type: ignore[attr-defined]
        spaces = {}
        for backend in (pair.mlx, pair.torch):
            space = drain(fit(backend, GATED.relation_layers))
            spaces[backend.spec.backend] = (drain(estimate(backend, LINEAR.layers, TEXTS)), space)
    return lambda backend: spaces[backend.spec.backend]


@pytest.fixture(params=["memit", "gated"])
def engines(request: pytest.FixtureRequest, pair: Pair, statistics, tmp_path: Path) -> tuple[ModelEngine, ModelEngine]:
    """One engine of each backend over one folder of blobs; mlx comes first."""
    return engine(pair, pair.mlx, statistics, tmp_path, request.param), engine(
        pair, pair.torch, statistics, tmp_path, request.param
    )


def engine(pair: Pair, backend: Backend, statistics, folder: Path, active: str) -> ModelEngine:
    covariance, space = statistics(backend)
    editors = Editors(
        active,
        {"memit": lambda: Memit(backend, LINEAR, covariance), "gated": lambda: Gated(backend, GATED, space)},
    )
    return ModelEngine(backend, BlobStore(folder / "blobs"), editors, 0.0, pair.record)


def facts() -> list[Fact]:
    return [fact(), fact("Mara Lindqvist", "lives in", "Lisbon")]


def losses(engine: ModelEngine, view: View) -> list[float]:
    """Nats a token of each answer, as the model writes it."""
    mounted, encode = engine.views.mounted(view), engine.backend.tokenizer.encode
    return [
        float(engine.backend.nll((*encode(before), *encode(answer)), len(encode(before)), mounted).mean())
        for before, answer in ANSWERS
    ]


def said(engine: ModelEngine, view: View, question: str) -> str:
    order = Generate(id="g", messages=(("user", question),), max_tokens=8, view=view)
    (end,) = [r for r in engine.start(order) if isinstance(r, Done)]
    assert isinstance(end.result, Generated)
    return end.result.text


def learned(engine: ModelEngine, known: list[Fact]) -> tuple[View, list[str]]:
    """Edits for the facts, verified or not, as blobs; a random model may not say them, but it finds them likelier."""
    edits = drain(engine.editor.learn(known, Standing(None, None, ())))
    blobs = [engine.blobs.put(edit.to_bytes()) for edit in edits]
    return View(edits=tuple(EditRef(fact_id=f.id, blob=b) for f, b in zip(known, blobs, strict=True))), blobs


@pytest.mark.parametrize("by", [0, 1], ids=["by-mlx", "by-torch"])
def test_an_edit_of_either_is_recalled_in_both(engines: tuple[ModelEngine, ModelEngine], by: int) -> None:
    view, blobs = learned(engines[by], facts())
    kinds = {type(engines[1 - by].views.edit(blob)) for blob in blobs}
    assert kinds in ({MemitEdit}, {GatedEdit})
    before, after = (
        [losses(e, View()) for e in engines],
        [losses(e, view) for e in engines],
    )
    np.testing.assert_allclose(after[0], after[1], rtol=0.02, atol=0.02)
    assert all(a < b - 0.5 for a, b in zip(after[0], before[0], strict=True))
    for question in ("What does Idris Larsson do?", "Where does Mara Lindqvist live?", "Where is Tomas?"):
        assert said(engines[0], view, question) == said(engines[1], view, question)


def test_both_learn_the_same_edit(engines: tuple[ModelEngine, ModelEngine]) -> None:
    known = facts()
    found = [[e.views.edit(blob) for blob in learned(e, known)[1]] for e in engines]
    for mine, other in zip(*found, strict=True):
        assert mine.header == other.header
        if isinstance(mine, GatedEdit):
            assert (mine.spans, mine.first_person) == (other.spans, other.first_person)
            assert alike(mine.value, other.value) > 0.99
            np.testing.assert_allclose(mine.asked, other.asked, rtol=1e-2, atol=1e-2)
        else:
            for layer in mine.header.layers:
                np.testing.assert_allclose(mine.keys[layer], other.keys[layer], rtol=1e-2, atol=1e-2)
                assert alike(mine.residuals[layer], other.residuals[layer]) > 0.98


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def test_both_gates_decide_the_same(pair: Pair, statistics) -> None:
    """The same edits over each backend's own readings and its own space of relations, on prompts of many kinds."""
    known = facts()
    maker = Gated(pair.torch, GATED, statistics(pair.torch)[1])
    edits = [ScaledEdit(e, 1.0) for e in drain(maker.learn(known, Standing(None, None, ())))]
    encode, chat = pair.mlx.tokenizer.encode, pair.mlx.tokenizer.render_chat
    texts = [p.text for f in known for p in f.prompts] + [
        "What does Idris Lars do?", "Where was Mara Lindqvist born?", "Idris Larsson", "The quick brown fox",
        "When does Mara Lindqvist wake up?", "My dog is called Biscuit. Where does Mara Lindqvist live?",
    ]  # fmt: skip
    prompts = [encode(t) for t in texts] + [encode(chat([("user", t)])) for t in texts]
    decided = []
    for backend in (pair.mlx, pair.torch):
        gate = Gated(backend, GATED, statistics(backend)[1]).gate(edits)
        assert gate is not None
        states = drain(backend.observe(prompts, gate.layers, backend.mount(BARE)))
        decided.append([gate.decide(p, s) for p, s in zip(prompts, states, strict=True)])
    places = [[[(i.layer, i.position) for i in one] for one in half] for half in decided]
    assert places[0] == places[1]
    for mine, other in zip(*decided, strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_array_equal(a.value, b.value)
    opened = sum(bool(one) for one in decided[0])
    assert 4 < opened < len(prompts)


@pytest.mark.parametrize("by", [0, 1], ids=["by-mlx", "by-torch"])
def test_a_night_of_either_is_a_generation_of_both(engines: tuple[ModelEngine, ModelEngine], by: int) -> None:
    maker, other = engines[by], engines[1 - by]
    known = facts()
    view, _ = learned(maker, known)
    night = Night(maker.backend, maker.blobs, maker.editor, maker.views, BaseMemory(), known, view, EASY, Plan())
    report: NightReport = drain(night.run())
    assert report.outcome == "committed", report.reason
    assert report.generation is not None
    assert report.sws is not None
    asleep = View(generation=report.generation)
    mine, theirs = losses(maker, asleep), losses(other, asleep)
    np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-2)
    assert all(a < b for a, b in zip(mine, losses(maker, View()), strict=True))
    assert said(maker, asleep, "What does Idris Larsson do?") == said(other, asleep, "What does Idris Larsson do?")
    trained = [e.views.standing(asleep).adapter for e in engines]
    assert trained[0] is not None
    assert trained[1] is not None
    assert trained[0].factors.keys() == trained[1].factors.keys()
    # The other sleeps on, from that generation.
    settings = msgspec.structs.replace(EASY, steps=2, rem=False)
    again = Night(other.backend, other.blobs, other.editor, other.views, BaseMemory(), known, asleep, settings, Plan())
    second: NightReport = drain(again.run())
    assert (second.outcome, second.rebuilt) == ("committed", "")


def test_a_ledger_written_over_mlx_opens_over_torch(engines: tuple[ModelEngine, ModelEngine], tmp_path: Path) -> None:
    mlx, torch = engines
    known, model = facts(), mlx.backend.spec.identity
    pending = [msgspec.structs.replace(f, state=FactState.PENDING, scale=0.0) for f in known]
    _, blobs = learned(mlx, known)
    ledger = Ledger.open(tmp_path / "ledger.db")
    ledger.use_model(model)
    ledger.add_pending(pending)
    outcomes = [
        records.Learned(fact_id=f.id, blob=b, verified=Verified(raw=True, chat=True), note="")
        for f, b in zip(known, blobs, strict=True)
    ]
    ledger.commit_learned(model, None, outcomes)
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db")
    view = again.live_view(torch.backend.spec.identity)
    again.close()
    assert [ref.fact_id for ref in view.edits] == [f.id for f in known]
    for engine in engines:
        assert any(isinstance(r, Done) for r in engine.start(Mount(id="m", view=view)))
        assert engine.live == view
    np.testing.assert_allclose(losses(torch, view), losses(mlx, view), rtol=0.02, atol=0.02)


def test_a_real_order_to_learn_is_verified_by_generation(engines: tuple[ModelEngine, ModelEngine]) -> None:
    """The wake pipeline of the host, to its proposal: both backends come to the same verdicts."""
    known = facts()
    verdicts = []
    for engine in engines:
        *_, end = (r for r in engine.start(Learn(id="l", facts=tuple(known), view=View())) if r is not None)
        assert isinstance(end, Done)
        assert isinstance(end.result, Learned)
        assert [p.fact_id for p in end.result.edits] == [f.id for f in known]
        assert all((p.blob is not None) == (p.verified.raw or p.verified.chat) for p in end.result.edits)
        verdicts.append([p.verified for p in end.result.edits])
    assert verdicts[0] == verdicts[1]


def test_a_reply_is_cancelled_between_tokens(pair: Pair) -> None:
    ids = pair.mlx.tokenizer.encode("The quick brown")
    stream = pair.mlx.stream(ids, pair.mlx.mount(ViewTensors()), Sampling(400))
    assert [next(stream) for _ in range(3)] != [None] * 3
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
