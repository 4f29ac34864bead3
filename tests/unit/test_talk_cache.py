"""A conversation goes on where a fact was learned or left: what is cached of it holds no gated value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepengine.backends.silencing import Silencing
from sleepengine.backends.torch_backend import generation
from sleepengine.host.engine import ModelEngine, reports
from sleepengine.host.messages import Done, Generate, Generated
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.view import BASE, EditRef, View
from sleepengine.wake.covariance import estimate
from sleepengine.wake.editing import Editors, Standing
from sleepengine.wake.gated import Gated
from sleepengine.wake.memit import Memit
from sleepengine.wake.relations import discriminant
from tests.unit.engine_parts import drain, fact, tiny_backend
from tests.unit.test_engine_tiny import PROFILE, TEXTS
from tests.unit.test_gated_edits import PROFILE as GATE_PROFILE

Messages = tuple[tuple[str, str], ...]
FIRST: Messages = (("user", "The quick brown fox jumps over the lazy dog, people say. What of Idris Larsson?"),)
SECOND: Messages = (*FIRST, ("assistant", "Well known."), ("user", "And Mara?"))


def opened(tmp_path: Path, active: str) -> ModelEngine:
    backend = Silencing(tiny_backend()).as_backend
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editors = Editors(
        active,
        {
            "memit": lambda: Memit(backend, PROFILE, drain(estimate(backend, PROFILE.layers, TEXTS))),
            "gated": lambda: Gated(backend, GATE_PROFILE, discriminant(rows, labels)),
        },
    )
    return ModelEngine(backend, BlobStore(tmp_path / "blobs"), editors, 0.0, silencer=editors)


def told(engine: ModelEngine, messages: Messages, view: View, session: str | None) -> str:
    end = reports(engine.start(Generate(id="g", messages=messages, session=session, max_tokens=4, view=view)))[-1]
    assert isinstance(end, Done)
    assert isinstance(end.result, Generated)
    return end.result.text


def learned(engine: ModelEngine, suppress: bool = False) -> View:
    """A view with a fact's edit, or its silence, whatever a tiny model makes of it."""
    editors = engine.editor
    assert isinstance(editors, Editors)
    bare = Standing(None, None, ())
    (edit,) = drain(editors.suppress([fact()], bare) if suppress else editors.learn([fact()], bare))
    return View(edits=(EditRef(fact_id=edit.header.fact_id, blob=engine.blobs.put(edit.to_bytes())),))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass over a conversation computed."""
    found: list[int] = []
    extend = generation.extend

    def counted(backend, piece, *rest):
        found.append(len(piece))
        return extend(backend, piece, *rest)

    monkeypatch.setattr(generation, "extend", counted)
    return found


@pytest.mark.parametrize("suppress", [False, True])
def test_a_gated_edit_does_not_cost_the_conversation_its_cache(
    tmp_path: Path, computed: list[int], suppress: bool
) -> None:
    engine = opened(tmp_path, "gated")
    view = learned(engine, suppress)
    computed.clear()
    told(engine, FIRST, BASE, "talk")
    whole = computed[0]
    computed.clear()
    reply = told(engine, SECOND, view, "talk")
    assert computed[0] < whole / 2
    assert reply == told(engine, SECOND, view, None)


def test_a_linear_edit_does(tmp_path: Path, computed: list[int]) -> None:
    engine = opened(tmp_path, "memit")
    view = learned(engine)
    told(engine, FIRST, BASE, "talk")
    whole = computed[0]
    computed.clear()
    assert told(engine, SECOND, view, "talk") == told(engine, SECOND, view, None)
    assert computed[0] >= whole


def test_a_gate_that_came_later_reads_the_whole_conversation(tmp_path: Path) -> None:
    """Where no editor of gated edits is active, a conversation may have begun without a gate."""
    gated = learned(opened(tmp_path, "gated"), suppress=True)
    engine = opened(tmp_path, "memit")
    told(engine, FIRST, BASE, "talk")
    assert told(engine, SECOND, gated, "talk") == told(engine, SECOND, gated, None)
    assert told(engine, SECOND, BASE, "talk") == told(engine, SECOND, BASE, None)
    assert told(engine, SECOND, gated, "talk") == told(engine, SECOND, gated, None)
