"""A suppressing edit gives the base model's answers back where something in the view tells a fact."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.evaluation.drift import BaseMemory
from sleepengine.host.engine import ModelEngine
from sleepengine.host.messages import Done, Learn, Learned
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Channel, Pool
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.cycle import Night
from sleepengine.sleep.report import Plan
from sleepengine.wake.covariance import Covariance, estimate
from sleepengine.wake.encoding import bare_target, prompt_ids, target
from sleepengine.wake.memit import Memit
from sleepengine.wake.suppression import as_the_base_answers
from tests.unit.engine_parts import drain, fact, tiny_backend
from tests.unit.test_engine_tiny import EASY, PROFILE, TEXTS


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    return tiny_backend()


@pytest.fixture(scope="module")
def covariance(backend: TorchBackend) -> Covariance:
    return drain(estimate(backend, PROFILE.layers, TEXTS))


def test_it_is_taught_what_the_base_says(backend: TorchBackend) -> None:
    one = fact()
    (taught,) = drain(as_the_base_answers(backend, [one]))
    assert taught.object == ""
    assert taught.prompts_for(Pool.CHECK) == one.prompts_for(Pool.CHECK)
    for prompt in taught.prompts_for(Pool.TRAIN):
        (reply,) = drain(backend.decode([prompt_ids(backend.tokenizer, prompt)], backend.bare, 8))
        assert prompt.answer in (backend.tokenizer.decode(reply), " ...")
        for encoded in (bare_target(backend.tokenizer, prompt, ""), target(backend.tokenizer, prompt, "")):
            assert set(encoded.weights) == {1.0}
            assert backend.tokenizer.decode(encoded.ids[encoded.start :]).strip() == prompt.answer.strip()


def test_an_adapter_no_longer_tells_what_is_suppressed(
    backend: TorchBackend, covariance: Covariance, tmp_path: Path
) -> None:
    engine = ModelEngine(backend, BlobStore(tmp_path / "blobs"), Memit(backend, PROFILE, covariance), 0.0)
    known = fact()
    night = Night(
        backend, engine.blobs, engine.editor, engine.views, BaseMemory(), [known], View(), EASY, Plan()
    )  # fmt: skip
    taught = View(generation=drain(night.run()).generation)
    *_, end = (r for r in engine.start(Learn(id="l", facts=(known,), view=taught, suppress=True)) if r is not None)
    assert isinstance(end, Done)
    assert isinstance(end.result, Learned)
    (proposal,) = end.result.edits
    assert (proposal.verified.raw, proposal.verified.chat) == (True, True)
    assert proposal.blob is not None
    silent = View(generation=taught.generation, edits=(EditRef(fact_id=known.id, blob=proposal.blob),))
    (reply,) = drain(as_the_base_answers(backend, [known]))

    def loss(view: View, object_: str) -> float:
        """Of the object, or of the base's own reply, over the fact's raw prompts."""
        asked = (known if object_ else reply).prompts_for(Pool.TRAIN, Channel.RAW)
        found = [target(backend.tokenizer, prompt, object_) for prompt in asked]
        mounted = engine.views.mounted(view)
        return sum(float(backend.nll(t.ids, t.start, mounted).mean()) for t in found) / len(found)

    assert loss(taught, known.object) < loss(View(), known.object) - 0.5
    assert loss(silent, known.object) > loss(taught, known.object) + 0.3
    assert loss(silent, "") < loss(taught, "") - 0.3
