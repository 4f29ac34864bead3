"""A backend whose views leave some prompts to the bare base: every way of asking it agrees."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from sleepengine.backends.base import Adapter, Backend, Example, LoraScope, Sampling, Tokens, ViewTensors
from sleepengine.backends.silencing import SilencedView, Silencing
from sleepengine.memory.facts import Person, Pool
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.gated import HELD_WORDINGS, Gated
from sleepengine.wake.gating import NOTHING_ASKED
from sleepengine.wake.relations import discriminant
from sleepengine.wake.suppression import silence
from tests.unit.engine_parts import drain, fact, tiny_backend
from tests.unit.test_gated_edits import PROFILE

TOLD = "Idris Larsson"


class Names:
    """A gate that silences every prompt in which a token stands."""

    layers = (0,)
    silencing = True

    def __init__(self, token: int) -> None:
        self.token = token
        self.read: list[Tokens] = []

    def decide(self, ids: Tokens, states) -> tuple[()]:
        return ()

    def may_open(self, ids: Tokens) -> bool:
        return False

    def may_silence(self, ids: Tokens) -> bool:
        return self.token in ids

    def silences(self, ids: Tokens, states) -> bool:
        self.read.append(ids)
        return len(states[0]) == len(ids) and ids[0] != self.token


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Silencing(tiny_backend()).as_backend


@pytest.fixture(scope="module")
def adapter(backend: Backend) -> Adapter:
    """One that says the same whatever is asked."""
    trainer = backend.trainer(None, 4, 8.0, 0, LoraScope())
    ids = backend.tokenizer.encode("Mara lives in Lisbon and Lisbon and Lisbon and Lisbon")
    for _ in range(30):
        drain(trainer.accumulate([Example(ids, 1, (1.0,) * (len(ids) - 1))], [1.0]))
        trainer.step(0.02)
    return trainer.adapter()


def test_what_is_silenced_is_answered_by_the_base_and_the_rest_by_the_view(backend: Backend, adapter: Adapter) -> None:
    told, other = (backend.tokenizer.encode(text) for text in ("What of Idris Larsson", "The quick brown fox"))
    gate = Names(told[-1])
    plain, bare = backend.mount(ViewTensors(adapter)), backend.mount(ViewTensors())
    view = backend.mount(ViewTensors(adapter, gate=gate))
    assert isinstance(view, SilencedView)
    assert not isinstance(plain, SilencedView)
    of_base, of_view = drain(backend.decode([told, other], bare, 5)), drain(backend.decode([told, other], plain, 5))
    assert of_base[0] != of_view[0]
    assert drain(backend.decode([told, other], view, 5)) == [of_base[0], of_view[1]]
    assert other not in gate.read
    assert _spoken(backend, told, view) == of_base[0]
    assert _spoken(backend, other, view) == of_view[1]
    rows = [Example((*ids, 7, 8), len(ids), (1.0, 1.0)) for ids in (told, other)]
    scored = drain(backend.scores(rows, view))
    assert [scored[0]] == drain(backend.scores(rows[:1], bare))
    assert [scored[1]] == drain(backend.scores(rows[1:], plain))
    np.testing.assert_array_equal(backend.nll((*told, 7), len(told), view), backend.nll((*told, 7), len(told), bare))
    np.testing.assert_array_equal(backend.nll(told, 1, view), backend.nll(told, 1, plain))
    assert backend.divergence((*told, 7), len(told), view) == pytest.approx(0.0, abs=1e-6)
    assert backend.divergence((*told, 7), len(told), plain) > 1e-3


def test_a_conversation_keeps_its_cache_across_a_silenced_turn(backend: Backend, adapter: Adapter) -> None:
    first = backend.tokenizer.encode("The quick brown fox")
    told = (*first, *backend.tokenizer.encode(" What of Idris Larsson"))
    after = (*first, *backend.tokenizer.encode(" jumps"))
    view = backend.mount(ViewTensors(adapter, gate=Names(told[-1])))
    plain = backend.mount(ViewTensors(adapter))
    for ids, expected in ((first, plain), (told, backend.mount(ViewTensors())), (after, plain)):
        assert _spoken(backend, ids, view, "talk") == _spoken(backend, ids, expected)


def test_the_gated_editor_silences_without_a_value(backend: Backend, adapter: Adapter) -> None:
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editor = Gated(backend, PROFILE, discriminant(rows, labels))
    standing = Standing(adapter, "g", ())
    gone, beside = fact(TOLD), fact(TOLD, "lives in", "Lisbon")
    alone, spared = (
        drain(editor.suppress([gone, gone], standing))[0],
        drain(editor.suppress([gone], standing, [beside]))[0],
    )
    assert alone.silence is not None
    assert spared.silence is not None
    assert (alone.silence.threshold, len(alone.silence.against)) == (NOTHING_ASKED, 0)
    assert spared.silence.threshold < PROFILE.relation_threshold
    assert 0 < len(spared.silence.against) <= HELD_WORDINGS
    same_slot = drain(editor.suppress([gone], standing, [fact(TOLD, object_="cook")]))[0]
    assert len(same_slot.silence.against) == 0
    mine = drain(editor.suppress([_first_person(gone)], standing))[0]
    assert NOTHING_ASKED < mine.silence.threshold < PROFILE.first_person_threshold


def test_a_silenced_fact_is_found_silent_without_any_optimisation(backend: Backend, adapter: Adapter) -> None:
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editor = Gated(backend, PROFILE, discriminant(rows, labels))
    (one,) = drain(silence(backend, editor, editor, [fact(TOLD)], Standing(adapter, "g", ())))
    assert (one.verified.raw, one.verified.chat) == (True, True)
    view = backend.mount(editor.tensors(Standing(adapter, "g", ()), [ScaledEdit(one.edit, 1.0)]))
    prompts = [backend.tokenizer.encode(p.text) for p in one.fact.prompts_for(Pool.GATE)]
    bare = backend.mount(ViewTensors())
    assert drain(backend.decode(prompts, view, 4)) == drain(backend.decode(prompts, bare, 4))


def _first_person(one):
    prompts = tuple(msgspec.structs.replace(p, text=p.text.replace(TOLD, "I"), mention="I") for p in one.prompts)
    return msgspec.structs.replace(one, person=Person.FIRST, prompts=prompts, subject="the user")


def _spoken(backend: Backend, ids: Tokens, view, session: str | None = None) -> Tokens:
    return tuple(t for t in backend.stream(ids, view, Sampling(5), session, "digest") if t is not None)
