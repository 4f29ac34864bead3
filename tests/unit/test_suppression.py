"""What an adapter knows is silenced through the host's own order, whichever editor learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepengine.backends.base import Backend
from sleepengine.backends.silencing import Silencing
from sleepengine.errors import EngineError
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.host.engine import ModelEngine, reports
from sleepengine.host.messages import Done, Generate, Generated, Learn, Learned
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Channel, Fact
from sleepengine.memory.view import BASE, EditRef, View
from sleepengine.sleep.cycle import Night
from sleepengine.sleep.report import Plan
from sleepengine.wake.covariance import estimate
from sleepengine.wake.editing import Editors
from sleepengine.wake.gated import Gated
from sleepengine.wake.memit import Memit
from sleepengine.wake.relations import discriminant
from tests.unit.engine_parts import drain, fact, tiny_backend
from tests.unit.test_engine_tiny import EASY, PROFILE, TEXTS
from tests.unit.test_gated_edits import PROFILE as GATE_PROFILE


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Silencing(tiny_backend()).as_backend


@pytest.fixture(params=["memit", "gated"])
def engine(backend: Backend, tmp_path: Path, request: pytest.FixtureRequest) -> ModelEngine:
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editors = Editors(
        request.param,
        {
            "memit": lambda: Memit(backend, PROFILE, drain(estimate(backend, PROFILE.layers, TEXTS))),
            "gated": lambda: Gated(backend, GATE_PROFILE, discriminant(rows, labels)),
        },
    )
    return ModelEngine(backend, BlobStore(tmp_path / "blobs"), editors, 0.0, silencer=editors)


def replies(engine: ModelEngine, known: Fact, view: View) -> list[str]:
    found = []
    for prompt in known.prompts:
        chat = prompt.channel is Channel.CHAT
        order = Generate(
            id="g",
            messages=(("user", prompt.text),) if chat else None,
            text=None if chat else prompt.text,
            max_tokens=6,
            view=view,
        )
        end = reports(engine.start(order))[-1]
        assert isinstance(end, Done)
        assert isinstance(end.result, Generated)
        found.append(end.result.text)
    return found


def test_an_adapter_no_longer_tells_what_is_suppressed(engine: ModelEngine) -> None:
    known, beside = fact(), fact("Mara Lindqvist", "lives in", "Lisbon")
    backend = engine.backend
    night = Night(
        backend, engine.blobs, engine.editor, engine.views, BaseMemory(), [known, beside], View(), EASY, Plan()
    )  # fmt: skip
    taught = View(generation=drain(night.run()).generation)
    end = reports(engine.start(Learn(id="l", facts=(known,), view=taught, suppress=True, held=(beside,))))[-1]
    assert isinstance(end, Done)
    assert isinstance(end.result, Learned)
    (proposal,) = end.result.edits
    assert (proposal.verified.raw, proposal.verified.chat) == (True, True)
    assert proposal.blob is not None
    silent = View(generation=taught.generation, edits=(EditRef(fact_id=known.id, blob=proposal.blob),))
    of_base, of_adapter, now = (replies(engine, known, view) for view in (BASE, taught, silent))
    assert of_base != of_adapter
    assert now == of_base
    assert replies(engine, beside, silent) == replies(engine, beside, taught)


def test_an_engine_without_a_silencer_says_so(backend: Backend, tmp_path: Path) -> None:
    editor = Memit(backend, PROFILE, drain(estimate(backend, PROFILE.layers, TEXTS)))
    engine = ModelEngine(backend, BlobStore(tmp_path / "blobs"), editor, 0.0)
    with pytest.raises(EngineError, match="suppress"):
        reports(engine.start(Learn(id="l", facts=(fact(),), view=BASE, suppress=True)))
